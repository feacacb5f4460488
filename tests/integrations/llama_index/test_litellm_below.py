"""
Calls of LlamaIndex that LiteLLM makes, and those that it makes for others.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import litellm
import modeltrail_litellm
import pytest
from drivers.litellm import at
from drivers.llama_index import FAKE_KEY, asked, make_llm
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.llms.litellm import LiteLLM
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index_instrumentation.dispatcher import instrument_tags

from modeltrail.invocation import enclosing
from modeltrail.record import CallRecord
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from tests.integrations.told import Told

SERVED = "gpt-4o-mini-2024-07-18"
# Not even by the client below LiteLLM.
REFUSED = Fault(status=429, headers={"x-should-retry": "false"})
TAGS = {"feature": "support", "variant": "B"}


@pytest.fixture
def told(records: CapturedTrail) -> Iterator[Told]:
    """
    Record the calls of LiteLLM, too.
    """
    logger = modeltrail_litellm.install(records)
    yield Told(records)
    modeltrail_litellm.uninstall(logger)


def litellm_llm(provider: LocalProvider) -> LiteLLM:
    """
    Make LlamaIndex's client of LiteLLM.
    """
    return LiteLLM(
        "openai/gpt-4o-mini",
        api_base=provider.base_url,
        api_key=FAKE_KEY,
        max_retries=1,
    )


async def astream(llm: LiteLLM) -> None:
    """
    Stream a whole answer.
    """
    async for _ in await llm.astream_chat(asked()):
        pass


Way = Callable[[LiteLLM], Any]
WAYS: dict[str, Way] = {
    "chat": lambda llm: llm.chat(asked()),
    "stream_chat": lambda llm: list(llm.stream_chat(asked())),
    "complete": lambda llm: llm.complete("hi"),
}
ASYNC_WAYS: dict[str, Way] = {"achat": lambda llm: llm.achat(asked()), "astream_chat": astream}


def assert_merged(records: list[CallRecord], provider: LocalProvider) -> None:
    """
    Find one record of one call, with what each of the two frameworks knows of it.
    """
    (record,) = records
    (request,) = provider.requests
    assert (record.framework, record.status) == ("llama_index", "ok")
    assert (record.feature, record.variant) == ("support", "B")
    assert (record.request_model, record.response_model) == ("openai/gpt-4o-mini", SERVED)
    assert (record.response_id, record.provider_request_id) == ("chatcmpl-1", request.request_id)
    # LlamaIndex's client asks for no usage of a stream, and cannot be told to.
    usage = (None, None, "missing") if record.streaming else (14, 7, "provider")
    assert (record.input_tokens, record.output_tokens, record.usage_source) == usage
    cost = None if record.streaming else 14 * 150 + 7 * 600
    assert record.cost_nanousd == record.cost_reported_nanousd == cost
    assert (record.output_chars, record.finish_reasons) == (31, '["stop"]')


@pytest.mark.parametrize("way", WAYS)
def test_48_call_that_litellm_makes(told: Told, provider: LocalProvider, way: str) -> None:
    """A call of LlamaIndex made by LiteLLM is one record, LlamaIndex's, with LiteLLM's facts."""
    provider.script(Answer(model=SERVED, response_id="chatcmpl-1"))
    with instrument_tags(TAGS):
        WAYS[way](litellm_llm(provider))
    assert_merged(told.records(1), provider)


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_48_asynchronous_call_that_litellm_makes(
    told: Told, provider: LocalProvider, way: str
) -> None:
    """The same asynchronously."""
    provider.script(Answer(model=SERVED, response_id="chatcmpl-1"))
    with instrument_tags(TAGS):
        await ASYNC_WAYS[way](litellm_llm(provider))
    assert_merged(await told.arecords(1), provider)


@pytest.mark.parametrize("way", WAYS)
def test_48_failing_call_that_litellm_makes(told: Told, provider: LocalProvider, way: str) -> None:
    """A call that fails is one record, too, with its code and tags."""
    provider.script(REFUSED)
    with pytest.raises(litellm.RateLimitError), instrument_tags(TAGS):
        WAYS[way](litellm_llm(provider))
    assert_failed(told.records(0), provider)


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_48_failing_asynchronous_call_that_litellm_makes(
    told: Told, provider: LocalProvider, way: str
) -> None:
    """The same asynchronously."""
    provider.script(REFUSED)
    with pytest.raises(litellm.RateLimitError), instrument_tags(TAGS):
        await ASYNC_WAYS[way](litellm_llm(provider))
    assert_failed(await told.arecords(0), provider)


def assert_failed(records: list[CallRecord], provider: LocalProvider) -> None:
    """
    Find one record of one call that failed.
    """
    (record,) = records
    assert (record.framework, record.status) == ("llama_index", "error")
    assert (record.error_type, record.error_code) == ("RateLimitError", "429")
    assert (record.feature, record.variant) == ("support", "B")
    assert provider.count() == 1


async def test_48_concurrent_calls_keep_their_own_facts(
    told: Told, provider: LocalProvider
) -> None:
    """Calls at once are joined each with its own: none has another one's response."""
    provider.answers = lambda request: Answer(response_id=request.body["messages"][0]["content"])
    llm = litellm_llm(provider)
    await asyncio.gather(*[llm.achat(asked("x" * number)) for number in range(1, 7)])
    found = sorted(await told.arecords(6), key=lambda each: each.input_chars or 0)
    assert [each.response_id for each in found] == ["x" * number for number in range(1, 7)]
    assert all(each.cost_reported_nanousd for each in found)
    assert provider.count() == 6


