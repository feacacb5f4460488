"""
Where records are kept: the spool, the writer and the database.
"""

from modeltrail.storage.queries import Filters, Group, Numbered
from modeltrail.storage.store import Store

__all__ = ["Filters", "Group", "Numbered", "Store"]
