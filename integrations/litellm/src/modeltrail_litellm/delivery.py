"""
Hearing out LiteLLM, which tells of most ends later than they happen.

Of synchronous calls its threads tell; of streams in an event loop, and of
what its cache answers there, a worker in that loop.
"""

import asyncio
from time import monotonic, sleep

from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER as WORKER

from modeltrail_litellm.open_calls import OpenCalls

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
        Wait until LiteLLM has told of what this thread has called, and of what its worker holds.

        Within a running event loop nothing is waited for: LiteLLM would tell there.

        Raises:
            TimeoutError: It took longer than so many seconds.
        """
        if _running_loop() is not None:
            return
        until = monotonic() + timeout
        self._await_threads(until)
        if (loop := _worker_loop()) is None:
            return
        left = max(until - monotonic(), 0)
        if loop.is_running():
            asyncio.run_coroutine_threadsafe(WORKER.flush(), loop).result(left)
            return
        # With a loop given, the thread's own is left as it is.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            runner.run(_flush(left))

    async def ahear_out(self, timeout: float) -> None:
        """
        Wait until LiteLLM has told of what its worker holds.

        Raises:
            TimeoutError: It took longer than so many seconds.
        """
        await asyncio.sleep(0)  # what ends in this loop is told in its next step
        if (loop := _worker_loop()) is None:
            return
        if loop is _running_loop() or not loop.is_running():
            await _flush(timeout)
        else:
            told = asyncio.run_coroutine_threadsafe(WORKER.flush(), loop)
            await asyncio.wait_for(asyncio.wrap_future(told), timeout)

    def _await_threads(self, until: float) -> None:
        streams_until = min(monotonic() + STREAMS_S, until)
        while self._calls.made_here(streams=monotonic() < streams_until) and monotonic() < until:
            sleep(POLL_S)


async def _flush(timeout: float) -> None:
    await asyncio.wait_for(WORKER.flush(), timeout)


def _worker_loop() -> asyncio.AbstractEventLoop | None:
    # LiteLLM tells nowhere else where it works; None if it never has.
    return WORKER._bound_loop  # noqa: SLF001


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
