"""
The threads that work for a spool.
"""

import threading
from collections.abc import Callable

from modeltrail.storage.spool.spool import Spool


class SpoolThread(threading.Thread):
    """
    A background thread that uses a spool's files until it ends.
    """

    def __init__(self, name: str, spool: Spool, work: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._spool = spool
        self._work = work

    def start(self) -> None:
        """
        Start it.

        Raises:
            RuntimeError: The interpreter is about to end.
        """
        self._spool.share()
        try:
            super().start()
        except RuntimeError:
            self._spool.leave()
            raise

    def run(self) -> None:
        """
        Work.
        """
        try:
            self._work()
        finally:
            self._spool.leave()
