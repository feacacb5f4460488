"""
What is particular to LangChain, through its real clients.
"""

import asyncio
import copy
import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from modeltrail_langchain import TrailCallbackHandler, translate
from modeltrail_langchain.places import Place
from openai import AuthenticationError, BadRequestError

import modeltrail
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider, capture_records
from modeltrail.trail import Trail

KEY = "sk-local-not-a-key"


@pytest.fixture
def captured() -> Iterator[CapturedTrail]:
    """Keep records in memory; nothing may go wrong inside unless a test says so."""
    with capture_records() as trail:
        yield trail


@pytest.fixture
def handler(captured: CapturedTrail) -> TrailCallbackHandler:
    """Record in memory."""
    return TrailCallbackHandler(captured)


@pytest.fixture
def model(handler: TrailCallbackHandler, provider: LocalProvider) -> ChatOpenAI:
    """Make the real client, recorded."""
    return make(provider, callbacks=[handler])


def make(provider: LocalProvider, **options: Any) -> ChatOpenAI:
    """Make the real client without retries of its own."""
    known: dict[str, Any] = {"model": "gpt-4o-mini", "max_retries": 0, "api_key": KEY}
    return ChatOpenAI(**{**known, "base_url": provider.base_url, **options})


async def until(reached: Callable[[], bool]) -> None:
    """Wait until something has happened."""
    while not reached():  # noqa: ASYNC110 - the provider's threads set no asyncio event
        await asyncio.sleep(0.005)


# Attempts


