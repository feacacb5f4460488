"""
Event loops that cancel and close in the middle of a stream.
"""

import asyncio
import gc
import sys
import traceback
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from drivers.langchain import LangChainDriver
from modeltrail_langchain import TrailCallbackHandler
from recording import request
from scenarios import PROMPT

from modeltrail.record import CallRecord
from modeltrail.testing import Answer, LocalProvider
from modeltrail.trail import Trail

pytestmark = pytest.mark.fault

STREAM = Answer(text="Eight legs has it.", chunks=8, chunk_delay=0.05)


@pytest.fixture
def stream(trail: Trail, provider: LocalProvider) -> Callable[[], AsyncIterator[Any]]:
    """
    Stream an answer that takes its time, through LangChain's real client.
    """
    provider.answers = lambda _: STREAM
    driver = LangChainDriver(TrailCallbackHandler(trail), provider)
    return lambda: driver._model().astream(PROMPT, config=driver._config(), stream_usage=True)


@pytest.fixture
def raised_in(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """
    Collect the modules that an error passed through which a finaliser raised.
    """
    found: list[str] = []

    def note(unraisable: Any) -> None:
        frames = traceback.walk_tb(unraisable.exc_traceback)
        found.extend(frame.f_globals["__name__"] for frame, _ in frames)

    monkeypatch.setattr(sys, "unraisablehook", note)
    return found


def only_record(trail: Trail) -> CallRecord:
    """
    Return the one record that there is.
    """
    assert trail.flush(20)
    assert trail.health().problems == {}
    (found,) = trail.store.calls()
    return found.record


def test_task_cancelled_in_a_stream(trail: Trail, stream: Callable[[], AsyncIterator[Any]]) -> None:
    """The task hears of its own cancellation alone, and the call is recorded as cancelled."""

    async def cancel_at_the_second_piece() -> None:
        pieces = 0

        async def consume() -> None:
            nonlocal pieces
            async for _ in stream():
                pieces += 1
                if pieces == 2:
                    reading.cancel()

        reading = asyncio.create_task(consume())
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(cancel_at_the_second_piece())
    record = only_record(trail)
    assert (record.status, record.streaming) == ("cancelled", True)


@pytest.mark.filterwarnings("ignore:coroutine 'AsyncCallbackManagerForLLMRun:RuntimeWarning")
def test_stream_dropped_after_its_loop_was_closed(
    trail: Trail, stream: Callable[[], AsyncIterator[Any]], raised_in: list[str]
) -> None:
    """A stream that the garbage collector finds when its loop is gone harms nobody."""
    loop = asyncio.new_event_loop()
    pieces = stream()
    loop.run_until_complete(anext(pieces))
    loop.close()
    del pieces
    gc.collect()
    trail.settle()
    assert only_record(trail).status in {"cancelled", "incomplete"}
    # LangChain itself raises there: its callbacks need a loop.
    assert [name for name in raised_in if name.startswith("modeltrail")] == []


def test_finaliser_ends_a_call_after_its_loop_was_closed(
    trail: Trail, raised_in: list[str]
) -> None:
    """A call may end where there is no loop any more, even while somebody waits for it."""
    call = trail.recorder.start(request())
    loop = asyncio.new_event_loop()

    async def begin() -> None:
        waiting = asyncio.create_task(trail.aflush())
        await asyncio.sleep(0)
        waiting.cancel()

    class Stream:
        pass

    stream = Stream()
    weakref.finalize(stream, call.cancel)
    loop.run_until_complete(begin())
    loop.close()
    del stream
    assert only_record(trail).status == "cancelled"
    assert raised_in == []
