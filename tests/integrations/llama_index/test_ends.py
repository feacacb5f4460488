"""
Calls that are given up, and what stays of them.
"""

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from functools import partial
from threading import Thread
from types import CodeType, FrameType
from typing import Any

import openai
import pytest
from drivers.llama_index import asked, make_embedding, make_llm
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.embeddings import MockEmbedding
from scenarios import PROMPT, TEXT

from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from tests.integrations.llama_index.doings import OwnModel, open_calls, until

HANG = Fault(hang=60)


async def read(llm: Any, has_begun: asyncio.Event | None = None) -> None:
    """
    Stream an answer, and tell when something of it is there.
    """
    async for piece in await llm.astream_chat(asked()):
        if piece.delta and has_begun is not None:
            has_begun.set()
            await asyncio.Event().wait()


def count_legs(animal: str) -> int:
    """
    Count the legs of an animal.
    """
    return len(animal)


WAYS: dict[str, Callable[[Any], Coroutine[Any, Any, Any]]] = {
    "achat": lambda llm: llm.achat(asked()),
    "acomplete": lambda llm: llm.acomplete(PROMPT),
    "astream_chat": read,
}


@pytest.mark.parametrize("way", WAYS)
async def test_28_cancelled_task(records: CapturedTrail, provider: LocalProvider, way: str) -> None:
    """A call whose task is cancelled before anything has come is cancelled."""
    provider.script(HANG)
    task = asyncio.create_task(WAYS[way](make_llm(provider)))
    await until(provider.count)
    task.cancel()
    await asyncio.wait([task])
    await until(lambda: not records.recorder.open_calls)
    (record,) = records.records
    assert (record.status, record.error_type, record.output_chars) == ("cancelled", None, None)
    assert record.latency_us
    assert provider.count() == 1


@pytest.mark.parametrize("streaming", [True, False])
async def test_28_cancelled_agent(
    records: CapturedTrail, provider: LocalProvider, streaming: bool
) -> None:
    """A call of an agent whose run is cancelled is cancelled."""
    provider.script(HANG)
    agent = FunctionAgent(tools=[count_legs], llm=make_llm(provider), streaming=streaming)
    run = agent.run(PROMPT)
    await until(provider.count)
    await run.cancel_run()
    await until(lambda: not records.recorder.open_calls)
    assert [each.status for each in records.records] == ["cancelled"]
    assert provider.count() == 1


