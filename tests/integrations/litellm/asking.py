"""
How the tests of LiteLLM ask, and read what was recorded of it.
"""

import asyncio
import gc
from typing import Any

import litellm
from drivers.litellm import at, wait_for_threads
from scenarios import ASKED, PROMPT

from modeltrail.record import CallRecord
from modeltrail.testing import CapturedTrail, LocalProvider

# What the local provider answers unless it is told otherwise.
TOKENS = (14, 7)


def records(trail: CapturedTrail) -> list[CallRecord]:
    """
    Return what was recorded, once LiteLLM has told of it.
    """
    wait_for_threads()
    return trail.records


def only(trail: CapturedTrail) -> CallRecord:
    """
    Return the one record that there is.
    """
    (record,) = records(trail)
    return record


def collected(trail: CapturedTrail) -> CallRecord:
    """
    Return the one record of a call whose caller has thrown it away.
    """
    wait_for_threads()
    gc.collect()
    return only(trail)


async def acollected(trail: CapturedTrail) -> CallRecord:
    """
    Do the same in an event loop, whose next steps let go of what has ended.
    """
    async with asyncio.timeout(10):
        while not trail.records:
            await asyncio.sleep(0.001)
            gc.collect()
    return only(trail)


async def aread(trail: CapturedTrail, answer: Any, *, is_streamed: bool) -> None:
    """
    Read the whole answer of an asynchronous call, and wait until LiteLLM has told of it.
    """
    if is_streamed:
        async for _ in answer:
            pass
    await trail.recorder.ahear_out(10)


def ask(
    trail: CapturedTrail, arguments: dict[str, Any], *, is_async: bool, is_streamed: bool
) -> None:
    """
    Make a call and read its whole answer.
    """

    async def aask() -> None:
        await aread(trail, await litellm.acompletion(**arguments), is_streamed=is_streamed)

    if is_async:
        asyncio.run(aask())
    else:
        answer = litellm.completion(**arguments)
        _ = list(answer) if is_streamed else answer


def without_messages(arguments: dict[str, Any]) -> dict[str, Any]:
    """
    Return arguments of a call that has no messages.
    """
    return {name: value for name, value in arguments.items() if name != "messages"}


def of_responses(provider: LocalProvider, **more: Any) -> dict[str, Any]:
    """
    Return the arguments of a call of OpenAI's responses.
    """
    return without_messages(at(provider, input=PROMPT, **more))


def tokens(record: CallRecord) -> tuple[int | None, int | None]:
    """
    Return the tokens in and out.
    """
    return record.input_tokens, record.output_tokens


def deployment(provider: LocalProvider, name: str, id: str, **info: Any) -> dict[str, Any]:
    """
    Describe a deployment of a Router.
    """
    params = at(provider, model=f"openai/{ASKED}")
    del params["messages"]
    return {"model_name": name, "litellm_params": params, "model_info": {"id": id, **info}}
