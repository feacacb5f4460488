"""
What went wrong inside and was caught.
"""

import logging
import threading
from collections import Counter

# Not structlog: unconfigured, it prints to the standard output of the host.
_log = logging.getLogger("modeltrail")


class Problems:
    """
    Problems of one trail: counted by kind, each kind logged once.

    Attributes:
        last_error: The kind and the type of the last error that was caught.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()
        self.last_error: str | None = None

    def note(self, kind: str, error: BaseException | None = None, *, times: int = 1) -> None:
        """
        Count a problem.

        Args:
            kind: Short and of few values, such as `tag-not-json`.
            error: What was caught. Only its type is kept: its text may hold
                content.
        """
        # Re-entrant, since the garbage collector may run a handler of ours while this very
        # thread holds it.
        with self._lock:
            first = kind not in self._counts
            self._counts[kind] += times
            if error is not None:
                self.last_error = f"{kind}: {type(error).__name__}"
        if first:
            name = "" if error is None else f" ({type(error).__name__})"
            _log.warning("modeltrail: %s%s; further ones are only counted", kind, name)

    def restart_after_fork(self) -> None:
        """
        In a child: another thread may have held the lock, and is not there to release it.
        """
        self._lock = threading.RLock()

    def counts(self) -> dict[str, int]:
        """
        Return how often each kind was met.
        """
        return dict(self._counts)
