"""
Embeddings, which LangChain announces to nobody: recorded by a wrapper of our own.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import modeltrail_litellm
import openai
import pytest
from drivers.litellm import wait_for_threads
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_litellm import LiteLLMEmbeddings
from langchain_openai import OpenAIEmbeddings
from langgraph.graph import START, MessagesState, StateGraph
from modeltrail_langchain import TrailCallbackHandler, recorded

import modeltrail
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from modeltrail.trail import Trail
from tests.integrations.langchain.clients import KEY, openai_model

MODEL = "text-embedding-3-small"


@pytest.fixture
def bare(provider: LocalProvider) -> OpenAIEmbeddings:
    """Make the real client, without retries of its own."""
    return OpenAIEmbeddings(
        model=MODEL,
        base_url=provider.base_url,
        api_key=KEY,
        max_retries=0,
        check_embedding_ctx_length=False,
    )


@pytest.fixture
def embeddings(bare: OpenAIEmbeddings, captured: CapturedTrail) -> Embeddings:
    """Record the real client in memory."""
    return recorded(bare, captured)


WAYS = ("embed_query", "embed_documents", "aembed_query", "aembed_documents")


async def embed(embeddings: Embeddings, way: str) -> Any:
    """Embed ten characters."""
    asked: Any = ["a spider", "22"] if way.endswith("documents") else "0123456789"
    done = getattr(embeddings, way)(asked)
    return await done if way.startswith("a") else done


@pytest.mark.parametrize("way", WAYS)
async def test_70_an_embedding_is_a_call(
    embeddings: Embeddings,
    bare: OpenAIEmbeddings,
    captured: CapturedTrail,
    provider: LocalProvider,
    way: str,
) -> None:
    """Each way to embed leaves one record, and gives the vectors that it gives without."""
    with modeltrail.tag(feature="search", user="u-1"):
        vectors = await embed(embeddings, way)
    (record,) = captured.records
    assert provider.count() == 1
    assert vectors == await embed(bare, way)
    assert (record.status, record.operation, record.framework) == ("ok", "embeddings", "langchain")
    assert (record.request_model, record.provider, record.response_model) == (MODEL, None, None)
    assert (record.input_chars, record.input_digest is not None) == (10, True)
    assert (record.feature, record.user_ref) == ("search", captured.recorder.ref("u-1"))
    assert (record.input_tokens, record.usage_source, record.cost_nanousd) == (
        None,
        "missing",
        None,
    )
    assert record.latency_us is not None
    assert (record.parent_id, record.trace_id) == (None, record.run_id)
    assert captured.problems.counts() == {}


@pytest.mark.parametrize("way", WAYS)
async def test_70_an_embedding_may_fail(
    embeddings: Embeddings, captured: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """The application gets the client's own error, and the record its status."""
    provider.script(Fault(status=429))
    with pytest.raises(openai.RateLimitError):
        await embed(embeddings, way)
    found = [(each.status, each.error_type, each.error_code) for each in captured.records]
    assert found == [("error", "RateLimitError", "429")]
    assert (provider.count(), captured.recorder.open_calls) == (1, 0)


