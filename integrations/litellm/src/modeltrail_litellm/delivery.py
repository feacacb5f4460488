"""
Hearing out LiteLLM, which tells of most ends later than they happen.

Of synchronous calls its threads tell; of streams in an event loop, tasks of
that loop; of what its cache answers there, a worker in that loop.
"""

import asyncio
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any

from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER as WORKER

from modeltrail_litellm.open_calls import Loop, OpenCalls, running_loop
from modeltrail_litellm.tables import TELLERS

POLL_S = 0.002
# A stream may have been read to its end, or be left half-read; nobody can tell.
STREAMS_S = 0.5


class Delivery:
    """
    What a trail hears out before it is flushed or closed.
    """

    def __init__(self, calls: OpenCalls) -> None:
        self._calls = calls

    def hear_out(self, timeout: float) -> None:
        """
        Wait until LiteLLM has told of what has ended in this thread, in threads that have
        ended, and in event loops elsewhere.

        For what ends in the event loop of this thread it does not wait: that is told there.

        Raises:
            TimeoutError: It took longer than so many seconds.
        """
        until = monotonic() + timeout
        if running_loop() is None:
            self._hear_out_loops(until)
        for _ in self._threads(until):
            sleep(POLL_S)

    async def ahear_out(self, timeout: float) -> None:
        """
        Wait until LiteLLM has told of what has ended in this event loop, in its thread, in
        threads that have ended, and in other event loops.

        Raises:
            TimeoutError: It took longer than so many seconds.
        """
        async with asyncio.timeout(timeout):
            await asyncio.sleep(0)  # what ends in this loop is told in its next step
            for _ in self._threads(monotonic() + timeout):
                await asyncio.sleep(POLL_S)
            await _hear_out_here()
            for loop in self._loops_at_work() - {asyncio.get_running_loop()}:
                told = asyncio.run_coroutine_threadsafe(_hear_out_here(), loop)
                await asyncio.wrap_future(told)
            if _is_left_behind():
                await WORKER.flush()

    def _hear_out_loops(self, until: float) -> None:
        for loop in self._loops_at_work():
            told = asyncio.run_coroutine_threadsafe(_hear_out_here(), loop)
            told.result(max(until - monotonic(), 0))
        if _is_left_behind():
            # With a loop given, the thread's own is left as it is.
            with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                runner.run(_hear_out_worker(max(until - monotonic(), 0)))

    def _threads(self, until: float) -> Iterator[None]:
        """
        Yield as long as threads of LiteLLM's are about to tell of an end.
        """
        streams_until = min(monotonic() + STREAMS_S, until)
        while monotonic() < until and self._calls.returned(streams=monotonic() < streams_until):
            yield

    def _loops_at_work(self) -> set[Loop]:
        loops = self._calls.loops()
        if (loop := _worker_loop()) is not None:
            loops.add(loop)
        return {loop for loop in loops if loop.is_running()}


async def _hear_out_here() -> None:
    """
    Wait for all that tells of ends in this loop.
    """
    if telling := {task for task in asyncio.all_tasks() if _tells(task)}:
        await asyncio.wait(telling)
    if _worker_loop() is asyncio.get_running_loop():
        await WORKER.flush()


async def _hear_out_worker(timeout: float) -> None:
    await asyncio.wait_for(WORKER.flush(), timeout)


def _tells(task: "asyncio.Task[Any]") -> bool:
    return getattr(task.get_coro(), "__qualname__", None) in TELLERS


def _is_left_behind() -> bool:
    # What the worker holds when its loop ends waits for the next loop.
    loop = _worker_loop()
    return loop is not None and not loop.is_running()


def _worker_loop() -> Loop | None:
    # LiteLLM tells nowhere else where it works; None if it never has.
    return WORKER._bound_loop  # noqa: SLF001
