"""
The keeper: the background thread that looks after the spool.

It never waits for the database, so that a database that hangs does not stop
the spool from keeping its limit and its promise.
"""

import threading
from collections.abc import Callable
from time import monotonic, monotonic_ns, time_ns

import msgspec

from modeltrail.ids import now_us, uuid7
from modeltrail.problems import Problems
from modeltrail.record import Frame, FrameKind
from modeltrail.storage.drain import Drain
from modeltrail.storage.spool import Position, Spool
from modeltrail.storage.spool.thread import SpoolThread

TURN_S = 0.25
IDLE_TURN_S = 1.0
# What was appended so long ago and is not in the database is brought to the disk:
# a power failure costs at most this and a turn.
SYNC_S = 0.5
METRICS_S = 60.0
# A clock that is set right by less is disciplined, not moved.
CLOCK_JUMP_NS = 1_000_000_000


class Keeper:
    """
    Keeps a spool within its limit and its age within an interval.

    Args:
        tell: Is called once in a minute in which something happened.
        clock_ns: Nanoseconds, UTC.
    """

    def __init__(
        self,
        spool: Spool,
        drain: Drain,
        problems: Problems,
        *,
        tell: Callable[[], None],
        clock_ns: Callable[[], int] = time_ns,
    ) -> None:
        self._spool = spool
        self._drain = drain
        self._problems = problems
        self._tell = tell
        self._clock_ns = clock_ns
        self._clock_offset = clock_ns() - monotonic_ns()
        self._seen: tuple[int, Position] | None = None
        self._sync_from = spool.end()
        self._sync_at = monotonic() + SYNC_S
        self._told_at = monotonic()
        self._told_of = 0
        self._stopping = threading.Event()
        self._thread = SpoolThread("modeltrail-keeper", spool, self._run)
        self.start = self._thread.start

    def stop(self, timeout: float | None) -> bool:
        """
        End the thread; False if it did not in time.
        """
        self._stopping.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def turn(self) -> bool:
        """
        Do what there is to do, and tell whether anything has changed since the last turn.
        """
        seen = self._spool.appended, self._drain.needed_from
        changed, self._seen = seen != self._seen, seen
        for duty in (self._make_room, self._sync, self._check_clock, self._tell_metrics):
            try:
                duty()
            except Exception as error:
                self._problems.note("keeper-failed", error)
        return changed

    def _run(self) -> None:
        wait = TURN_S
        while not self._stopping.wait(wait):
            wait = TURN_S if self.turn() else min(wait * 2, IDLE_TURN_S)

    def _make_room(self) -> None:
        self._spool.make_room()

    def _sync(self) -> None:
        if monotonic() >= self._sync_at:
            if self._drain.needed_from < self._sync_from:
                self._spool.sync()
            self._sync_from = self._spool.end()
            self._sync_at = monotonic() + SYNC_S

    def _check_clock(self) -> None:
        offset = self._clock_ns() - monotonic_ns()
        jump, self._clock_offset = offset - self._clock_offset, offset
        if abs(jump) >= CLOCK_JUMP_NS:
            now = now_us()
            detail = msgspec.json.encode({"by_us": jump // 1000}).decode()
            columns = {"kind": "clock-jump", "detail": detail}
            self._spool.append(Frame(FrameKind.EVENT, uuid7(now), now, {}, columns))

    def _tell_metrics(self) -> None:
        if monotonic() - self._told_at >= METRICS_S:
            self._told_at = monotonic()
            if self._told_of != self._spool.appended:
                self._told_of = self._spool.appended
                self._tell()
