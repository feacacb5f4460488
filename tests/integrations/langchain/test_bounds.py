"""
What is kept of calls is bounded, whether they end or not.
"""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from modeltrail_langchain import TrailCallbackHandler
from openai import BadRequestError
from pydantic import BaseModel

from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from tests.integrations.langchain.calling import ASKED, QUESTION


@tool
def count_legs(animal: str) -> str:
    """Count the legs of an animal."""
    return f"{len(animal)}"


def leave_early(model: ChatOpenAI) -> None:
    """
    Read one piece of a stream.
    """
    stream = model.stream("hi")
    next(stream)
    stream.close()


def fail(model: ChatOpenAI) -> None:
    """
    Ask for what the provider refuses.
    """
    with pytest.raises(BadRequestError):
        model.invoke("refuse")


def call_in_a_chain(model: ChatOpenAI) -> None:
    """
    Call and use a tool within a chain.
    """
    chain = ASKED | model | (lambda _: count_legs.invoke("spider"))
    chain.invoke(QUESTION, config={"callbacks": model.callbacks})


class Legs(BaseModel):
    """
    How many legs.
    """

    legs: int


def ask_for_a_shape(model: ChatOpenAI) -> None:
    """
    Ask for an answer of a certain shape, and get none.
    """
    shaped = model.with_structured_output(Legs, method="function_calling")
    assert shaped.invoke("hi", config={"callbacks": model.callbacks}) is None


async def be_cancelled(model: ChatOpenAI) -> None:
    """
    Cancel a call as soon as it has begun.
    """
    (handler,) = model.callbacks
    task = asyncio.create_task(model.ainvoke("hang"))
    while not handler._calls:  # noqa: ASYNC110 - the handler sets no event
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


# What makes one call, in one of the ways that it can end.
KINDS: list[Callable[[ChatOpenAI], object]] = [
    lambda model: model.invoke("hi"),
    lambda model: list(model.stream("hi")),
    lambda model: model.stream_events("hi", version="v3").output,
    leave_early,
    fail,
    call_in_a_chain,
    ask_for_a_shape,
]
ASYNC_KINDS: list[Callable[[ChatOpenAI], Coroutine[Any, Any, object]]] = [
    lambda model: model.ainvoke("hi"),
    lambda model: model.abatch(["hi"]),
    be_cancelled,
]


def by_prompt(request: Any) -> Answer | Fault:
    """
    Refuse, hang or answer as the prompt says.
    """
    faults = {"refuse": Fault(status=400), "hang": Fault(hang=60)}
    return faults.get(request.body["messages"][0]["content"], Answer(chunks=1))


@pytest.mark.parametrize("calls", [80, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_15_calls_leave_nothing_behind(
    calls: int,
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """After many calls of all kinds, good and bad, none is open and nothing is kept."""
    provider.answers = by_prompt
    for _ in range(calls // (len(KINDS) + len(ASYNC_KINDS))):
        for kind in KINDS:
            kind(model)
        for async_kind in ASYNC_KINDS:
            await async_kind(model)
    assert len(captured.records) == calls
    recorder = captured.recorder
    assert (recorder.open_calls, len(recorder._inner), len(recorder._unwritten)) == (0, 0, 0)
    assert (kept(handler), len(handler._places), len(handler._answers._readers)) == (0, 0, 0)
    assert captured.problems.counts() == {}


def kept(handler: TrailCallbackHandler) -> int:
    """
    Count the calls that a handler keeps anything of.
    """
    return len(handler._calls)


def fail_halfway(model: ChatOpenAI) -> None:
    """
    Have a call go well of whose end LangChain does not tell, since the next one fails.
    """
    with pytest.raises(BadRequestError):
        model.generate([[HumanMessage("hi")], [HumanMessage("refuse")]])


def drop_stream(model: Any) -> None:
    """
    Drop a stream of events, of whose end LangChain never tells.
    """
    next(iter(model.stream_events("hi", version="v3").text))
    gc.collect()


def drop_shaped_stream(model: ChatOpenAI) -> None:
    """
    Drop one that is to have a certain shape, in a thread without tasks.
    """
    shaped = model.with_structured_output(Legs, method="function_calling").first
    thread = Thread(target=drop_stream, args=[shaped])
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    ("leak", "requests"), [(fail_halfway, 2), (drop_stream, 1), (drop_shaped_stream, 1)]
)
async def test_15_calls_that_never_end_are_bounded(
    leak: Callable[[ChatOpenAI], None],
    requests: int,
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """Of calls whose ends are never told the oldest are given up, and what is kept of them goes."""
    provider.answers = by_prompt
    captured.recorder._open_limit = 4
    for number in range(20):
        leak(model)
        assert captured.recorder.open_calls <= 4, number
        assert kept(handler) <= 6, number
    given_up = 20 - captured.recorder.open_calls
    assert captured.problems.counts() == {"call-given-up": given_up}
    found = [each.status for each in captured.records]
    assert (found.count("incomplete"), len(found)) == (given_up, 20 * requests - 20 + given_up)
    assert provider.count() == 20 * requests
    captured.recorder.settle()
    model.invoke("hi")
    assert kept(handler) == 0


def test_15_calls_open_for_too_long_are_given_up(
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """What no model takes that long for is recorded as incomplete; later calls go on."""
    provider.answers = by_prompt
    now = iter(range(0, 10_000, 1_000))
    captured.recorder._clock_us = lambda: next(now)
    fail_halfway(model)  # from 0 on
    later = model.stream("hi")
    next(later)  # from 2,000 on
    assert captured.recorder.give_up(1_500) == 1  # at 3,000
    list(later)
    assert [each.status for each in captured.records] == ["error", "incomplete", "ok"]
    assert captured.problems.counts() == {"call-given-up": 1}
    model.invoke("hi")
    assert kept(handler) == 0
