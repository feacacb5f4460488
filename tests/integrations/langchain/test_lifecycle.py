"""
From the start of a call to its one end, whatever way it is made and given up.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableParallel
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from modeltrail_langchain import TrailCallbackHandler
from openai import BadRequestError

from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from tests.integrations.langchain.calling import (
    ASKED,
    QUESTION,
    TEXT,
    Make,
    every_client,
    messages,
    until,
)
from tests.integrations.langchain.clients import openai_model

# One record per call


def stream_events(model: BaseChatModel) -> None:
    """
    Read a stream of LangChain's own protocol.
    """
    assert model.stream_events("hi", version="v3").output.text == TEXT


async def astream(model: BaseChatModel) -> None:
    """
    Read an asynchronous stream.
    """
    assert "".join([str(each.text) async for each in model.astream("hi")]) == TEXT


async def astream_events_v2(model: BaseChatModel) -> None:
    """
    Read the events around an asynchronous stream.
    """
    assert [each async for each in model.astream_events("hi", version="v2")]


async def astream_events_v3(model: BaseChatModel) -> None:
    """
    Read an asynchronous stream of LangChain's own protocol.
    """
    assert (await (await model.astream_events("hi", version="v3")).output).text == TEXT


@every_client
@pytest.mark.parametrize(
    ("call", "calls", "streaming"),
    [
        (lambda model: model.invoke("hi"), 1, False),
        (lambda model: model.batch(["hi"] * 3), 3, False),
        (lambda model: model.generate(messages("hi", "hi")), 2, False),
        (lambda model: list(model.stream("hi")), 1, True),
        (stream_events, 1, True),
    ],
    ids=["invoke", "batch", "generate", "stream", "stream_events"],
)
def test_01_one_record_per_call(
    make: Make,
    call: Callable[[BaseChatModel], object],
    calls: int,
    streaming: bool,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """Each request to the provider is one record, however it is made."""
    call(make(provider, callbacks=[handler]))
    check_good_calls(captured, calls, streaming)
    assert (provider.count(), len(handler._calls)) == (calls, 0)


@every_client
@pytest.mark.parametrize(
    ("call", "calls", "streaming"),
    [
        (lambda model: model.ainvoke("hi"), 1, False),
        (lambda model: model.abatch(["hi"] * 3), 3, False),
        (lambda model: model.agenerate(messages("hi", "hi")), 2, False),
        (astream, 1, True),
        (astream_events_v2, 1, True),
        (astream_events_v3, 1, True),
    ],
    ids=["ainvoke", "abatch", "agenerate", "astream", "astream_events", "astream_events_v3"],
)
async def test_01_one_record_per_asynchronous_call(
    make: Make,
    call: Callable[[BaseChatModel], Coroutine[Any, Any, object]],
    calls: int,
    streaming: bool,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """Each request to the provider is one record, however it is awaited."""
    await asyncio.create_task(call(make(provider, callbacks=[handler])))
    await asyncio.sleep(0)  # whoever waits for a task may hear of its end before we do
    # Events of LangChain's own protocol go on in a task of their own after the whole answer.
    await until(lambda: captured.recorder.open_calls == 0)
    check_good_calls(captured, calls, streaming)
    assert (provider.count(), len(handler._calls)) == (calls, 0)


def check_good_calls(captured: CapturedTrail, calls: int, streaming: bool) -> None:
    """
    Expect so many whole answers, each of a run of its own.
    """
    found = [(each.status, each.streaming, each.output_chars) for each in captured.records]
    assert found == [("ok", streaming, len(TEXT))] * calls
    assert len({each.run_id for each in captured.records}) == calls
    assert captured.recorder.open_calls == 0
    assert captured.problems.counts() == {}


# Calls that somebody gives up


@every_client
async def test_02_timed_out_call_is_cancelled_at_once(
    make: Make, handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """LangChain tells of no end when `wait_for` gives up; the record has one."""
    provider.script(Fault(hang=60))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(make(provider, callbacks=[handler]).ainvoke("hi"), 0.5)
    assert [each.status for each in captured.records] == ["cancelled"]
    assert (captured.recorder.open_calls, len(handler._calls)) == (0, 0)


def in_a_chain(model: ChatOpenAI) -> Coroutine[Any, Any, object]:
    """
    Call within a chain.
    """
    return (ASKED | model | StrOutputParser()).ainvoke(QUESTION)


def in_a_graph(model: ChatOpenAI) -> Coroutine[Any, Any, object]:
    """
    Call within a node of a graph.
    """

    async def ask(state: MessagesState) -> MessagesState:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    return graph.compile().ainvoke({"messages": [HumanMessage("hi")]})


@pytest.mark.parametrize("start", [in_a_chain, in_a_graph])
async def test_03_cancelled_task_closes_its_call(
    start: Callable[[ChatOpenAI], Coroutine[Any, Any, object]],
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """A task that is cancelled in the midst of a chain or graph closes its call."""
    provider.script(Fault(hang=60))
    task = asyncio.create_task(start(model))
    await until(lambda: provider.count() == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: captured.recorder.open_calls == 0)
    assert [each.status for each in captured.records] == ["cancelled"]
    assert len(handler._calls) == 0


async def test_03_cancelled_call_that_streams_inside(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A cancelled `ainvoke` that streams inside is closed, too, as a stream."""
    provider.script(Answer(text="abcdef", chunks=6, chunk_delay=0.2))
    model = openai_model(provider, streaming=True, callbacks=[handler])
    task = asyncio.create_task(model.ainvoke("hi"))
    await until(lambda: captured.recorder.open_calls == 1 and not handler._calls.waiting)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert [(each.status, each.streaming) for each in captured.records] == [("cancelled", True)]
    assert len(handler._calls) == 0


