"""
What LangChain says of an answer after it came: an interrupt is no error, a parser judges.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from operator import itemgetter
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import (
    JsonOutputParser,
    PydanticOutputParser,
    StrOutputParser,
)
from langchain_core.runnables import Runnable
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt
from modeltrail_langchain import TrailCallbackHandler
from pydantic import BaseModel

from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from modeltrail.trail import Trail
from tests.integrations.langchain.clients import openai_model

Chain = Runnable[Any, Any]


class Animal(BaseModel):
    """An animal."""

    legs: int


TEXT = (Answer('{"legs":8}'), Answer('{"legs":"many"}'))
CALL = tuple(Answer(tool_calls=(("Animal", each.text or ""),)) for each in TEXT)
# How an answer is asked for and read -> a good answer and a malformed one.
WAYS: dict[str, tuple[Callable[[ChatOpenAI], Chain], tuple[Answer, Answer]]] = {
    "pydantic parser": (lambda m: m | PydanticOutputParser(pydantic_object=Animal), TEXT),
    "json parser": (lambda m: m | JsonOutputParser(), (TEXT[0], Answer("eight"))),
    "function_calling": (
        lambda m: m.with_structured_output(Animal, method="function_calling"),
        CALL,
    ),
    "function_calling, text instead": (
        lambda m: m.with_structured_output(Animal, method="function_calling"),
        (CALL[0], Answer("eight")),
    ),
    "function_calling, raw": (
        lambda m: m.with_structured_output(Animal, method="function_calling", include_raw=True),
        CALL,
    ),
    "json_mode": (lambda m: m.with_structured_output(Animal, method="json_mode"), TEXT),
    "json_mode, raw": (
        lambda m: m.with_structured_output(Animal, method="json_mode", include_raw=True),
        TEXT,
    ),
    "json_schema, plain": (
        lambda m: m.with_structured_output(Animal.model_json_schema(), method="json_schema"),
        (TEXT[0], Answer("eight")),
    ),
}
HOW = ("invoke", "ainvoke", "stream")


async def call(chain: Chain, how: str, handler: TrailCallbackHandler) -> None:
    """Call a chain in one of three ways."""
    config: Any = {"callbacks": [handler]}
    if how == "ainvoke":
        await chain.ainvoke("hi", config)
    elif how == "invoke":
        await asyncio.to_thread(chain.invoke, "hi", config)
    else:
        await asyncio.to_thread(lambda: list(chain.stream("hi", config)))


def ask_in_graph(step: Chain, config: Any, **state: Any) -> Any:
    """Call in a node that then asks a person."""

    def ask(state: MessagesState) -> Any:
        step.invoke(state["messages"])
        interrupt("Is that right?")
        return {"messages": [HumanMessage("Yes.")]}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    graph = builder.compile(checkpointer=InMemorySaver())
    first = graph.invoke({"messages": [HumanMessage("hi")]}, config)
    return first, graph.invoke(Command(resume="yes"), config)


def test_47_an_interrupt_is_no_error(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A graph that asks a person and goes on makes its call twice, and both went well."""
    config = {"configurable": {"thread_id": "t-1"}, "callbacks": [handler]}
    first, second = ask_in_graph(openai_model(provider), config)
    assert "__interrupt__" in first
    assert second["messages"][-1].content == "Yes."
    found = [(each.status, each.error_type, each.schema_ok) for each in captured.records]
    assert found == [("ok", None, None)] * 2
    assert len(found) == provider.count()
    assert (captured.problems.counts(), captured.recorder.open_calls) == ({}, 0)


