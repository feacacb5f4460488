"""
Where records are kept: the spool, the writer and the database.
"""

from modeltrail.storage.queries import Filters, Group, Numbered
from modeltrail.storage.series import HOUR_US, Hour
from modeltrail.storage.store import Store
from modeltrail.storage.top import Top, TopGroup

__all__ = ["HOUR_US", "Filters", "Group", "Hour", "Numbered", "Store", "Top", "TopGroup"]
