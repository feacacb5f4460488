"""
Requests for embeddings.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest
from drivers.llama_index import FAKE_KEY, make_embedding
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index.embeddings.openai import OpenAIEmbedding

from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider


def openai_embedding(provider: LocalProvider, **options: Any) -> OpenAIEmbedding:
    """
    Make LlamaIndex's embedding model of OpenAI.
    """
    known = {"api_base": provider.base_url, "api_key": FAKE_KEY, "max_retries": 0}
    return OpenAIEmbedding(**known, **options)


MAKERS: list[Callable[..., Any]] = [make_embedding, openai_embedding]


@pytest.mark.parametrize("make", MAKERS)
def test_45_embeddings_one_by_one_and_in_batches(
    records: CapturedTrail, provider: LocalProvider, make: Callable[..., Any]
) -> None:
    """A query, a text and a batch leave one record per request, with its own input."""
    model = make(provider, embed_batch_size=2)
    model.get_query_embedding("q")
    model.get_text_embedding("tt")
    model.get_text_embedding_batch(["a", "bb", "ccc"])
    assert [each.input_chars for each in records.records] == [1, 2, 3, 3]
    assert {(each.status, each.operation) for each in records.records} == {("ok", "embeddings")}
    assert len({each.run_id for each in records.records}) == provider.count() == 4


@pytest.mark.parametrize("make", MAKERS)
def test_45_asynchronous_embeddings(
    records: CapturedTrail, provider: LocalProvider, make: Callable[..., Any]
) -> None:
    """So they do asynchronously."""
    model = make(provider, embed_batch_size=2)

    async def act() -> None:
        await model.aget_query_embedding("q")
        await model.aget_text_embedding("tt")
        await model.aget_text_embedding_batch(["a", "bb", "ccc"])

    asyncio.run(act())
    assert [each.input_chars for each in records.records] == [1, 2, 3, 3]
    assert {each.request_model for each in records.records} == {model.model_name}
    assert provider.count() == 4


def test_45_nothing_is_known_of_usage(records: CapturedTrail, provider: LocalProvider) -> None:
    """LlamaIndex tells no usage of embeddings: it is unknown, not zero, and so is the cost."""
    make_embedding(provider).get_text_embedding("x")
    (record,) = records.records
    assert (record.input_tokens, record.usage_source) == (None, "missing")
    assert (record.cost_nanousd, record.output_chars) == (None, None)


async def test_46_batches_at_once(records: CapturedTrail, provider: LocalProvider) -> None:
    """Batches that run at once on one span leave a record each, with their own input."""
    texts = ["x" * n for n in range(1, 6)]
    await make_embedding(provider, embed_batch_size=2).aget_text_embedding_batch(texts)
    assert [each.input_chars for each in records.records] == [1 + 2, 3 + 4, 5]
    assert {each.status for each in records.records} == {"ok"}
    assert provider.count() == 3


async def test_46_two_batches_at_once_on_one_model(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """Two batches at once on one model do not take each other's input."""
    model = make_embedding(provider, embed_batch_size=1)
    await asyncio.gather(
        model.aget_text_embedding_batch(["a", "bb"]),
        model.aget_text_embedding_batch(["c" * 3, "d" * 4]),
    )
    by_parent: dict[str | None, list[int | None]] = {}
    for each in records.records:
        by_parent.setdefault(each.trace_id, []).append(each.input_chars)
    assert sorted(by_parent.values()) == [[1, 2], [3, 4]]
    assert provider.count() == 4


async def test_46_failing_batch_fails_all_that_is_open(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """Of batches at once that fail together nobody knows which failed: all are errors."""
    provider.script(Answer(), Fault(status=401))
    with pytest.raises(openai.AuthenticationError):
        await make_embedding(provider, embed_batch_size=1).aget_text_embedding_batch(["a", "b"])
    assert [each.error_code for each in records.records] == ["401", "401"]
    assert {each.usage_source for each in records.records} == {"missing"}
    assert provider.count() == 2


def test_46_failing_batch_in_turn(records: CapturedTrail, provider: LocalProvider) -> None:
    """Of batches in turn those before the failing one went well, and none comes after it."""
    provider.script(Answer(), Fault(status=429))
    with pytest.raises(openai.RateLimitError):
        make_embedding(provider, embed_batch_size=1).get_text_embedding_batch(["a", "bb", "ccc"])
    found = [(each.status, each.error_code, each.input_chars) for each in records.records]
    assert found == [("ok", None, 1), ("error", "429", 2)]
    assert provider.count() == 2


def test_47_cached_embedding_costs_nothing(records: CapturedTrail, provider: LocalProvider) -> None:
    """LlamaIndex tells of an embedding from its cache as of any other: what it cost is unknown."""
    model = make_embedding(provider, embeddings_cache=SimpleKVStore())
    first, again = (model.get_text_embedding("x") for _ in range(2))
    assert first == again
    assert provider.count() == 1
    found = [(each.cache_hit, each.cost_nanousd, each.input_tokens) for each in records.records]
    assert found == [(None, None, None)] * 2
    assert {each.status for each in records.records} == {"ok"}