@pytest.mark.parametrize("way", ["aembed_query", "aembed_documents"])
async def test_70_an_embedding_may_be_cancelled(
    embeddings: Embeddings, captured: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """A task that is cancelled while it embeds leaves a cancelled call."""
    arrived, loop = asyncio.Event(), asyncio.get_running_loop()

    def hang(_: Any) -> Fault:
        loop.call_soon_threadsafe(arrived.set)
        return Fault(hang=60)

    provider.answers = hang
    task = asyncio.create_task(embed(embeddings, way))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    found = [(each.status, each.error_type) for each in captured.records]
    assert found == [("cancelled", None)]
    assert (provider.count(), captured.recorder.open_calls) == (1, 0)


@pytest.mark.parametrize("is_async", [False, True])
async def test_70_an_embedding_belongs_where_it_is_made(
    embeddings: Embeddings,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    is_async: bool,
) -> None:
    """In a node of a graph an embedding has the trace and the parent of the node's model call."""
    model = openai_model(provider)

    def look(state: MessagesState) -> Any:
        embeddings.embed_query("a spider")
        return {"messages": [model.invoke(state["messages"])]}

    async def alook(state: MessagesState) -> Any:
        await embeddings.aembed_query("a spider")
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("look", alook if is_async else look)
    builder.add_edge(START, "look")
    question: Any = {"messages": [HumanMessage("hi")]}
    config: Any = {"callbacks": [handler]}
    graph = builder.compile()
    await (
        graph.ainvoke(question, config)
        if is_async
        else asyncio.to_thread(graph.invoke, question, config)
    )
    embedding, chat = captured.records
    assert (embedding.operation, chat.operation) == ("embeddings", "chat")
    assert embedding.parent_id == chat.parent_id is not None
    assert embedding.trace_id == chat.trace_id != embedding.run_id
    assert provider.count() == 2


def test_70_a_store_of_vectors_takes_them(
    embeddings: Embeddings,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """They are LangChain's own embeddings, and work in a store, a retriever and a chain."""
    assert isinstance(embeddings, Embeddings)
    store = InMemoryVectorStore.from_texts(["a spider", "a fly"], embeddings)
    assert store.similarity_search("a fly", k=1)[0].page_content == "a fly"
    found = RunnableLambda(lambda documents: documents[0].page_content)
    (store.as_retriever() | found).invoke("a spider", {"callbacks": [handler]})
    stored, searched, retrieved = captured.records
    assert (stored.input_chars, searched.input_chars, retrieved.input_chars) == (13, 5, 8)
    assert (stored.parent_id, searched.parent_id) == (None, None)
    assert retrieved.parent_id is not None
    assert provider.count() == 3


class Named(DeterministicFakeEmbedding):
    """Embeddings that call their model as Hugging Face's do."""

    model_name: str


@pytest.mark.parametrize(
    ("made", "options", "expected"),
    [
        (Named(size=4, model_name="minilm"), {}, ("minilm", None)),
        (Named(size=4, model_name="minilm"), {"model": "own"}, ("own", None)),
        (DeterministicFakeEmbedding(size=4), {}, (None, None)),
        (DeterministicFakeEmbedding(size=4), {"model": "m", "provider": "p"}, ("m", "p")),
    ],
)
def test_70_a_model_may_be_named(
    captured: CapturedTrail, made: Embeddings, options: dict[str, str], expected: Any
) -> None:
    """The model is what the embeddings say or the application, and nothing else is guessed."""
    recorded(made, captured, **options).embed_query("hi")
    assert [(each.request_model, each.provider) for each in captured.records] == [expected]


def fail(*_: Any, **__: Any) -> Any:
    """Fail as only a fault of ours could."""
    raise RuntimeError("broken")


@pytest.mark.parametrize("broken", ["recorder.sink", "recorder.start", "recorder.close"])
async def test_70_a_broken_recorder_breaks_no_embedding(
    embeddings: Embeddings,
    bare: OpenAIEmbeddings,
    captured: CapturedTrail,
    provider: LocalProvider,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    """Whatever fails inside, the vectors and the client's errors are as they are without."""
    monkeypatch.setattr(captured.recorder, broken.removeprefix("recorder."), fail)
    for way in WAYS:
        assert await embed(embeddings, way) == await embed(bare, way)
    provider.script(Fault(status=429))
    with pytest.raises(openai.RateLimitError):
        await embed(embeddings, "embed_query")
    assert sum(captured.problems.counts().values()) >= len(WAYS) + 1
    assert provider.count() == 2 * len(WAYS) + 1


@pytest.fixture
def litellm_installed(captured: CapturedTrail) -> Iterator[None]:
    """Record LiteLLM's calls in the same trail."""
    logger = modeltrail_litellm.install(captured)
    yield
    modeltrail_litellm.uninstall(logger)


def test_70_an_embedding_that_litellm_makes_is_one_call(
    litellm_installed: None, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """What both tell of is one record; LiteLLM knows the tokens, LangChain does not."""
    provider.script(Answer(input_tokens=5, cached_tokens=None))
    made = LiteLLMEmbeddings(model=f"openai/{MODEL}", api_base=provider.base_url, api_key=KEY)
    recorded(made, captured).embed_query("a spider")
    wait_for_threads()
    (record,) = captured.records
    assert (record.framework, record.operation, record.status) == ("langchain", "embeddings", "ok")
    assert (record.request_model, record.input_tokens) == (f"openai/{MODEL}", 5)
    assert provider.count() == 1


def test_70_embeddings_are_stored(trail: Trail, provider: LocalProvider, bare: Any) -> None:
    """A real trail keeps them, those that failed included."""
    embeddings = recorded(bare, trail, provider="openai")
    provider.script(Answer(), Fault(status=500))
    embeddings.embed_query("hi")
    with suppress(openai.InternalServerError):
        embeddings.embed_documents(["hi"])
    assert trail.flush(10)
    stored = [each.record for each in trail.store.calls(limit=None)]
    assert sorted(each.status for each in stored) == ["error", "ok"]
    assert {each.provider for each in stored} == {"openai"}
    assert len(stored) == provider.count()