async def test_04_timeout_that_the_task_survives(
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """After `asyncio.timeout` the call is closed at the latest when the task ends."""
    provider.script(Fault(hang=60), Answer())

    async def survive() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await model.ainvoke("hi")
        await model.ainvoke("once more")

    await asyncio.create_task(survive())
    await asyncio.sleep(0)  # whoever waits for a task may hear of its end before we do
    assert sorted(each.status for each in captured.records) == ["cancelled", "ok"]
    assert len(handler._calls) == 0


async def test_04_timeout_of_a_chain_closes_its_calls_at_once(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A chain that is timed out in a task which goes on closes the calls that were made in it."""
    provider.script(Fault(hang=60), Fault(hang=60))
    model = openai_model(provider)
    chain = ASKED | RunnableParallel(one=model, other=model)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await chain.ainvoke(QUESTION, config={"callbacks": [handler]})
    assert [each.status for each in captured.records] == ["cancelled"] * 2
    assert (captured.recorder.open_calls, len(handler._calls)) == (0, 0)
    assert provider.count() == 2


async def test_05_no_false_cancel(
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


async def test_05_stream_may_move_between_tasks(model: ChatOpenAI, captured: CapturedTrail) -> None:
    """The end of the task that took a stream's first piece is not the stream's end."""
    stream = model.astream("hi")
    await asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    assert [_ async for _ in stream]
    assert [each.status for each in captured.records] == ["ok"]


# Several prompts at once


def fail_b(request: Any) -> Answer | Fault:
    """
    Refuse one prompt.
    """
    return Fault(status=400) if request.body["messages"][0]["content"] == "bb" else Answer()


def ends(captured: CapturedTrail) -> dict[int, str]:
    """
    Return how the calls ended by the lengths of their prompts.
    """
    found = {each.input_chars: each.status for each in captured.records}
    assert len(found) == len(captured.records)
    return dict(sorted(found.items()))


def test_10_generate_that_fails_halfway(
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """Of a generate() that fails LangChain tells one end; the trail settles the others."""
    provider.answers = fail_b
    with pytest.raises(BadRequestError):
        model.generate(messages("a", "bb", "ccc"))
    assert captured.recorder.settle() == 2
    assert ends(captured) == {1: "incomplete", 2: "error", 3: "incomplete"}
    assert provider.count() == 2  # the third was announced and never made
    model.invoke("hi")
    assert len(handler._calls) == 0


async def test_11_agenerate_that_fails_halfway(
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """Of an agenerate() that fails each call has its own end."""
    provider.answers = fail_b
    with pytest.raises(BadRequestError):
        await model.agenerate(messages("a", "bb", "ccc"))
    assert ends(captured) == {1: "ok", 2: "error", 3: "ok"}
    assert (captured.recorder.open_calls, len(handler._calls)) == (0, 0)
    assert provider.count() == 3