@pytest.mark.parametrize("way", ["achat", "astream_chat"])
async def test_28_call_that_runs_out_of_time(
    records: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """A call that takes longer than the application waits is cancelled."""
    provider.script(HANG)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(WAYS[way](make_llm(provider)), 0.3)
    assert [each.status for each in records.records] == ["cancelled"]


async def test_28_task_cancelled_within_a_stream(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """A task that is cancelled while it reads keeps what had come."""
    provider.script(Answer(text="abcdef", chunks=6))
    has_begun = asyncio.Event()
    task = asyncio.create_task(read(make_llm(provider), has_begun))
    await has_begun.wait()
    task.cancel()
    await asyncio.wait([task])
    gc.collect()
    await until(lambda: not records.recorder.open_calls)
    (record,) = records.records
    assert (record.status, record.streaming, record.output_chars) == ("cancelled", True, 1)
    assert provider.count() == 1


async def test_28_cancelled_batch_of_embeddings(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """Of a cancelled batch each request is cancelled."""
    provider.script(HANG, HANG, HANG)
    model = make_embedding(provider, embed_batch_size=1)
    task = asyncio.create_task(model.aget_text_embedding_batch(["a", "bb", "ccc"]))
    await until(lambda: provider.count() == 3)
    task.cancel()
    await asyncio.wait([task])
    assert [each.status for each in records.records] == ["cancelled"] * 3
    assert [each.input_chars for each in records.records] == [1, 2, 3]


async def leave_stream(llm: Any, kept: list[AsyncGenerator[Any]]) -> None:
    """
    Read one piece of a stream and go.
    """
    stream = await llm.astream_chat(asked())
    await anext(stream)
    kept.append(stream)


def test_29_loop_that_ends_within_a_stream(records: CapturedTrail, provider: LocalProvider) -> None:
    """A stream that is half read when its loop is shut down is cancelled."""
    kept: list[AsyncGenerator[Any]] = []
    asyncio.run(leave_stream(make_llm(provider), kept))
    assert [(each.status, each.streaming) for each in records.records] == [("cancelled", True)]
    assert provider.count() == 1


def test_29_loop_that_ends_within_a_call(records: CapturedTrail, provider: LocalProvider) -> None:
    """A call in a task that nobody waits for is cancelled when its loop is shut down."""
    provider.script(HANG)

    async def forget(tasks: list[Any]) -> None:
        tasks.append(asyncio.create_task(make_llm(provider).achat(asked())))
        await until(provider.count)

    asyncio.run(forget([]))
    assert [each.status for each in records.records] == ["cancelled"]


def test_29_loop_that_is_closed_without_a_word(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """A stream whose loop was closed without shutting it down is cancelled when it is dropped."""
    provider.script(Answer(text="abcdef", chunks=6))
    kept: list[AsyncGenerator[Any]] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave_stream(make_llm(provider), kept))
    loop.close()
    kept.clear()
    gc.collect()
    (record,) = records.records
    assert (record.status, record.streaming, record.output_chars) == ("cancelled", True, 0)
    assert provider.count() == 1


def abandon_streams(times: int) -> None:
    """
    Drop half-read streams in cycles, so that only the collector finds them, and call meanwhile.
    """
    llm = OwnModel()
    for _ in range(times):
        pieces = llm.stream_chat(asked())
        next(pieces)
        cycle: list[Any] = [pieces]
        cycle.append(cycle)
        del pieces, cycle
        llm.complete(PROMPT)


@pytest.mark.parametrize("threads", [1, 4])
def test_30_collector_may_come_at_any_time(records: CapturedTrail, threads: int) -> None:
    """Streams that are collected in the middle of a handler, of any thread, are all recorded."""
    before = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    workers = [Thread(target=abandon_streams, args=[40], daemon=True) for _ in range(threads)]
    try:
        for each in workers:
            each.start()
        for each in workers:
            each.join(60)
    finally:
        gc.set_threshold(*before)
    assert not any(each.is_alive() for each in workers)
    gc.collect()
    statuses = [each.status for each in records.records]
    assert (statuses.count("cancelled"), statuses.count("ok")) == (40 * threads, 40 * threads)


def call_while_streams_go(llm: OwnModel, streams: list[Any]) -> None:
    """
    Call a model, and let go of a stream at each step of ours on the way.
    """
    steps = set[tuple[CodeType, int, str]]()

    def let_go(frame: FrameType, event: str, _: object) -> None:
        step = (frame.f_code, frame.f_lineno, event)
        if frame.f_globals.get("__name__", "").startswith("modeltrail") and step not in steps:
            steps.add(step)
            del streams[-1]

    sys.setprofile(let_go)
    try:
        llm.complete(PROMPT)
        list(llm.stream_complete(PROMPT))
    finally:
        sys.setprofile(None)


def test_30_stream_may_end_within_any_step_of_a_handler(records: CapturedTrail) -> None:
    """A stream that ends on the thread of another call's handler finds no lock of ours held."""
    llm, streams = OwnModel(), list[Any]()
    for _ in range(1000):
        streams.append(llm.stream_chat(asked()))
        next(streams[-1])
    worker = Thread(target=call_while_streams_go, args=[llm, streams], daemon=True)
    worker.start()
    worker.join(30)
    assert not worker.is_alive()
    ended = 1000 - len(streams)
    assert 100 < ended < 1000
    statuses = [each.status for each in records.records]
    assert (statuses.count("cancelled"), statuses.count("ok")) == (ended, 2)
    streams.clear()


def by_prompt(request: Any) -> Answer | Fault:
    """
    Refuse or answer as the prompt says.
    """
    refused = "refuse" in str(request.body)
    return Fault(status=400) if refused else Answer(text=TEXT, chunks=4)


def close_early(llm: Any) -> None:
    """
    Read one piece of a stream and close it.
    """
    pieces = llm.stream_chat(asked())
    next(pieces)
    pieces.close()


def drop(llm: Any, pieces: int) -> None:
    """
    Read so many pieces of a stream and drop it.
    """
    stream = llm.stream_complete(PROMPT)
    for _ in range(pieces):
        next(stream)


def fail(act: Callable[[], object]) -> None:
    """
    Ask for what the provider refuses.
    """
    with pytest.raises(openai.BadRequestError):
        act()


async def be_cancelled(llm: Any) -> None:
    """
    Cancel a call as soon as it has begun.
    """
    before = len(open_calls()._calls)
    task = asyncio.create_task(llm.achat(asked()))
    while len(open_calls()._calls) == before and not task.done():  # noqa: ASYNC110 - no event
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Mix:
    """
    One call each, in the ways in which calls can end.
    """

    def __init__(self, provider: LocalProvider) -> None:
        llm, own, embedding = make_llm(provider), OwnModel(), make_embedding(provider)
        self.kinds: list[Callable[[], object]] = [
            lambda: llm.chat(asked()),
            lambda: list(llm.stream_chat(asked())),
            partial(close_early, llm),
            lambda: fail(lambda: llm.chat(asked("refuse"))),
            lambda: fail(lambda: list(llm.stream_chat(asked("refuse")))),
            lambda: fail(lambda: embedding.get_text_embedding("refuse")),
            lambda: own.stream_chat(asked()),  # nobody reads it
            lambda: MockEmbedding(2).get_text_embedding("x"),
            partial(drop, own, 0),
            partial(drop, own, 2),
        ]
        self.async_kinds: list[Callable[[], Coroutine[Any, Any, object]]] = [
            lambda: own.achat(asked()),
            lambda: read(own),
            lambda: llm.achat(asked()),
            lambda: be_cancelled(llm),
            lambda: embedding.aget_text_embedding("x"),
        ]

    async def make(self, calls: int) -> None:
        """
        Make so many calls.
        """
        # httpcore locks itself out when a stream is collected while it makes a request.
        gc.disable()
        # Of what was there before, no collection below has to look at anything.
        gc.collect()
        gc.freeze()
        try:
            for _ in range(calls // (len(self.kinds) + len(self.async_kinds))):
                for kind in self.kinds:
                    kind()
                for async_kind in self.async_kinds:
                    await async_kind()
                gc.collect()
        finally:
            gc.unfreeze()
            gc.enable()


OURS = [
    tracemalloc.Filter(True, "*/modeltrail_llama_index/*"),
    tracemalloc.Filter(True, "*/src/modeltrail/*"),
    tracemalloc.Filter(False, "*/src/modeltrail/testing/*"),
]


def bytes_of_ours() -> int:
    """
    Count the bytes that the integration and what it records with have allocated and not freed.
    """
    gc.collect()
    found = tracemalloc.take_snapshot().filter_traces(OURS).statistics("filename")
    return sum(each.size for each in found)


# Requests over HTTP, most of them, and traced: the many take minutes on a busy machine.
MANY = pytest.param(10_020, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])


@pytest.mark.parametrize("calls", [300, MANY])
async def test_31_calls_leave_nothing_behind(
    calls: int, records: CapturedTrail, provider: LocalProvider
) -> None:
    """After many calls of all kinds nothing is open, nothing is kept, and memory is as before."""
    ends: list[int] = [0, 0]
    take = records.recorder.sink

    def count(frame: Any) -> None:
        ends[0] += frame.kind.name == "START"
        ends[1] += frame.kind.name == "END"

    records.recorder.sink = count
    provider.answers = by_prompt
    mix = Mix(provider)
    tracemalloc.start()
    try:
        await mix.make(calls // 2)
        before = bytes_of_ours()
        await mix.make(calls - calls // 2)
        grown = bytes_of_ours() - before
    finally:
        tracemalloc.stop()
        records.recorder.sink = take
    assert ends[0] == ends[1] == calls // 2 // 15 * 15 * 2
    opened, recorder = open_calls(), records.recorder
    assert not (opened._calls or opened._spans or opened._told)
    assert not (recorder._open or recorder._inner or recorder._unwritten)
    assert grown < 40_000
