"""
What LiteLLM tells late is heard out: items 47, 48, 49 and 59 of the checklist.
"""

import asyncio
import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import litellm
import pytest
from drivers.litellm import WITH_USAGE, at, wait_for_threads
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.logging_worker import LoggingWorker
from modeltrail_litellm import delivery, install, uninstall
from modeltrail_litellm.delivery import Delivery
from modeltrail_litellm.open_calls import OpenCalls

import modeltrail
from modeltrail.record import CallRecord
from modeltrail.testing import Answer, LocalProvider
from modeltrail.trail import Trail
from tests.integrations.litellm.asking import TOKENS, tokens


@pytest.fixture
def stored(trail: Trail) -> Iterator[Trail]:
    """Record LiteLLM's calls in a database, where nothing may go wrong inside."""
    logger = install(trail)
    yield trail
    uninstall(logger)
    assert trail.health().problems == {}


def rows(trail: Trail) -> list[CallRecord]:
    """Return what is in the database, without waiting for anything."""
    return [each.record for each in trail.store.calls(limit=None, newest_first=False)]


def ends(trail: Trail) -> list[tuple[str, bool | None, tuple[int | None, int | None]]]:
    """Return how the calls in the database have ended."""
    return [(each.status, each.streaming, tokens(each)) for each in rows(trail)]


async def stream(provider: LocalProvider) -> None:
    """Stream a whole answer."""
    async for _ in await litellm.acompletion(**at(provider, stream=True, **WITH_USAGE)):
        pass


WELL = ("ok", False, TOKENS)
STREAMED = ("ok", True, TOKENS)


# --- flush, aflush, close -----------------------------------------------------------------------


def test_47_flush_after_synchronous_calls(stored: Trail, provider: LocalProvider) -> None:
    """A call and a stream are in the database as soon as `flush` returns."""
    for _ in range(3):
        litellm.completion(**at(provider))
        list(litellm.completion(**at(provider, stream=True, **WITH_USAGE)))
        assert stored.flush(20)
    assert ends(stored) == [WELL, STREAMED] * 3
    assert provider.count() == 6


@contextmanager
def told_only_when(heard: threading.Event) -> Iterator[None]:
    """Keep LiteLLM's threads from telling of an end until then."""

    class Waiting(CustomLogger):
        def log_success_event(self, *_: Any, **__: Any) -> None:
            heard.wait(30)

    waiting = Waiting()
    litellm.callbacks.insert(0, waiting)  # told before ours
    try:
        yield
    finally:
        heard.set()
        wait_for_threads()
        litellm.logging_callback_manager.remove_callback_from_all_lists(waiting)


