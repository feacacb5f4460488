"""
Where records are kept: the spool, the writer and the database.
"""

from modeltrail.storage.answers import OutcomeValues, RoutedCall
from modeltrail.storage.dimensions import HOUR_US
from modeltrail.storage.metered import BilledCall, MeteredHour, RequestedCall
from modeltrail.storage.queries import Filters, Group, Numbered
from modeltrail.storage.series import Hour, Served, Side, Sums
from modeltrail.storage.store import Store
from modeltrail.storage.top import Top, TopGroup

__all__ = [
    "HOUR_US",
    "BilledCall",
    "Filters",
    "Group",
    "Hour",
    "MeteredHour",
    "Numbered",
    "OutcomeValues",
    "RequestedCall",
    "RoutedCall",
    "Served",
    "Side",
    "Store",
    "Sums",
    "Top",
    "TopGroup",
]
