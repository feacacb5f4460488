"""
Tags of LangChain's calls: where they come from, who wins, and whom they never reach.
"""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from modeltrail_langchain import TrailCallbackHandler

import modeltrail
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from tests.integrations.langchain.clients import openai_model

LEVELS = ("constructor", "inner invoke", "outer invoke", "with_config")
HUGE = "x" * 100_000


def graph_of(node: Callable[[Any], Any]) -> Any:
    """Make a graph of one node, `ask`."""
    builder = StateGraph(MessagesState)
    builder.add_node("ask", node)
    builder.add_edge(START, "ask")
    return builder.compile()


@pytest.mark.parametrize("place", range(len(LEVELS)), ids=LEVELS)
@pytest.mark.parametrize("name", ["variant", "modeltrail_variant"])
def test_49_the_nearer_metadata_wins(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    name: str,
    place: int,
) -> None:
    """The model's own metadata wins over that of its call, of the chain's, of with_config."""
    told = {level: {name: level} for level in LEVELS[place:]}
    model = openai_model(provider, metadata=told.get("constructor", {}), callbacks=[handler])
    configured = model.with_config(metadata=told.get("with_config", {}))
    if (inner := told.get("inner invoke")) is None:
        chain = RunnableLambda(lambda question: question) | configured
    else:
        chain = RunnableLambda(lambda question: configured.invoke(question, {"metadata": inner}))
    chain.invoke("hi", {"metadata": told.get("outer invoke", {})})
    assert [each.variant for each in captured.records] == [LEVELS[place]]
    assert provider.count() == 1


def test_49_with_config_loses_even_to_its_own_call(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A variant configured on a model gives way to that of the very call."""
    configured = model.with_config(metadata={"variant": "B"})
    configured.invoke("hi", {"metadata": {"variant": "A"}})
    configured.invoke("hi")
    assert [each.variant for each in captured.records] == ["A", "B"]
    assert provider.count() == 2


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"variant": "plain", "modeltrail_variant": "prefixed"}, "prefixed"),
        ({"modeltrail_variant": "prefixed", "variant": "plain"}, "prefixed"),
        ({"variant": "plain"}, "plain"),
        ({"variant": None}, "context"),
        ({}, "context"),
    ],
)
def test_49_prefixed_names_win_over_plain_ones_and_over_the_context(
    model: ChatOpenAI, captured: CapturedTrail, metadata: dict[str, Any], expected: str
) -> None:
    """What the call is given wins over `modeltrail.tag`, our own names over plain ones."""
    with modeltrail.tag(variant="context", feature="support"):
        model.invoke("hi", {"metadata": metadata})
    found = [(each.variant, each.feature) for each in captured.records]
    assert found == [(expected, "support")]


def test_49_a_prefixed_name_wins_from_farthest_away(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Our own name wins wherever it was given, even over the model's own plain one."""
    model = openai_model(provider, metadata={"variant": "plain"}, callbacks=[handler])
    model.with_config(metadata={"modeltrail_variant": "prefixed"}).invoke("hi")
    assert [each.variant for each in captured.records] == ["prefixed"]


def test_49_plain_names_of_users_and_sessions(model: ChatOpenAI, captured: CapturedTrail) -> None:
    """What applications call users and sessions anyway is read, `user` before `user_id`."""
    model.invoke("hi", {"metadata": {"user_id": "u-1", "session_id": "s-1"}})
    model.invoke("hi", {"metadata": {"user": "u-2", "user_id": "u-1"}})
    model.invoke("hi", {"metadata": {"user_id": "u-1", "user": "u-2"}})
    ref = captured.recorder.ref
    found = [(each.user_ref, each.session_ref) for each in captured.records]
    assert found == [(ref("u-1"), ref("s-1")), (ref("u-2"), None), (ref("u-2"), None)]


@pytest.mark.parametrize("how", ["batch", "batch_as_completed", "abatch", "abatch_as_completed"])
async def test_50_each_item_of_a_batch_has_its_own_tags(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider, how: str
) -> None:
    """A batch of three leaves three records, each with its own tags."""
    asked = {"A": "1", "B": "22", "C": "333"}
    configs: Any = [{"metadata": {"variant": name}} for name in asked]
    questions: Any = list(asked.values())
    if how == "batch":
        await asyncio.to_thread(model.batch, questions, configs)
    elif how == "batch_as_completed":
        await asyncio.to_thread(lambda: list(model.batch_as_completed(questions, configs)))
    elif how == "abatch":
        await model.abatch(questions, configs)
    else:
        assert [_ async for _ in model.abatch_as_completed(questions, configs)]
    found = {each.variant: each.input_chars for each in captured.records}
    assert found == {name: len(question) for name, question in asked.items()}
    assert len(captured.records) == provider.count() == 3


def people(captured: CapturedTrail) -> list[Any]:
    """Return who asked what, in the order of the lengths of their questions."""
    return sorted((each.input_chars, each.variant, each.user_ref) for each in captured.records)


def expected_people(captured: CapturedTrail) -> list[Any]:
    """Return who should have asked what."""
    return [(n, "AB"[n % 2], captured.recorder.ref(f"u-{n}")) for n in range(1, 101)]


@pytest.mark.parametrize("by", ["context", "metadata"])
async def test_51_a_hundred_tasks_do_not_mix_their_users(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider, by: str
) -> None:
    """A hundred users at once in one event loop keep their variants apart."""
    everybody = asyncio.Barrier(100)

    async def ask(number: int) -> None:
        tags: Any = {"user": f"u-{number}", "variant": "AB"[number % 2]}
        is_context = by == "context"
        with modeltrail.tag(**tags if is_context else {}):
            await everybody.wait()
            await model.ainvoke("x" * number, {"metadata": {} if is_context else tags})

    await asyncio.gather(*map(ask, range(1, 101)))
    assert people(captured) == expected_people(captured)
    assert provider.count() == 100


@pytest.mark.parametrize("by", ["context", "metadata"])
def test_51_a_hundred_threads_do_not_mix_their_users(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider, by: str
) -> None:
    """Ten threads that serve a hundred users in turn keep their variants apart."""
    everybody = Barrier(10, timeout=60)

    def ask(number: int) -> None:
        tags: Any = {"user": f"u-{number}", "variant": "AB"[number % 2]}
        is_context = by == "context"
        with modeltrail.tag(**tags if is_context else {}):
            everybody.wait()
            model.invoke("x" * number, {"metadata": {} if is_context else tags})

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(ask, range(1, 101)))
    assert people(captured) == expected_people(captured)
    assert provider.count() == 100