def by_framework(records: list[CallRecord]) -> list[tuple[str, str, int | None]]:
    """
    Return who told of each call, how it ended, and how long its answer was.
    """
    return sorted((each.framework, each.status, each.output_chars) for each in records)


class OwnEmbedding(BaseEmbedding):
    """
    An application's own embeddings, which LiteLLM makes.
    """

    api_base: str

    def _ask(self, texts: list[str]) -> dict[str, Any]:
        model = "openai/text-embedding-3-small"
        return {"model": model, "input": texts, "api_base": self.api_base, "api_key": FAKE_KEY}

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._vector(litellm.embedding(**self._ask([text])))

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._vector(await litellm.aembedding(**self._ask([query])))

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        answer = await litellm.aembedding(**self._ask(texts))
        return [each["embedding"] for each in answer.data]

    @staticmethod
    def _vector(answer: Any) -> list[float]:
        return list(answer.data[0]["embedding"])


async def test_48_batches_at_once_that_litellm_makes(told: Told, provider: LocalProvider) -> None:
    """Of batches that are asked for at once none takes another's tokens; one alone has its own."""
    provider.script(*(Answer(input_tokens=count) for count in (7, 11, 13)))
    model = OwnEmbedding(api_base=provider.base_url, embed_batch_size=1)
    await model.aget_query_embedding("q")
    await model.aget_text_embedding_batch(["a", "b"])
    found = [(each.framework, each.input_tokens) for each in await told.arecords(1)]
    assert found == [("llama_index", 7), ("llama_index", None), ("llama_index", None)]
    assert provider.count() == 3


def test_49_litellm_outside_of_llama_index(told: Told, provider: LocalProvider) -> None:
    """A call of LiteLLM before or after one of LlamaIndex is a record of its own."""
    litellm.completion(**at(provider))
    litellm_llm(provider).chat(asked())
    litellm.completion(**at(provider))
    found = by_framework(told.records(1))
    assert found == [("litellm", "ok", 31)] * 2 + [("llama_index", "ok", 31)]
    assert provider.count() == 3


def test_49_litellm_between_the_pieces_of_a_stream(told: Told, provider: LocalProvider) -> None:
    """What the application does between two pieces of a stream is its own."""
    provider.script(Answer("abcdef", chunks=6), Answer("other"))
    stream = litellm_llm(provider).stream_chat(asked())
    while not next(stream).delta:
        pass
    litellm.completion(**at(provider))
    list(stream)
    found = by_framework(told.records(1))
    assert found == [("litellm", "ok", 5), ("llama_index", "ok", 6)]
    assert provider.count() == 2


def test_49_litellm_while_a_direct_stream_waits(told: Told, provider: LocalProvider) -> None:
    """A client that sends its requests itself takes in no call of LiteLLM."""
    provider.script(Answer("other"), Answer("abcdef"))
    stream = make_llm(provider).stream_chat(asked())
    litellm.completion(**at(provider))
    list(stream)
    found = by_framework(told.records(0))
    assert found == [("litellm", "ok", 5), ("llama_index", "ok", 6)]
    assert provider.count() == 2


def direct_clients(provider: LocalProvider) -> list[BaseLLM]:
    """
    Make the clients that send their requests themselves.
    """
    known = {"api_base": provider.base_url, "api_key": FAKE_KEY}
    return [
        make_llm(provider),
        OpenAI("gpt-4o-mini", **known),
        OpenAIResponses("gpt-4o-mini", **known),
    ]


def test_49_direct_clients_enclose_nothing(records: CapturedTrail, provider: LocalProvider) -> None:
    """Within none of the clients of one provider a call of LiteLLM would be taken in."""
    for llm in direct_clients(provider):
        stream = llm.stream_chat(asked())
        assert enclosing("litellm", records.recorder) is None
        list(stream)
    assert [each.status for each in records.records] == ["ok"] * 3
    assert provider.count() == 3
