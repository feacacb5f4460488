"""
Streams that somebody gives up.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from langchain_openai import ChatOpenAI
from modeltrail_langchain import TrailCallbackHandler

from modeltrail.testing import Answer, CapturedTrail, LocalProvider
from modeltrail.trail import Trail
from tests.integrations.langchain.calling import PATIENCE_S, TEXT, Make, every_client, until
from tests.integrations.langchain.clients import openai_model

SIX = Answer(text="abcdef", chunks=6)


def take(pieces: Iterator[Any], text: str) -> None:
    """
    Read a stream until so much of the text has come.
    """
    while text:
        text = text.removeprefix(str(next(pieces).text))


async def atake(pieces: AsyncIterator[Any], text: str) -> None:
    """
    Do the same asynchronously.
    """
    while text:
        text = text.removeprefix(str((await anext(pieces)).text))


def check_given_up(captured: CapturedTrail, chars: int | None) -> None:
    """
    Expect one stream that was given up when so much of its text had come.
    """
    (record,) = captured.records
    found = (record.status, record.streaming, record.output_chars, record.finish_reasons)
    assert found == ("cancelled", True, chars, None)
    assert (record.error_type, captured.recorder.open_calls) == (None, 0)


@every_client
def test_06_stream_closed_early(
    make: Make, handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A stream that is closed early is cancelled, no error, and keeps its text."""
    provider.script(SIX)
    stream = make(provider, callbacks=[handler]).stream("hi")
    take(stream, "abc")
    stream.close()
    check_given_up(captured, 3)


@every_client
async def test_06_asynchronous_stream_closed_early(
    make: Make, handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """So is an asynchronous one."""
    provider.script(SIX)
    stream = make(provider, callbacks=[handler]).astream("hi")
    await atake(stream, "abc")
    await stream.aclose()
    check_given_up(captured, 3)


async def test_06_task_cancelled_within_a_stream(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A stream whose reader is cancelled while it waits keeps its text."""
    provider.script(Answer(text="abcdef", chunks=2, chunk_delay=60))
    arrived = asyncio.Event()

    async def read() -> None:
        stream = model.astream("hi")
        await atake(stream, "abc")
        arrived.set()
        await atake(stream, "def")

    task = asyncio.create_task(read())
    await asyncio.wait_for(arrived.wait(), PATIENCE_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    check_given_up(captured, 3)


def test_07_dropped_stream(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A stream that nobody holds any more is cancelled and keeps its text."""
    provider.script(SIX)
    stream = model.stream("hi")
    take(stream, "ab")
    del stream
    gc.collect()
    check_given_up(captured, 2)


async def test_07_dropped_asynchronous_stream(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """So is an asynchronous one, by its event loop."""
    provider.script(SIX)
    stream = model.astream("hi")
    await atake(stream, "ab")
    del stream
    gc.collect()
    await until(lambda: captured.recorder.open_calls == 0)
    check_given_up(captured, 2)


def test_08_stream_left_at_its_finish_reason(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Who leaves a stream at its finish reason has all the text, but never sees the usage."""
    stream = model.stream("hi", stream_usage=True)
    while not next(stream).response_metadata.get("finish_reason"):
        pass
    stream.close()
    (record,) = captured.records
    assert (record.status, record.output_chars) == ("cancelled", len(TEXT))
    assert record.finish_reasons == '["stop"]'
    assert (record.usage_source, record.input_tokens, record.cost_nanousd) == (
        "missing",
        None,
        None,
    )
    assert provider.count() == 1


@pytest.mark.parametrize("settle", [Trail.settle, Trail.close])
def test_09_dropped_stream_of_events_is_open_until_settled(
    settle: Callable[[Trail], object], trail: Trail, provider: LocalProvider
) -> None:
    """LangChain never ends a stream of events that is dropped; the trail does when it settles."""
    handler = TrailCallbackHandler(trail)
    stream = openai_model(provider, callbacks=[handler]).stream_events("hi", version="v3")
    assert next(iter(stream.text))
    del stream
    gc.collect()
    assert trail.health().open_calls == 1
    settle(trail)
    assert trail.health().open_calls == 0
    assert trail.flush(PATIENCE_S)
    (record,) = [each.record for each in trail.store.calls(limit=None)]
    assert (record.status, record.streaming, record.latency_us) == ("incomplete", True, None)
    assert record.time_to_first_chunk_us is not None
    assert provider.count() == 1


async def test_09_dropped_asynchronous_stream_of_events_ends_well(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """An asynchronous stream of events goes on without a reader, and is recorded as whole."""
    provider.script(Answer(text="abcdef", chunks=6, chunk_delay=0.02))

    async def read() -> None:
        stream = await model.astream_events("hi", version="v3")
        assert await anext(aiter(stream.text)) == "a"

    await asyncio.create_task(read())
    await until(lambda: captured.recorder.open_calls == 0)
    assert [(each.status, each.output_chars) for each in captured.records] == [("ok", 6)]
    assert provider.count() == 1


async def test_09_closed_asynchronous_stream_of_events_is_cancelled(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A closed stream of events is cancelled; what had arrived LangChain keeps to itself."""
    provider.script(Answer(text="abcdef", chunks=2, chunk_delay=60))
    stream = await model.astream_events("hi", version="v3")
    assert await anext(aiter(stream.text)) == "abc"
    await stream.aclose()
    check_given_up(captured, None)
