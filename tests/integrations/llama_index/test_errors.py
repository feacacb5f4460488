"""
Calls that fail.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest
from drivers.llama_index import FAKE_KEY, asked, make_embedding, make_llm
from llama_index.core.rate_limiter import BaseRateLimiter
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.span import BaseSpan
from llama_index_instrumentation.span_handlers import SimpleSpanHandler
from scenarios import PROMPT, TEXT

from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider


def openai_llm(provider: LocalProvider) -> OpenAI:
    """
    Make LlamaIndex's client of OpenAI.
    """
    return OpenAI("gpt-4o-mini", api_base=provider.base_url, api_key=FAKE_KEY, max_retries=0)


def responses_llm(provider: LocalProvider) -> OpenAIResponses:
    """
    Make LlamaIndex's client of OpenAI's Responses API.
    """
    given = {"api_base": provider.base_url, "api_key": FAKE_KEY, "max_retries": 0}
    return OpenAIResponses("gpt-4o-mini", **given)


async def astream(llm: Any) -> None:
    """
    Stream a whole answer.
    """
    async for _ in await llm.astream_chat(asked()):
        pass


MAKERS: dict[str, Callable[[LocalProvider], Any]] = {
    "like": make_llm,
    "openai": openai_llm,
    "responses": responses_llm,
}
WHOLE: dict[str, Callable[[Any], object]] = {
    "chat": lambda llm: llm.chat(asked()),
    "complete": lambda llm: llm.complete(PROMPT),
    "achat": lambda llm: asyncio.run(llm.achat(asked())),
}
STREAMED: dict[str, Callable[[Any], object]] = {
    "stream_chat": lambda llm: list(llm.stream_chat(asked())),
    "stream_complete": lambda llm: list(llm.stream_complete(PROMPT)),
    "astream_chat": lambda llm: asyncio.run(astream(llm)),
}
ERRORS = {
    401: openai.AuthenticationError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
}


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize("way", WHOLE)
def test_32_refused_call(
    records: CapturedTrail, provider: LocalProvider, make: str, status: int, way: str
) -> None:
    """A refused call is an error with its type, its status and the id of its request."""
    provider.script(Fault(status=status))
    with pytest.raises(ERRORS[status]):
        WHOLE[way](MAKERS[make](provider))
    (record,) = records.records
    (request,) = provider.requests
    assert (record.status, record.streaming) == ("error", False)
    assert (record.error_type, record.error_code) == (ERRORS[status].__name__, str(status))
    assert record.provider_request_id == request.request_id
    assert (record.request_model, record.usage_source) == ("gpt-4o-mini", "missing")


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("way", STREAMED)
def test_33_refused_stream(
    records: CapturedTrail, provider: LocalProvider, make: str, way: str
) -> None:
    """A stream that is refused at once is an error, too, and has no first piece."""
    provider.script(Fault(status=500))
    with pytest.raises(openai.InternalServerError):
        STREAMED[way](MAKERS[make](provider))
    (record,) = records.records
    (request,) = provider.requests
    assert (record.status, record.streaming, record.error_code) == ("error", True, "500")
    assert (record.output_chars, record.time_to_first_chunk_us) == (None, None)
    assert record.provider_request_id == request.request_id


HALF = Fault(error_after=2, answer=Answer(text=TEXT, chunks=len(TEXT)))


@pytest.mark.parametrize("make", ["like", "openai"])
@pytest.mark.parametrize("way", STREAMED)
def test_34_error_within_a_stream(
    records: CapturedTrail, provider: LocalProvider, make: str, way: str
) -> None:
    """A stream that the provider ends with an error keeps what had come; its status was good."""
    provider.script(HALF)
    with pytest.raises(openai.APIError):
        STREAMED[way](MAKERS[make](provider))
    (record,) = records.records
    assert (record.status, record.error_type, record.error_code) == ("error", "APIError", None)
    assert (record.streaming, record.output_chars) == (True, 2)
    assert record.time_to_first_chunk_us
    assert provider.count() == 1


@pytest.mark.parametrize("way", STREAMED)
def test_34_error_that_the_client_swallows(
    records: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """The client of the Responses API says nothing of such an error: the answer is not whole."""
    provider.script(HALF)
    STREAMED[way](responses_llm(provider))
    (record,) = records.records
    assert (record.status, record.streaming, record.output_chars) == ("incomplete", True, 2)
    assert provider.count() == 1


class Full(BaseRateLimiter):
    """
    A limiter that lets nobody pass.
    """

    def acquire(self, num_tokens: int = 0) -> None:
        raise PermissionError

    async def async_acquire(self, num_tokens: int = 0) -> None:
        raise PermissionError


@pytest.mark.parametrize(
    "act",
    [
        lambda llm, _: llm.chat(asked()),
        lambda llm, _: list(llm.stream_chat(asked())),
        lambda llm, _: asyncio.run(astream(llm)),
        lambda llm, _: asyncio.run(llm.acomplete(PROMPT)),
        lambda _, model: model.get_text_embedding("x"),
        lambda _, model: asyncio.run(model.aget_query_embedding("x")),
    ],
    ids=["chat", "stream_chat", "astream_chat", "acomplete", "embedding", "async embedding"],
)
def test_35_limiter_that_lets_nobody_pass(
    records: CapturedTrail, provider: LocalProvider, act: Callable[[Any, Any], object]
) -> None:
    """A call that a rate limiter refuses is one error, and no request."""
    limited = {"rate_limiter": Full()}
    with pytest.raises(PermissionError):
        act(make_llm(provider, **limited), make_embedding(provider, **limited))
    (record,) = records.records
    assert (record.status, record.error_type) == ("error", "PermissionError")
    assert (record.error_code, provider.count()) == (None, 0)
    assert records.recorder.open_calls == 0


@pytest.mark.parametrize("is_chat_model", [True, False])
@pytest.mark.parametrize("way", WHOLE)
def test_36_nested_spans_of_one_call(
    records: CapturedTrail, provider: LocalProvider, is_chat_model: bool, way: str
) -> None:
    """A call that fails through several nested spans is one error."""
    listener: SimpleSpanHandler = SimpleSpanHandler()
    get_dispatcher().add_span_handler(listener)
    provider.script(Fault(status=429))
    try:
        with pytest.raises(openai.RateLimitError):
            WHOLE[way](make_llm(provider, is_chat_model=is_chat_model))
    finally:
        get_dispatcher().span_handlers.remove(listener)
    assert nested(listener.dropped_spans) >= 2
    assert [each.error_code for each in records.records] == ["429"]
    assert provider.count() == 1


def nested(spans: list[Any]) -> int:
    """
    Count the spans of the model.
    """
    return sum(isinstance(each, BaseSpan) and "OpenAILike" in each.id_ for each in spans)
