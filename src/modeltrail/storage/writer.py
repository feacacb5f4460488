"""
The writer: the background thread that empties the spool into the store.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf
from time import monotonic, sleep

from modeltrail.errors import StoreUnavailableError
from modeltrail.problems import Problems
from modeltrail.storage.assembly import HOLD_S
from modeltrail.storage.drain import Drain
from modeltrail.storage.spool import Orphan, Position, Spool
from modeltrail.storage.spool.thread import SpoolThread

# Nothing tells the writer of an append, which would cost the caller more than
# the append itself: it looks again, less often the longer nothing came. A look costs a
# transaction however little it finds; one finds ripe what the one before has read.
FIRST_LOOK_S = HOLD_S
IDLE_LOOK_S = 0.5
RETRY_FIRST_S = 0.1
RETRY_MOST_S = 5.0
# How often it looks for what other processes have left.
ORPHANS_LOOK_S = 10.0

Adopt = Callable[[frozenset[str]], Iterator[tuple[Orphan, Drain]]]


class Writer:
    """
    Drains this process's spool, and those of the dead, until it is stopped.

    Attributes:
        replayed: Whether the spools found at the start are in the store.
        failing: Whether the store did not take what it was last given.
        finished: Whether it was stopped and had stored all there was.

    Args:
        adopt: Takes over the spools of processes that have died, but for those
            named, each with its drain.
        adopt_at_once: Whether to do so at the start, or only after a while.
    """

    def __init__(
        self,
        spool: Spool,
        drain: Drain,
        problems: Problems,
        adopt: Adopt,
        *,
        adopt_at_once: bool,
    ) -> None:
        self.drain = drain
        self.failing = False
        self.finished = False
        self._spool = spool
        self._problems = problems
        self._adopt = adopt
        self._adopt_at = monotonic() + (0 if adopt_at_once else ORPHANS_LOOK_S)
        self._adopted: list[tuple[Orphan, Drain]] = []
        self._hopeless: set[str] = set()
        self.replayed = not adopt_at_once
        self._progress = threading.Condition()
        self._listeners: list[Callable[[], object]] = []
        self._wake = threading.Event()
        self._wanted = Position(0, 0)
        self._stopping = False
        self._stop_at = inf
        self._thread = SpoolThread("modeltrail-writer", spool, self._run)
        self.start = self._thread.start

    def flush(self, timeout: float | None) -> bool:
        """
        Wait until all that was appended before is stored.

        Returns:
            False if that took longer than `timeout` seconds.
        """
        target = self.want_all()
        return self._await(lambda: self.drain.committed >= target, timeout)

    def want_all(self) -> Position:
        """
        Ask for all that was appended so far, without waiting for late facts.

        Returns:
            The place that `drain.committed` will reach.
        """
        target = self._spool.end()
        self._wanted = max(self._wanted, target)
        self._wake.set()
        return target

    def listen(self, listener: Callable[[], object]) -> Callable[[], None]:
        """
        Call a listener after each turn, on the writer's thread.

        Returns:
            What ends that.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def await_replay(self, timeout: float) -> bool:
        """
        Wait until the orphans are replayed, or the store turns out unavailable.
        """
        return self._await(lambda: self.replayed or self.failing, timeout)

    def stop(self, timeout: float | None) -> bool:
        """
        Store what is left, settle calls that have not ended, and end the thread.

        Returns:
            Whether all was stored in time.
        """
        self._stop_at = inf if timeout is None else monotonic() + timeout
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout)
        return self.finished

    def _run(self) -> None:
        self._work_until_stopped()
        for orphan, _ in self._adopted:
            orphan.release(remove=False)

    def _work_until_stopped(self) -> None:
        wait = FIRST_LOOK_S
        while not self._stopping:
            busy = self._turn(self._work)
            if busy is None:
                wait = min(max(wait, RETRY_FIRST_S) * 2, RETRY_MOST_S)
            elif busy or self.drain.is_holding:
                wait = FIRST_LOOK_S
            else:
                wait = min(wait * 2, IDLE_LOOK_S)
            if not (busy and (self.drain.is_behind or self._adopted)):
                self._wake.wait(wait)
                self._wake.clear()
        while not self.finished and monotonic() < self._stop_at:
            if self._turn(self._finish) is None:
                sleep(RETRY_FIRST_S)
        # Its own calls come first; then what its children have left, if there is time.
        self._adopt_at = monotonic()
        while self.finished and monotonic() < self._stop_at and self._turn(self._work_off):
            pass

    def _turn(self, work: Callable[[], bool]) -> bool | None:
        """
        Do some work and tell whether there was any; None if the store could not take it.
        """
        try:
            busy: bool | None = work()
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
        for listener in list(self._listeners):
            with suppress(RuntimeError):  # its event loop was closed
                listener()
        return busy

    def _work(self) -> bool:
        replayed = self._work_off()
        stored = self.drain.step(all_ended=self._wanted > self.drain.committed)
        return stored or replayed

    def _work_off(self) -> bool:
        """
        Store some of what dead processes have left, if there is anything.
        """
        if monotonic() >= self._adopt_at:
            self._adopt_at = monotonic() + ORPHANS_LOOK_S
            self._adopted += self._adopt(frozenset(self._hopeless))
        replayed = bool(self._adopted) and self._replay(*self._adopted[0])
        self.replayed = not self._adopted
        return replayed

    def _finish(self) -> bool:
        for _ in self.drain.finish():
            return True
        self.finished = True
        return False

    def _replay(self, orphan: Orphan, drain: Drain) -> bool:
        """
        Store some of what a dead process has left.
        """
        try:
            for _ in drain.finish():
                return True
        except StoreUnavailableError:
            raise
        except Exception as error:
            self._give_up(orphan, error)
            orphan.release(remove=False)
        else:
            try:
                orphan.release(remove=True)
            except OSError as error:  # the disk cannot be written now
                self._give_up(orphan, error)
        self._adopted.pop(0)
        return True

    def _give_up(self, orphan: Orphan, error: Exception) -> None:
        # Left as it is: whatever is wrong with it must not hold up the living.
        self._problems.note("replay-failed", error)
        self._hopeless.add(orphan.origin)

    def _await(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        with self._progress:
            return self._progress.wait_for(condition, timeout)