def test_47_an_interrupt_is_no_judgement_of_the_answer(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A step that stops to ask a person about a good answer does not say that it is bad."""

    def review(_: Any) -> None:
        interrupt("Is that right?")

    provider.script(*CALL[:1] * 2)
    model = openai_model(provider)
    asked = model.with_structured_output(Animal, method="function_calling", include_raw=True)
    config = {"configurable": {"thread_id": "t-1"}, "callbacks": [handler]}
    ask_in_graph(asked | itemgetter("raw") | review, config)
    assert [(each.status, each.schema_ok) for each in captured.records] == [("ok", True)] * 2
    assert provider.count() == 2


@pytest.mark.parametrize("way", WAYS)
async def test_48_a_parser_judges_the_answer_of_a_call_that_went_well(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """A malformed answer is an ok call of which the record says that it was of no use."""
    chain_of, answers = WAYS[way]
    chain = chain_of(openai_model(provider))
    for how in HOW:
        provider.script(*answers)
        for _ in answers:
            with suppress(ValueError):
                await call(chain, how, handler)
    found = [(each.status, each.schema_ok) for each in captured.records]
    assert found == [("ok", True), ("ok", False)] * len(HOW)
    assert len(found) == provider.count()
    assert captured.problems.counts() == {}


@pytest.mark.parametrize("how", HOW)
async def test_48_an_answer_that_the_client_itself_cannot_read(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, how: str
) -> None:
    """OpenAI's client parses by itself: the call fails, and the record says what at."""
    provider.script(*TEXT)
    chain = openai_model(provider).with_structured_output(Animal, method="json_schema")
    await call(chain, how, handler)
    with pytest.raises(ValueError, match="legs"):
        await call(chain, how, handler)
    found = [(each.status, each.error_type, each.schema_ok) for each in captured.records]
    assert found == [("ok", None, True), ("error", "ValidationError", False)]
    assert len(found) == provider.count()


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_48_an_answer_that_was_cut_off(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, reason: str
) -> None:
    """An answer that ended too early for the client to read it had not the shape asked for."""
    provider.script(Answer('{"legs":', finish_reason=reason))
    chain = openai_model(provider).with_structured_output(Animal, method="json_schema")
    with pytest.raises(Exception, match="Could not parse"):
        chain.invoke("hi", {"callbacks": [handler]})
    assert [(each.status, each.schema_ok) for each in captured.records] == [("error", False)]


def test_48_a_provider_that_fails_judges_nothing(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Where there was no answer nothing is said of its shape."""
    provider.script(Fault(status=500))
    chain = openai_model(provider).with_structured_output(Animal, method="json_schema")
    with pytest.raises(Exception, match="told to fail"):
        chain.invoke("hi", {"callbacks": [handler]})
    assert [(each.status, each.schema_ok) for each in captured.records] == [("error", None)]


async def test_48_text_that_stays_text_has_no_shape(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """StrOutputParser asks for nothing, so nothing is said."""
    chain = openai_model(provider) | StrOutputParser()
    for how in HOW:
        await call(chain, how, handler)
    assert [(each.status, each.schema_ok) for each in captured.records] == [("ok", None)] * 3
    assert provider.count() == 3


def test_48_the_application_may_fail_with_a_plain_answer(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A function of the application that raises says nothing of the answer's shape."""

    def stumble(_: Any) -> None:
        raise ValueError("not the model's fault")

    with pytest.raises(ValueError, match="fault"):
        (openai_model(provider) | stumble).invoke("hi", {"callbacks": [handler]})
    assert [(each.status, each.schema_ok) for each in captured.records] == [("ok", None)]
    assert captured.problems.counts() == {}


async def test_48_a_reader_that_is_cancelled_judges_nothing(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A step that is given up while it reads a good answer does not say that it is bad."""
    reading = asyncio.Event()

    async def review(_: Any) -> None:
        reading.set()
        await asyncio.Event().wait()

    provider.script(CALL[0])
    model = openai_model(provider)
    asked = model.with_structured_output(Animal, method="function_calling", include_raw=True)
    chain: Chain = asked | itemgetter("raw") | review
    task = asyncio.create_task(chain.ainvoke("hi", {"callbacks": [handler]}))
    await reading.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert [(each.status, each.schema_ok) for each in captured.records] == [("ok", True)]


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("method", ["function_calling", "json_mode", "json_schema"])
def test_48_a_refusal_is_no_malformed_answer(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    method: Any,
    raw: bool,
) -> None:
    """What the model refuses is a refusal in the record of a call that went well."""
    provider.script(Answer(refusal="I won't."))
    model = openai_model(provider)
    chain = model.with_structured_output(Animal, method=method, include_raw=raw)
    with suppress(Exception):
        chain.invoke("hi", {"callbacks": [handler]})
    found = [(each.status, each.output_format, each.schema_ok) for each in captured.records]
    assert found == [("ok", "refusal", None)]
    assert len(found) == provider.count()


def test_48_a_refusal_that_only_a_parser_tells_of(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A parser that says the model refused is believed, whatever the text looks like."""

    class ModelRefusalError(ValueError):
        """As langchain-core calls it since 1.8."""

    def read(_: Any) -> None:
        raise ModelRefusalError

    with pytest.raises(ModelRefusalError):
        (openai_model(provider) | read).invoke("hi", {"callbacks": [handler]})
    (record,) = captured.records
    assert (record.status, record.output_format, record.schema_ok) == ("ok", "refusal", None)


def test_48_a_refusal_without_a_reader(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A refusal that the provider marks is one in the record."""
    provider.script(Answer(refusal="I won't."))
    model.invoke("hi")
    (record,) = captured.records
    assert (record.output_format, record.output_chars) == ("refusal", len("I won't."))


@pytest.mark.parametrize("is_stored_before", [False, True])
def test_48_a_judgement_reaches_the_database(
    trail: Trail, provider: LocalProvider, is_stored_before: bool
) -> None:
    """A judgement is read back with its call, even if the call was stored long before it."""
    provider.script(*TEXT)

    def pause(answer: Any) -> Any:
        if is_stored_before:
            assert trail.flush(10)
            assert trail.store.calls()
        return answer

    parser = PydanticOutputParser(pydantic_object=Animal)
    chain = openai_model(provider) | pause | parser
    for _ in TEXT:
        with suppress(ValueError):
            chain.invoke("hi", {"callbacks": [TrailCallbackHandler(trail)]})
    assert trail.flush(10)
    stored = [each.record for each in trail.store.calls(limit=None)]
    stored.sort(key=lambda each: each.started_at_us)
    assert [(each.status, each.schema_ok) for each in stored] == [("ok", True), ("ok", False)]
    assert (len(stored), trail.health().problems) == (provider.count(), {})
