"""
The writer: the background thread that empties the spool into the store.
"""

import threading
from collections.abc import Callable

from modeltrail.errors import StoreUnavailableError
from modeltrail.problems import Problems
from modeltrail.storage.drain import Drain
from modeltrail.storage.spool import Orphan, Position, Spool

# Nothing tells the writer of an append, which would cost the caller more than
# the append itself: it looks again, less often the longer nothing came.
FIRST_LOOK_S = 0.05
IDLE_LOOK_S = 0.5
RETRY_FIRST_S = 0.1
RETRY_MOST_S = 5.0


class Writer:
    """
    Drains this process's spool until it is stopped.

    Args:
        orphans: Spools of processes that have died, replayed first, each with
            its drain.
    """

    def __init__(
        self,
        spool: Spool,
        drain: Drain,
        problems: Problems,
        orphans: list[tuple[Orphan, Drain]] | None = None,
    ) -> None:
        self.drain = drain
        self._spool = spool
        self._problems = problems
        self._orphans = orphans or []
        self._progress = threading.Condition()
        self._wake = threading.Event()
        self._wanted = Position(0, 0)
        self._stopping = False
        self.replayed = not self._orphans
        self.failing = False
        self._thread = threading.Thread(target=self._run, name="modeltrail-writer", daemon=True)

    def start(self) -> None:
        """
        Start the thread.
        """
        self._thread.start()

    def flush(self, timeout: float | None) -> bool:
        """
        Wait until all that was appended before is stored.

        Returns:
            False if that took longer than `timeout` seconds.
        """
        target = self._spool.segment.end()
        self._wanted = max(self._wanted, target)
        return self._await(lambda: self.drain.committed >= target, timeout)

    def await_replay(self, timeout: float) -> bool:
        """
        Wait until the orphans are replayed, or the store turns out unavailable.
        """
        return self._await(lambda: self.replayed or self.failing, timeout)

    def stop(self, timeout: float | None) -> bool:
        """
        Store what is left and end the thread.

        Returns:
            Whether all was stored in time.
        """
        flushed = self.flush(timeout)
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout)
        return flushed and not self._thread.is_alive()

    def _run(self) -> None:
        wait = FIRST_LOOK_S
        while not self._stopping:
            busy = self._turn()
            if busy is None:
                wait = min(max(wait, RETRY_FIRST_S) * 2, RETRY_MOST_S)
            elif busy or self.drain.is_holding:
                wait = FIRST_LOOK_S
            else:
                wait = min(wait * 2, IDLE_LOOK_S)
            if not (busy and self.drain.is_behind):
                self._wake.wait(wait)
                self._wake.clear()

    def _turn(self) -> bool | None:
        """
        Do what there is to do; None if the store could not take it.
        """
        try:
            while self._orphans:
                self._replay(*self._orphans[0])
                self._orphans.pop(0)
            self.replayed = True
            self._spool.rotate()
            busy = self.drain.step(all_ended=self._wanted > self.drain.committed)
        except StoreUnavailableError as error:
            self._problems.note("store-unavailable", error)
            busy = None
        except Exception as error:
            # A fault of our own must not end the thread: the spool would only grow.
            self._problems.note("writer-failed", error)
            busy = None
        self.failing = busy is None
        with self._progress:
            self._progress.notify_all()
        return busy

    def _replay(self, orphan: Orphan, drain: Drain) -> None:
        try:
            while drain.step(all_ended=True):
                pass
            drain.settle()
            while drain.step(all_ended=True):
                pass
        except StoreUnavailableError:
            raise
        except Exception as error:
            # Left as it is: whatever is wrong with it must not hold up the living.
            self._problems.note("replay-failed", error)
            orphan.release(remove=False)
        else:
            orphan.release(remove=True)

    def _await(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        self._wake.set()
        with self._progress:
            return self._progress.wait_for(condition, timeout)
