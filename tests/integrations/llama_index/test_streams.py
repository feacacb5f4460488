"""
Streams that are cut, given up or never read.
"""

import gc
from collections.abc import AsyncGenerator, Callable, Generator
from importlib.metadata import version
from typing import Any

import pytest
from drivers.llama_index import asked, make_llm
from litellm.exceptions import MidStreamFallbackError
from llama_index.core.llms import LLM
from packaging.version import Version
from scenarios import PROMPT

from modeltrail.testing import Answer, CapturedTrail, LocalProvider
from tests.integrations.llama_index.doings import only
from tests.integrations.llama_index.endpoints import CLIENTS, completing_model, every_client

SIX = Answer(text="abcdef", chunks=6)
Stream = Callable[[LLM], Generator[Any, None, None]]
STREAMS: dict[str, Stream] = {
    "chat": lambda llm: llm.stream_chat(asked()),
    "complete": lambda llm: llm.stream_complete(PROMPT),
}
every_stream = pytest.mark.parametrize("way", STREAMS)


def take(stream: Generator[Any, None, None], text: str) -> None:
    """
    Read a stream until so much of the text has come.
    """
    while text:
        text = text.removeprefix(next(stream).delta or "")


async def atake(stream: AsyncGenerator[Any, None], text: str) -> None:
    """
    Do the same asynchronously.
    """
    while text:
        text = text.removeprefix((await anext(stream)).delta or "")


def check_given_up(trail: CapturedTrail, provider: LocalProvider, chars: int) -> None:
    """
    Expect one stream that was given up when so much of its text had come.
    """
    record = only(trail)
    found = (record.status, record.streaming, record.output_chars, record.finish_reasons)
    assert found == ("cancelled", True, chars, None)
    assert (record.error_type, record.error_code) == (None, None)
    assert record.latency_us is not None
    assert provider.count() == 1


# LiteLLM notices by itself.
unnoticed = pytest.mark.parametrize("client", [each for each in CLIENTS if each != "litellm"])


@every_stream
@unnoticed
def test_23_truncated_stream_is_incomplete(
    records: CapturedTrail, provider: LocalProvider, client: str, way: str
) -> None:
    """A stream that stops without saying why has not been completed; its text is kept."""
    provider.script(Answer(text="abcdef", chunks=6, truncate_after=4))
    list(STREAMS[way](CLIENTS[client](provider)))
    record = only(records)
    assert (record.status, record.output_chars, record.finish_reasons) == ("incomplete", 4, None)
    assert (record.streaming, record.error_type) == (True, None)
    assert provider.count() == 1


def test_23_truncated_stream_of_a_completion_model(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """So is one of a model that only completes."""
    provider.script(Answer(text="abcdef", chunks=6, truncate_after=4))
    list(completing_model(provider).stream_complete(PROMPT))
    assert (only(records).status, only(records).output_chars) == ("incomplete", 4)


@unnoticed
async def test_23_truncated_asynchronous_stream(
    records: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """So is an asynchronous one."""
    provider.script(Answer(text="abcdef", chunks=6, truncate_after=4))
    async for _ in await CLIENTS[client](provider).astream_chat(asked()):
        pass
    assert (only(records).status, only(records).output_chars) == ("incomplete", 4)


@pytest.mark.skipif(
    Version(version("litellm")) < Version("1.107"), reason="LiteLLM 1.106 does not notice it"
)
@every_stream
def test_23_truncated_stream_that_the_client_notices(
    records: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """A client that finds out itself raises an error, and the text until then is kept."""
    provider.script(Answer(text="abcdef", chunks=6, truncate_after=4))
    with pytest.raises(MidStreamFallbackError):
        list(STREAMS[way](CLIENTS["litellm"](provider)))
    record = only(records)
    assert (record.status, record.error_type) == ("error", "MidStreamFallbackError")
    assert (record.output_chars, provider.count()) == (4, 1)


@every_stream
@every_client
def test_24_closed_stream_is_cancelled(
    records: CapturedTrail, provider: LocalProvider, client: str, way: str
) -> None:
    """A stream that is closed early is cancelled at once, no error, and keeps its text."""
    provider.script(SIX)
    stream = STREAMS[way](CLIENTS[client](provider))
    take(stream, "abc")
    assert records.records == []
    stream.close()
    check_given_up(records, provider, 3)


@every_client
async def test_24_closed_asynchronous_stream_is_cancelled(
    records: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """So is an asynchronous one."""
    provider.script(SIX)
    stream = await CLIENTS[client](provider).astream_chat(asked())
    assert isinstance(stream, AsyncGenerator)
    await atake(stream, "abc")
    await stream.aclose()
    check_given_up(records, provider, 3)


@every_stream
@every_client
def test_25_dropped_stream_is_cancelled(
    records: CapturedTrail, provider: LocalProvider, client: str, way: str
) -> None:
    """A stream that is let go of in the middle is cancelled when it is collected."""
    provider.script(SIX)
    stream = STREAMS[way](CLIENTS[client](provider))
    take(stream, "ab")
    del stream
    gc.collect()
    check_given_up(records, provider, 2)


@every_client
def test_26_unread_stream_is_cancelled(
    records: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """A stream that nobody reads is cancelled when it is collected, and costs nothing."""
    stream = CLIENTS[client](provider).stream_chat(asked())
    assert records.recorder.open_calls == 1
    del stream
    gc.collect()
    record = only(records)
    found = (record.status, record.streaming, record.output_chars, record.time_to_first_chunk_us)
    assert found == ("cancelled", True, None, None)
    assert (record.input_tokens, record.usage_source, record.cost_nanousd) == (
        None,
        "missing",
        None,
    )
    # Anthropic's client asks before it hands the stream out.
    assert provider.count() == (client == "anthropic")


async def test_26_unread_asynchronous_stream_is_cancelled(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """So is an asynchronous one."""
    stream = await make_llm(provider).astream_chat(asked())
    del stream
    gc.collect()
    assert (only(records).status, only(records).streaming) == ("cancelled", True)
    assert provider.count() == 0


def test_26_kept_stream_stays_open(records: CapturedTrail, provider: LocalProvider) -> None:
    """A stream that is still held may yet be read: nothing has ended."""
    stream = make_llm(provider).stream_chat(asked())
    gc.collect()
    assert records.records == []
    list(stream)
    assert only(records).status == "ok"


@every_client
def test_27_error_of_the_consumer_cancels(
    records: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """What the application raises while it reads is not the model's error."""
    provider.script(SIX)

    def read() -> None:
        for piece in CLIENTS[client](provider).stream_chat(asked()):
            if piece.delta:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read()
    gc.collect()
    check_given_up(records, provider, 1)


def test_27_error_thrown_into_a_stream(records: CapturedTrail, provider: LocalProvider) -> None:
    """An error that is thrown into the stream itself ends it as that error."""
    provider.script(SIX)
    stream = make_llm(provider).stream_chat(asked())
    take(stream, "a")
    with pytest.raises(ZeroDivisionError):
        stream.throw(ZeroDivisionError())
    assert (only(records).status, only(records).error_type) == ("error", "ZeroDivisionError")
