"""
Calls whose tasks are cancelled, and gone before LiteLLM lets go of them: item 19 of the checklist.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine
from time import time_ns
from typing import Any

import litellm
import pytest
from drivers.litellm import at
from modeltrail_litellm import TrailLogger

from modeltrail.testing import CapturedTrail, Fault, LocalProvider, ProviderRequest
from tests.integrations.litellm.asking import acollected

Asking = Coroutine[Any, Any, Any]
GiveUp = Callable[[Asking, asyncio.Event], Awaitable[None]]


async def cancelled_in_a_group(asking: Asking, asked: asyncio.Event) -> None:
    """
    Let another task of a group fail while a call goes on.
    """

    async def fail() -> None:
        await asked.wait()
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(asking)
            group.create_task(fail())


async def cancelled_while_gathered(asking: Asking, asked: asyncio.Event) -> None:
    """
    Give up several calls of which one goes on.
    """
    gathered = asyncio.gather(asking, asyncio.sleep(30))
    await asked.wait()
    gathered.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gathered


@pytest.mark.parametrize("give_up", [cancelled_in_a_group, cancelled_while_gathered])
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_19_task_that_is_gone_before_its_call(
    captured: CapturedTrail, provider: LocalProvider, give_up: GiveUp, *, is_streamed: bool
) -> None:
    """How a task ended is known although nobody keeps it until LiteLLM lets go of its call."""
    asked, loop = asyncio.Event(), asyncio.get_running_loop()

    def hang(_: ProviderRequest) -> Fault:
        loop.call_soon_threadsafe(asked.set)
        return Fault(hang=10)

    provider.answers = hang
    await give_up(litellm.acompletion(**at(provider, stream=is_streamed)), asked)
    ended_at_us = time_ns() // 1000
    await asyncio.sleep(0.2)  # whoever lets go of it late does not make it last longer
    record = await acollected(captured)
    assert (record.status, record.error_type) == ("cancelled", None)
    assert record.started_at_us + (record.latency_us or 0) <= ended_at_us


async def test_19_call_that_ended_well_before_its_task(
    captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A call that was over when its task was cancelled is as it ended."""

    async def ask() -> None:
        await litellm.acompletion(**at(provider))
        answered.set()
        await asyncio.sleep(30)

    answered = asyncio.Event()
    task = asyncio.create_task(ask())
    await answered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    assert (await acollected(captured)).status == "ok"


async def test_19_calls_of_one_task_are_noted_once(
    captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A task that lives long gathers nothing, however many calls it makes."""
    (logger,) = (each for each in litellm.callbacks if isinstance(each, TrailLogger))
    endings = logger._calls._endings

    async def ask() -> None:
        for _ in range(3):
            await litellm.acompletion(**at(provider))
        assert len(endings._known) == 1

    await asyncio.create_task(ask())
    await captured.recorder.ahear_out(10)
    async with asyncio.timeout(10):
        while len(endings._known):
            await asyncio.sleep(0.001)
            gc.collect()
    assert [each.status for each in captured.records] == ["ok"] * 3
