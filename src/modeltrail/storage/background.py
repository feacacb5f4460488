"""
What runs behind a trail in one process: its spool, its keeper and its writer.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from modeltrail.ids import now_us, uuid7
from modeltrail.keys import Keys
from modeltrail.pipeline import Pipeline
from modeltrail.problems import Problems
from modeltrail.record import Durability, Frame, FrameKind, Sink
from modeltrail.storage.drain import Drain, WriterIdentity
from modeltrail.storage.keeper import Keeper
from modeltrail.storage.spool import Orphan, Spool, orphans
from modeltrail.storage.spool.frames import Sealer
from modeltrail.storage.store import Store
from modeltrail.storage.writer import Writer

REPLAY_TIMEOUT_S = 5.0
# How long an append that is under way at the end may take; it takes microseconds.
LAST_APPEND_S = 1.0


class Settings(NamedTuple):
    """
    Where and how calls are kept on their way.

    Attributes:
        durability: What a call that has returned survives.
        limit_bytes: How large the spool of a process may grow.
    """

    folder: Path
    durability: Durability
    limit_bytes: int


class Background:
    """
    Takes frames and brings them into the store.

    Attributes:
        append: Takes a frame, or raises if it is lost.

    Args:
        tell: Is called once in a minute in which something happened.

    Raises:
        StoreUnavailableError: The spool folder cannot be written.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        pipeline: Pipeline,
        keys: Keys,
        problems: Problems,
        *,
        adopt_at_once: bool,
        tell: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._problems = problems
        self.spool = Spool(
            settings.folder,
            uuid7(now_us()).replace("-", ""),
            Sealer(keys.spool_key),
            problems.note,
            settings.limit_bytes,
        )
        identity = WriterIdentity(version("modeltrail"))

        def drain_of(spool: Spool | Orphan) -> Drain:
            return Drain(spool, store, pipeline, keys, identity, problems)

        def adopt(hopeless: frozenset[str]) -> Iterator[tuple[Orphan, Drain]]:
            for orphan in orphans(settings.folder, problems.note):
                if orphan.origin in hopeless:
                    orphan.release(remove=False)
                else:
                    yield orphan, drain_of(orphan)

        self.drain = drain_of(self.spool)
        self.writer = Writer(self.spool, self.drain, problems, adopt, adopt_at_once=adopt_at_once)
        self.keeper = Keeper(self.spool, self.drain, problems, tell=tell)
        self.append: Sink = (
            self._append_to_disk if settings.durability == "power" else self.spool.append
        )

    def start(self) -> Sink:
        """
        Start the threads and return the sink for frames.

        When the interpreter is about to end there can be no threads any more: then the sink
        stores what it is given by itself.
        """
        try:
            # In this order: without a writer the sink takes its place, beside none.
            self.keeper.start()
            self.writer.start()
        except RuntimeError:
            self.append = self.store_at_once
        return self.append

    @property
    def waiting_frames(self) -> int:
        """
        How many frames were appended and not read yet.
        """
        return max(self.spool.appended - self.drain.taken, 0)

    def drops(self) -> dict[str, int]:
        """
        Return what was lost, by reason and kind.
        """
        return dict(self.drain.drops + Counter(self.spool.drops.counts()))

    def await_replay(self) -> None:
        """
        Wait a while for what dead processes have left.
        """
        self.writer.await_replay(REPLAY_TIMEOUT_S)

    def flush(self, timeout: float | None) -> bool:
        """
        Wait until all that was appended is stored; False if that took too long.
        """
        if self._settings.durability == "power":
            self._sync()
        return self.writer.flush(timeout)

    async def aflush(self, timeout: float | None) -> bool:
        """
        Do the same without blocking the event loop.
        """
        loop = asyncio.get_running_loop()
        if self._settings.durability == "power":
            await loop.run_in_executor(None, self._sync)
        target = self.writer.want_all()
        turned = asyncio.Event()
        ignore = self.writer.listen(lambda: loop.call_soon_threadsafe(turned.set))
        try:
            async with asyncio.timeout(timeout):
                while self.drain.committed < target:
                    await turned.wait()
                    turned.clear()
        except TimeoutError:
            return False
        finally:
            ignore()
        return True

    def close(self, timeout: float | None) -> bool:
        """
        Store what is left and let go of everything.

        Returns:
            False if something could not be stored in time; it stays in the
            spool.
        """
        until = None if timeout is None else monotonic() + timeout
        self.keeper.stop(timeout)
        stored = self.writer.stop(None if until is None else max(until - monotonic(), 0))
        # What another thread has appended meanwhile waits for the next to open.
        end = self.spool.take_no_more(LAST_APPEND_S)
        stored = stored and end is not None and end <= self.drain.committed
        self.spool.release(remove=stored)
        return stored

    def store_at_once(self, frame: Frame) -> None:
        """
        Append a frame and, if it ends something, store all there is.
        """
        self.spool.append(frame)
        if frame.kind is not FrameKind.START:
            try:
                while self.drain.step(all_ended=True):
                    pass
            except Exception as error:  # it waits in the spool for the next process
                self._problems.note("store-unavailable", error)

    def _sync(self) -> None:
        try:
            self.spool.sync()
        except OSError as error:  # then only the database can make it safe
            self._problems.note("keeper-failed", error)

    def _append_to_disk(self, frame: Frame) -> None:
        self.spool.append(frame)
        if frame.kind is FrameKind.START:
            return  # comes to the disk with its end
        if _on_event_loop():
            self._problems.note("power-not-awaited")
        else:
            self.spool.sync()


def _on_event_loop() -> bool:
    # What has not been imported cannot run.
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None  # noqa: SLF001