@pytest.fixture
def told_late(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Keep LiteLLM's threads from telling of anything before somebody begins to wait for it."""
    heard = threading.Event()
    really = asyncio.sleep

    async def asleep(seconds: float) -> None:
        if seconds == delivery.POLL_S:
            heard.set()
        await really(seconds)

    monkeypatch.setattr(delivery, "sleep", lambda _: heard.set())
    monkeypatch.setattr(asyncio, "sleep", asleep)
    with told_only_when(heard):
        yield heard


def in_this_thread(arguments: dict[str, Any]) -> None:
    """Make a call."""
    litellm.completion(**arguments)


def in_threads(arguments: dict[str, Any]) -> None:
    """Make it in a thread that has ended since."""
    with ThreadPoolExecutor(1) as threads:
        threads.submit(litellm.completion, **arguments).result(30)


def by_router(arguments: dict[str, Any]) -> None:
    """Let a Router make it, in a loop of its own."""
    model, messages = arguments.pop("model"), arguments.pop("messages")
    arms = [{"model_name": "chat", "litellm_params": {"model": model, **arguments}}]
    litellm.Router(model_list=arms, num_retries=0).completion(model="chat", messages=messages)


SYNCHRONOUS = [in_this_thread, in_threads, by_router]


@pytest.mark.parametrize("ask", SYNCHRONOUS)
def test_47_flush_waits_for_what_is_told_late(
    trail: Trail, provider: LocalProvider, told_late: threading.Event, ask: Callable[[Any], None]
) -> None:
    """A call that LiteLLM has not told of when `flush` begins is in the database at its end."""
    logger = install(trail)
    ask(at(provider))
    assert not told_late.is_set()
    assert trail.flush(20)
    assert ends(trail) == [WELL]
    uninstall(logger)


@pytest.mark.parametrize("ask", SYNCHRONOUS)
@pytest.mark.parametrize("is_awaited", [False, True])
async def test_47_flush_waits_in_a_running_loop_for_threads(
    trail: Trail,
    provider: LocalProvider,
    told_late: threading.Event,
    ask: Callable[[Any], None],
    *,
    is_awaited: bool,
) -> None:
    """So it is if a coroutine makes the call without `await`."""
    logger = install(trail)
    ask(at(provider))
    assert not told_late.is_set()
    assert await trail.aflush(20) if is_awaited else trail.flush(20)
    assert ends(trail) == [WELL]
    uninstall(logger)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_47_close_hears_out(provider: LocalProvider, url: str, *, is_streamed: bool) -> None:
    """So it is if the trail is closed right after it."""
    with modeltrail.open(url) as trail:
        logger = install(trail)
        answer = litellm.completion(**at(provider, stream=is_streamed, **WITH_USAGE))
        _ = list(answer) if is_streamed else answer
    uninstall(logger)
    with modeltrail.open(url) as reader:
        assert ends(reader) == [STREAMED if is_streamed else WELL]


async def test_47_aflush_after_streams(stored: Trail, provider: LocalProvider) -> None:
    """Within the loop that has streamed, `aflush` waits for the ends."""
    await asyncio.gather(*(stream(provider) for _ in range(5)))
    await litellm.acompletion(**at(provider))
    assert await stored.aflush(20)
    assert sorted(ends(stored), key=str) == [WELL, *[STREAMED] * 5]
    assert provider.count() == 6


async def test_47_flush_in_a_running_loop_returns(stored: Trail, provider: LocalProvider) -> None:
    """There `flush` waits for nothing that needs the loop; what is told later is not lost."""
    await stream(provider)
    assert stored.flush(20)
    assert await stored.aflush(20)
    assert ends(stored) == [STREAMED]


async def test_47_flush_in_another_thread(stored: Trail, provider: LocalProvider) -> None:
    """A thread that flushes waits for the loop at work elsewhere."""
    await stream(provider)
    assert await asyncio.to_thread(stored.flush, 20)
    assert ends(stored) == [STREAMED]


def test_47_call_in_a_loop_of_another_thread(stored: Trail, provider: LocalProvider) -> None:
    """A thread whose calls are made by a loop elsewhere finds them after `flush`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        for work in (litellm.acompletion(**at(provider)), stream(provider)):
            asyncio.run_coroutine_threadsafe(work, loop).result(30)
            assert stored.flush(20)
        assert ends(stored) == [WELL, STREAMED]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


@pytest.fixture
def slow() -> Iterator[None]:
    """Have another logger, which is told first and takes its time."""

    class Slow(CustomLogger):
        async def async_log_success_event(self, *_: Any, **__: Any) -> None:
            for _ in range(20):
                await asyncio.sleep(0.002)

    slow = Slow()
    litellm.callbacks.insert(0, slow)
    yield
    litellm.logging_callback_manager.remove_callback_from_all_lists(slow)


async def test_47_aflush_waits_for_slow_loggers(
    stored: Trail, provider: LocalProvider, slow: None
) -> None:
    """A logger of somebody else that is told first is waited for."""
    await stream(provider)
    assert await stored.aflush(20)
    assert ends(stored) == [STREAMED]


async def test_47_flush_elsewhere_waits_for_slow_loggers(
    stored: Trail, provider: LocalProvider, slow: None
) -> None:
    """It is in another thread, too, and in another loop."""
    await stream(provider)
    assert await asyncio.to_thread(stored.flush, 20)
    await stream(provider)
    assert await asyncio.to_thread(lambda: asyncio.run(stored.aflush(20)))
    assert ends(stored) == [STREAMED] * 2


async def test_47_aflush_in_another_loop(stored: Trail, provider: LocalProvider) -> None:
    """So does another loop."""
    await stream(provider)
    assert await asyncio.to_thread(lambda: asyncio.run(stored.aflush(20)))
    assert ends(stored) == [STREAMED]


@pytest.mark.parametrize("is_async", [False, True])
def test_47_queue_of_a_loop_that_has_ended(
    stored: Trail,
    provider: LocalProvider,
    cache: None,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_async: bool,
) -> None:
    """What LiteLLM still holds of a loop that has ended is told, in another loop or outside."""
    # At the end of a loop LiteLLM empties its queue up to a limit: here, not at all.
    monkeypatch.setattr(LoggingWorker, "clear_queue", lambda _: asyncio.sleep(0))

    async def twice() -> None:
        await litellm.acompletion(**at(provider))
        await asyncio.sleep(0.1)  # LiteLLM fills its cache in a task of its own
        await litellm.acompletion(**at(provider))

    asyncio.run(twice())
    assert asyncio.run(stored.aflush(20)) if is_async else stored.flush(20)
    assert [each.cache_hit for each in rows(stored)] == [None, True]
    assert provider.count() == 1


async def test_47_worker_that_never_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where LiteLLM has told of nothing asynchronous there is nothing to wait for."""
    worker = LoggingWorker()
    monkeypatch.setattr(delivery, "WORKER", worker)
    with modeltrail.testing.capture_records() as trail:
        heard = Delivery(OpenCalls(trail.recorder))
        await heard.ahear_out(10)
        await asyncio.to_thread(heard.hear_out, 10)
    assert worker._queue is None


async def test_47_what_takes_too_long_is_counted(trail: Trail, provider: LocalProvider) -> None:
    """A logger of somebody else that hangs does not hold `aflush` for ever; that is counted."""
    release = asyncio.Event()

    class Hanging(CustomLogger):
        async def async_log_success_event(self, *_: Any, **__: Any) -> None:
            await release.wait()

    hanging = Hanging()
    litellm.callbacks.insert(0, hanging)
    logger = install(trail)
    await stream(provider)
    await trail.aflush(0.05)
    assert trail.health().problems == {"not-heard-out": 1}
    release.set()
    assert await trail.aflush(20)
    assert ends(trail) == [STREAMED]
    uninstall(logger)
    litellm.logging_callback_manager.remove_callback_from_all_lists(hanging)
    while hanging in litellm.input_callback:  # where LiteLLM 1.106 forgets it
        litellm.input_callback.remove(hanging)


def test_47_nobody_waits_for_another_threads_calls(
    stored: Trail, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that flushes does not wait for the open calls of others."""
    provider.script(Answer(chunks=6))
    pieces = litellm.completion(**at(provider, stream=True))
    next(pieces)
    # Whoever waited would fail.
    monkeypatch.setattr(delivery, "sleep", lambda _: pytest.fail("it waits"))
    thread = threading.Thread(target=stored.flush, args=(20,))
    thread.start()
    thread.join(30)
    assert stored.recorder.open_calls == 1
    monkeypatch.undo()
    list(pieces)
    assert stored.flush(20)
    assert [each.status for each in rows(stored)] == ["ok"]


# --- SIGTERM ------------------------------------------------------------------------------------


def test_48_sigterm_stores_what_is_told_late(
    trail: Trail, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `store_on_sigterm` the calls of before are in the database when SIGTERM goes on."""
    found: list[Any] = []
    before = signal.signal(signal.SIGTERM, lambda *_: found.extend(ends(trail)))
    logger = install(trail)
    heard = threading.Event()
    monkeypatch.setattr(delivery, "sleep", lambda _: heard.set())
    try:
        trail.store_on_sigterm()
        with told_only_when(heard):
            litellm.completion(**at(provider))
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
        uninstall(logger)
    assert found == [WELL]


# --- short loops --------------------------------------------------------------------------------


def test_49_twenty_short_loops(stored: Trail, provider: LocalProvider) -> None:
    """A loop of its own for each of twenty calls and streams loses none, and needs no flush."""
    for _ in range(20):
        asyncio.run(litellm.acompletion(**at(provider)))
        asyncio.run(stream(provider))
    assert stored.recorder.open_calls == 0
    assert stored.flush(20)
    assert ends(stored) == [WELL, STREAMED] * 20
    assert provider.count() == 40


# --- forks --------------------------------------------------------------------------------------


def in_child(work: Callable[[], None]) -> None:
    """Do some work in a forked child; it must go well."""
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(60)
    assert child.exitcode == 0


def test_59_child_ends_no_call_of_its_parent(stored: Trail, provider: LocalProvider) -> None:
    """What a child collects or closes ends nothing of its parent's; its own calls are recorded."""
    provider.script(Answer(chunks=6), Answer(text="the child's"))
    held = [litellm.completion(**at(provider, stream=True, **WITH_USAGE))]
    next(held[0])
    wait_for_threads()

    def work() -> None:
        held.clear()
        gc.collect()
        assert stored.recorder.shared(OpenCalls)._begun == {}  # LiteLLM has let it go here
        asyncio.run(litellm.acompletion(**at(provider)))
        assert stored.flush(20)

    in_child(work)
    assert [(each.status, each.streaming) for each in rows(stored)] == [("ok", False)]
    list(held.pop())
    assert stored.flush(20)
    child, parent = rows(stored)
    assert (child.output_chars, child.streaming) == (len("the child's"), False)
    assert (parent.status, parent.streaming, tokens(parent)) == ("ok", True, TOKENS)
    assert (child.origin or "").split(":")[0] != (parent.origin or "").split(":")[0]
    assert provider.count() == 2


def test_59_child_does_not_wait_for_its_parents_calls(
    stored: Trail, provider: LocalProvider
) -> None:
    """Of what its parent has open a child will never be told: it does not wait for that."""
    calls = stored.recorder.shared(OpenCalls)
    details: dict[str, Any] = {
        "call_type": "completion",
        "litellm_call_id": "parent's",
        "model": "m",
        "litellm_params": {},
    }
    call = calls.begin(details)
    assert call is not None
    assert calls.returned(streams=False)

    def work() -> None:
        assert not calls.returned(streams=True)
        assert stored.flush(20)

    in_child(work)
    call.cancel()
    assert not calls.returned(streams=True)
    assert provider.count() == 0
