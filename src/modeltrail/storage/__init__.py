"""
Where records are kept: the spool, the writer and the database.
"""

from modeltrail.storage.queries import Filters, Group, Numbered
from modeltrail.storage.store import Store
from modeltrail.storage.top import Top, TopGroup

__all__ = ["Filters", "Group", "Numbered", "Store", "Top", "TopGroup"]