def test_52_tags_of_the_framework_are_no_tags_of_the_call(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Marks of steps, attempts and parallel branches are no tags; an attempt is a number."""
    provider.script(Fault(status=500))
    patient = model.with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    chain = ChatPromptTemplate.from_template("{question}") | RunnableParallel(one=patient)
    chain.invoke({"question": "hi"}, {"tags": ["urgent"]})
    found = [(each.status, each.attempt, each.tags) for each in captured.records]
    assert found == [("error", None, None), ("ok", 2, None)]
    assert len(found) == provider.count()


def test_52_tags_of_a_graph_are_no_tags_of_the_call(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Of a graph's own metadata the node is kept, and nothing of its steps and checkpoints."""
    graph = graph_of(lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.invoke({"messages": [HumanMessage("hi")]}, {"tags": ["urgent"]})
    assert [each.tags for each in captured.records] == ['{"node":"ask"}']
    assert provider.count() == 1


@pytest.mark.parametrize("path", ["batch", "parallel", "graph", "fallbacks", "stream"])
def test_53_tags_of_the_context_reach_calls_elsewhere(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider, path: str
) -> None:
    """What is tagged outside holds in LangChain's own threads, branches and nodes."""
    graph = graph_of(lambda state: {"messages": [model.invoke(state["messages"])]})
    paths: dict[str, Callable[[], Any]] = {
        "batch": lambda: model.batch(["a", "b"]),
        "parallel": lambda: RunnableParallel(one=model, two=model).invoke("hi"),
        "graph": lambda: graph.batch([{"messages": [HumanMessage("hi")]}] * 2),
        "fallbacks": lambda: model.with_fallbacks([model]).invoke("hi"),
        "stream": lambda: list(RunnableParallel(one=model, two=model).stream("hi")),
    }
    if path == "fallbacks":
        provider.script(Fault(status=500))
    with modeltrail.tag(feature="support", user="u-1", team="berlin"):
        paths[path]()
    user = captured.recorder.ref("u-1")
    assert [(each.feature, each.user_ref) for each in captured.records] == [("support", user)] * 2
    assert all('"team":"berlin"' in (each.tags or "") for each in captured.records)
    assert provider.count() == 2


async def test_53_tags_of_the_context_reach_asynchronous_calls_elsewhere(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """The same in the tasks of a batch, of branches and of nodes, synchronous ones included."""
    graph = graph_of(lambda state: {"messages": [model.invoke(state["messages"])]})
    with modeltrail.tag(feature="support", user="u-1"):
        await model.abatch(["a", "b"])
        await RunnableParallel(one=model, two=model).ainvoke("hi")
        await graph.ainvoke({"messages": [HumanMessage("hi")]})
    user = captured.recorder.ref("u-1")
    assert [(each.feature, each.user_ref) for each in captured.records] == [("support", user)] * 5
    assert provider.count() == 5


@tool
def count_legs(animal: str) -> str:
    """Count the legs of an animal."""
    return f"{len(animal)}"


def test_54_an_agent_tells_its_node_its_name_and_its_thread(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Each model call of an agent is recorded with its node, agent and thread."""
    provider.script(Answer(tool_calls=(("count_legs", '{"animal":"spider"}'),)), Answer("Six."))
    agent = create_agent(model, [count_legs], name="zoologist")
    question: Any = {"messages": [HumanMessage("How many legs?")]}
    agent.invoke(question, {"configurable": {"thread_id": "thread-1"}})
    assert [each.output_format for each in captured.records] == ["tool_call", "prose"]
    assert len(captured.records) == provider.count()
    for record in captured.records:
        assert record.tags == '{"agent":"zoologist","node":"model"}'
        assert record.session_ref == captured.recorder.ref("thread-1")
        assert record.parent_id is not None


def test_54_a_thread_may_be_named_by_a_uuid(model: ChatOpenAI, captured: CapturedTrail) -> None:
    """A thread's UUID and the same as text are one session."""
    thread = uuid4()
    for name in (thread, str(thread)):
        model.invoke("hi", {"metadata": {"thread_id": name}})
    expected = [captured.recorder.ref(str(thread))] * 2
    assert [each.session_ref for each in captured.records] == expected
    assert captured.problems.counts() == {}


def test_54_a_session_that_the_application_names_wins_over_the_thread(
    model: ChatOpenAI, captured: CapturedTrail
) -> None:
    """A thread is the session only of calls that name none, in metadata or the context."""
    graph = graph_of(lambda state: {"messages": [model.invoke(state["messages"])]})
    config: Any = {"configurable": {"thread_id": "thread-1"}}
    graph.invoke({"messages": [HumanMessage("hi")]}, config)
    graph.invoke({"messages": [HumanMessage("hi")]}, config | {"metadata": {"session_id": "s-1"}})
    with modeltrail.tag(session="s-2"):
        graph.invoke({"messages": [HumanMessage("hi")]}, config)
    ref = captured.recorder.ref
    found = [each.session_ref for each in captured.records]
    assert found == [ref("thread-1"), ref("s-1"), ref("s-2")]


class Unspeakable:
    """A value whose own code fails."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


STRANGE: tuple[Any, ...] = (
    object(),
    {1, 2},
    b"bytes",
    float("nan"),
    {1: {2: 3}},
    lambda: None,
    HUGE,
    "a\0b\ud800",
    Unspeakable(),
)


@pytest.mark.parametrize(
    "name",
    [
        "feature",
        "user",
        "variant",
        "session_id",
        "thread_id",
        "langgraph_node",
        "modeltrail_note",
        "modeltrail_user",
    ],
)
def test_55_no_value_loses_a_record(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider, name: str
) -> None:
    """Whatever stands in the metadata, the record is there with all its other tags."""
    for value in STRANGE:
        metadata = {name: value, "environment": "test", "modeltrail_team": "berlin"}
        model.invoke("hi", {"metadata": metadata})
    for record in captured.records:
        assert (record.status, record.environment, record.input_tokens) == ("ok", "test", 14)
        assert json.loads(record.tags or "")["team"] == "berlin"
        assert len(record.tags or "") < 20_000
    assert len(captured.records) == provider.count() == len(STRANGE)


def test_55_no_name_loses_a_record(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A name that is no text is passed over, as LangChain lets it through."""
    names: tuple[Any, ...] = (1, None, ("a", "b"), b"modeltrail_x", "modeltrail_", "")
    for name in names:
        model.invoke("hi", {"metadata": {name: "x", "feature": "support"}})
    found = [(each.status, each.feature) for each in captured.records]
    assert found == [("ok", "support")] * len(names)
    assert (captured.problems.counts(), provider.count()) == ({}, len(names))


def test_55_what_is_left_out_is_counted(model: ChatOpenAI, captured: CapturedTrail) -> None:
    """Tags that cannot be kept are problems of the trail, each counted by its kind."""
    given = {"modeltrail_a": object(), "modeltrail_b": HUGE, "user": {"no": "label"}}
    model.invoke("hi", {"metadata": given})
    assert [(each.tags, each.user_ref) for each in captured.records] == [(None, None)]
    expected = {"tag-not-json": 1, "tags-too-long": 1, "tag-not-text": 1}
    assert captured.problems.counts() == expected


def test_55_metadata_that_is_no_tag_costs_nothing(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Metadata of other names stays outside, however large and strange."""
    metadata: Any = {f"k{number}": HUGE for number in range(3)} | {"own": Unspeakable()}
    model.invoke("hi", {"metadata": metadata})
    assert [(each.status, each.tags) for each in captured.records] == [("ok", None)]
    assert (captured.problems.counts(), provider.count()) == ({}, 1)
