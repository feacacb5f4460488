"""
The spool: what keeps a call safe until it is in the database.
"""

from modeltrail.storage.spool.folder import Orphan, foreign, orphans
from modeltrail.storage.spool.spool import LIMIT_BYTES, Spool
from modeltrail.storage.spool.tail import Position, Tail

__all__ = ["LIMIT_BYTES", "Orphan", "Position", "Spool", "Tail", "foreign", "orphans"]