def test_batch_leaves_one_record_per_item(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A batch of three leaves three records, each with its own tags."""
    configs = [{"metadata": {"variant": name}} for name in "ABC"]
    model.batch(["a", "b", "c"], config=configs)
    assert sorted(each.variant for each in captured.records) == ["A", "B", "C"]
    assert provider.count() == 3


# Usage and model


def test_endpoint_of_the_environment_is_no_openai(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An endpoint that only the openai client knows of does not pass for OpenAI's own."""
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    make(provider, base_url=None, callbacks=[handler]).invoke("hi")
    assert [each.provider for each in captured.records] == [None]
    assert provider.count() == 1


def test_own_endpoint_takes_the_word_of_the_client() -> None:
    """A client that was not pointed elsewhere speaks to the company it is made for."""
    metadata = {"ls_provider": "openai", "ls_model_name": "gpt-4o"}
    request = translate.request(
        "chat", [], None, run_id=uuid4(), place=Place(None, uuid4(), None), metadata=metadata
    )
    assert (request.provider, request.request_model) == ("openai", "gpt-4o")


def test_provider_refusal(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A refusal that the provider marks is one in the record."""
    provider.script(Answer(refusal="I won't."))
    model.invoke("hi")
    (record,) = captured.records
    assert (record.output_format, record.output_chars) == ("refusal", len("I won't."))


def test_parts_of_messages(model: ChatOpenAI, captured: CapturedTrail) -> None:
    """Texts and tool calls of the input count; pictures leave a mark, and nothing is changed."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    call = {"name": "look", "args": {"at": "é"}, "id": "c1", "type": "tool_call"}
    messages = [
        SystemMessage("Be brief."),
        HumanMessage([{"type": "text", "text": "What is it?"}, picture]),
        AIMessage("", tool_calls=[call]),
        ToolMessage("a dot", tool_call_id="c1"),
    ]
    before = copy.deepcopy(messages)
    model.invoke(messages)
    (record,) = captured.records
    arguments = r'{"name":"look","arguments":"{\"at\":\"é\"}"}'
    url = picture["image_url"]["url"].encode()
    mark = f"[image_url sha256:{hashlib.sha256(url).hexdigest()} {len(url)} bytes]"
    texts = ("Be brief.", "What is it?", mark, arguments, "a dot")
    assert record.input_chars == sum(map(len, texts))
    assert record.prompt_digest is not None
    assert messages == before


# Streams


def test_stream_without_finish_reason_is_incomplete(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A stream that just ends is no whole answer."""
    provider.script(Answer(text="abcdef", chunks=6, truncate_after=2))
    list(model.stream("hi"))
    assert [(each.status, each.output_chars) for each in captured.records] == [("incomplete", 2)]


async def test_protocol_stream(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A stream of events leaves one record, too."""
    async for _ in model.astream_events("hi", version="v2"):
        pass
    (record,) = captured.records
    assert (record.status, record.streaming) == ("ok", True)
    assert provider.count() == 1


# Cancellation


async def test_timed_out_call_is_cancelled_at_once(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """LangChain tells of no end when `wait_for` gives up; the record has one."""
    provider.script(Fault(hang=5))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(model.ainvoke("hi"), 0.3)
    assert [each.status for each in captured.records] == ["cancelled"]
    assert captured.recorder.open_calls == 0


async def test_cancelled_task_in_a_chain(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A task that is cancelled inside a chain closes its call."""
    provider.script(Fault(hang=5))
    chain = ChatPromptTemplate.from_template("{question}") | model
    task = asyncio.create_task(chain.ainvoke({"question": "hi"}))
    await until(lambda: provider.count() == 1)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert [each.status for each in captured.records] == ["cancelled"]


async def test_cancelled_call_that_streams_inside(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A cancelled `ainvoke` that streams inside is closed, too, as a stream."""
    provider.script(Answer(text="abcdef", chunks=6, chunk_delay=0.2))
    task = asyncio.create_task(make(provider, streaming=True, callbacks=[handler]).ainvoke("hi"))
    await until(lambda: captured.recorder.open_calls == 1 and not handler._calls.waiting)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert [(each.status, each.streaming) for each in captured.records] == [("cancelled", True)]
    assert len(handler._calls) == 0


async def test_timeout_that_the_task_survives(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """After `asyncio.timeout` the call is closed at the latest when the task ends."""
    provider.script(Fault(hang=5))

    async def survive() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await model.ainvoke("hi")

    await asyncio.create_task(survive())
    await asyncio.sleep(0)  # whoever waits for a task may hear of its end before we do
    assert [each.status for each in captured.records] == ["cancelled"]


async def test_no_false_cancel(
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """Calls that end well stay well, and leave nothing on the task that made them."""
    this = asyncio.current_task()
    for _ in range(10):
        await model.ainvoke("hi")
    left = [each for each in this._callbacks or () if "_task_done" in repr(each)]
    await asyncio.gather(*(asyncio.create_task(model.ainvoke("hi")) for _ in range(10)))
    assert [each.status for each in captured.records] == ["ok"] * 20
    assert (left, len(handler._calls)) == ([], 0)
    assert provider.count() == 20


async def test_stream_may_move_between_tasks(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """The end of the task that took a stream's first piece is not the stream's end."""
    stream = model.astream("hi")
    await asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    assert [_ async for _ in stream]
    assert [each.status for each in captured.records] == ["ok"]


async def test_asynchronous_stream_given_up(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A stream that is closed early is cancelled and keeps its text."""
    provider.script(Answer(text="abcdef", chunks=6, chunk_delay=0.02))
    stream = model.astream("hi")
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    assert [(each.status, each.output_chars) for each in captured.records] == [("cancelled", 1)]


# Registration


def test_copies_record_in_the_same_trail(
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """Copies of a model or of what a chain was configured with keep the handler itself."""
    model.model_copy().invoke("hi")
    config = copy.deepcopy({"callbacks": [copy.copy(handler)], "metadata": {"feature": "f"}})
    make(provider).invoke("hi", config=config)
    assert [each.feature for each in captured.records] == [None, "f"]
    assert provider.count() == 2


def test_deep_copy_of_a_model_with_the_handler(
    handler: TrailCallbackHandler, captured: CapturedTrail
) -> None:
    """A model that can be copied deeply can be so with the handler; ChatOpenAI never can."""
    model = FakeListChatModel(responses=["hello"], callbacks=[handler])
    copy.deepcopy(model).invoke("hi")
    assert [each.status for each in captured.records] == ["ok"]


# Graphs and agents


@tool
def count_legs(animal: str) -> str:
    """Count the legs of an animal."""
    return f"{len(animal)}"


def test_agent_with_a_tool(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Each model call of an agent is recorded with its node, agent and thread."""
    provider.script(Answer(tool_calls=(("count_legs", '{"animal":"spider"}'),)), Answer("Six."))
    agent = create_agent(model, [count_legs], name="zoologist")
    question = {"messages": [HumanMessage("How many legs?")]}
    agent.invoke(question, config={"configurable": {"thread_id": "thread-1"}})
    assert [each.output_format for each in captured.records] == ["tool_call", "prose"]
    assert len(captured.records) == provider.count()
    for record in captured.records:
        assert record.tags == '{"agent":"zoologist","node":"model"}'
        assert record.session_ref == captured.recorder.ref("thread-1")
        assert record.parent_id is not None


def test_session_of_the_call_wins_over_the_thread(
    model: ChatOpenAI, captured: CapturedTrail
) -> None:
    """A thread is the session only of calls that name none."""
    graph = StateGraph(MessagesState)
    graph.add_node("ask", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    config = {"configurable": {"thread_id": "thread-1"}, "metadata": {"session_id": "s-1"}}
    graph.compile().invoke({"messages": [HumanMessage("hi")]}, config=config)
    (record,) = captured.records
    assert record.session_ref == captured.recorder.ref("s-1")
    assert record.tags == '{"node":"ask"}'


# Safety


def test_broken_sink_never_breaks_a_call(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """What cannot be written is counted; the application gets its answer."""

    def refuse(frame: object) -> None:
        raise OSError("disk full")

    captured.recorder.sink = refuse
    assert model.invoke("hi").content
    assert captured.problems.counts() == {"start-not-written": 1, "call-not-written": 1}
    assert captured.recorder.open_calls == 0


def test_unreadable_answer_ends_the_call_all_the_same(
    model: ChatOpenAI, captured: CapturedTrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If an answer cannot be translated the record says that the end is not known."""
    monkeypatch.setattr(translate, "response", lambda *_, **__: 1 / 0)
    assert model.invoke("hi").content
    assert [each.status for each in captured.records] == ["incomplete"]
    assert captured.problems.counts() == {"TrailCallbackHandler.on_llm_end": 1}


def test_events_of_unknown_runs(handler: TrailCallbackHandler, captured: CapturedTrail) -> None:
    """Events of a run whose start was never seen are passed over."""
    handler.on_llm_new_token("a", run_id=uuid4())
    handler.on_llm_end(LLMResult(generations=[]), run_id=uuid4())
    handler.on_llm_error(ValueError(), run_id=uuid4())
    assert (captured.records, captured.problems.counts()) == ([], {})


def test_ends_that_are_never_told(
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """Of a generate() that fails LangChain tells one end; the trail settles the others."""
    provider.script(Answer(), Fault(status=400))
    with suppress(BadRequestError):
        model.generate([[HumanMessage("a")], [HumanMessage("b")]])
    assert captured.recorder.settle() == 1
    assert [each.status for each in captured.records] == ["error", "incomplete"]
    model.invoke("hi")
    assert len(handler._calls) == 0


def test_huge_prompt(model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider) -> None:
    """A prompt of 50 MB leaves a record like any other."""
    model.invoke("x" * 50_000_000)
    (record,) = captured.records
    assert (record.status, record.input_chars) == ("ok", 50_000_000)
    assert record.input_digest is not None
    assert provider.count() == 1


@pytest.mark.parametrize("prompt", ["a\0b", "a\ud800b"], ids=["nul", "surrogate"])
def test_unspeakable_prompts(model: ChatOpenAI, captured: CapturedTrail, prompt: str) -> None:
    """A prompt that no database takes leaves a record, whether the client sends it or not."""
    with suppress(UnicodeEncodeError):
        model.invoke(prompt)
    (record,) = captured.records
    assert record.status in {"ok", "error"}
    assert (record.input_chars, record.input_digest is not None) == (3, True)


def test_secrets_are_not_kept(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Keys, headers, bodies and the provider's words about an error stay outside."""
    provider.script(Fault(status=401, message="hush-error"))
    model = make(
        provider,
        api_key="hush-key",
        default_headers={"x-token": "hush-header"},
        extra_body={"guard": "hush-body"},
        callbacks=[handler],
    )
    with pytest.raises(AuthenticationError):
        model.invoke("hi", extra_headers={"x-more": "hush-more"})
    (record,) = captured.records
    assert record.provider_request_id == provider.requests[0].request_id
    assert b"hush" not in msgspec.json.encode(record)


def test_stored_in_a_real_trail(trail: Trail, provider: LocalProvider) -> None:
    """Streams, errors and tags reach the database."""
    model = make(provider, callbacks=[TrailCallbackHandler(trail)])
    provider.script(Answer(), Fault(status=429))
    with modeltrail.tag(feature="support", user="u-1"):
        list(islice(model.stream("hi"), 3))
        with suppress(Exception):
            model.invoke("hi")
    assert trail.flush(10)
    stored = [each.record for each in trail.store.calls(limit=None)]
    assert sorted(each.status for each in stored) == ["cancelled", "error"]
    assert {each.user_ref for each in stored} == {trail.recorder.ref("u-1")}
    assert len(stored) == provider.count()
