"""
How calls end that do not end well: items 14 to 22, 42, 43 and 45 of the checklist.
"""

import asyncio
import gc
import weakref
from contextlib import suppress
from typing import Any

import litellm
import openai
import pytest
from drivers.litellm import WITH_USAGE, at
from modeltrail_litellm import install, uninstall
from modeltrail_litellm.open_calls import OpenCalls
from scenarios import ASKED, PROMPT

from modeltrail.record import CallRecord
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider, capture_records
from tests.integrations.litellm.asking import (
    TOKENS,
    acollected,
    ask,
    collected,
    only,
    records,
    tokens,
    wait_for_threads,
)

LONG = Answer(text="one two three four five six", chunks=6)


def error_of(record: CallRecord) -> tuple[str, str | None, str | None]:
    """Return how a record failed."""
    return record.status, record.error_type, record.error_code


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_14_failure(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool, status: int
) -> None:
    """A failure is one record with LiteLLM's own class of it and the provider's status."""
    provider.script(Fault(status))
    with pytest.raises(openai.APIStatusError, match="told to fail") as caught:
        asyncio.run(litellm.acompletion(**at(provider))) if is_async else litellm.completion(
            **at(provider)
        )
    error_type = type(caught.value).__name__
    assert error_of(only(captured)) == ("error", error_type, str(status))
    assert provider.count() == 1


WINDOW = Fault(
    400, code="context_length_exceeded", message="This model's maximum context length is 9 tokens"
)
POLICY = Fault(400, code="content_policy_violation", message="content_policy_violation")


@pytest.mark.parametrize(
    ("step", "error_type"),
    [
        (Fault(hang=5), "Timeout"),
        (WINDOW, "ContextWindowExceededError"),
        (POLICY, "ContentPolicyViolationError"),
    ],
    ids=["timeout", "window", "policy"],
)
def test_15_class_of_an_error(
    captured: CapturedTrail, provider: LocalProvider, *, step: Fault, error_type: str
) -> None:
    """What LiteLLM makes of an error is its type."""
    provider.script(step)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one, is the question
        litellm.completion(**at(provider, timeout=0.3))
    assert type(caught.value).__name__ == only(captured).error_type == error_type


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("fault", [Fault(drop_after=2, answer=LONG), Fault(500, error_after=2)])
def test_16_stream_that_breaks(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool, fault: Fault
) -> None:
    """A stream that breaks is one failure; what LiteLLM has counted of it is no usage."""
    provider.script(fault)

    async def read() -> None:
        async for _ in await litellm.acompletion(**at(provider, stream=True, **WITH_USAGE)):
            pass
        await captured.recorder.ahear_out(10)

    with pytest.raises(Exception):  # noqa: B017, PT011
        asyncio.run(read()) if is_async else list(
            litellm.completion(**at(provider, stream=True, **WITH_USAGE))
        )
    record = only(captured)
    assert (record.status, record.streaming) == ("error", True)
    assert record.error_type
    assert (*tokens(record), record.usage_source) == (None, None, "missing")


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_17_abandoned_stream(
    captured: CapturedTrail, provider: LocalProvider, *, taken: int
) -> None:
    """A stream that is thrown away is incomplete as soon as it is collected."""
    provider.script(LONG)
    pieces = litellm.completion(**at(provider, stream=True))
    for _ in range(taken):
        next(pieces)
    assert captured.records == []
    del pieces
    record = collected(captured)
    assert (record.status, record.streaming, record.latency_us) == ("incomplete", True, None)
    assert tokens(record) == (None, None)


@pytest.mark.parametrize("taken", [0, 1, 3])
async def test_17_abandoned_asynchronous_stream(
    captured: CapturedTrail, provider: LocalProvider, *, taken: int
) -> None:
    """So is an asynchronous one."""
    provider.script(LONG)
    pieces = await litellm.acompletion(**at(provider, stream=True))
    for _ in range(taken):
        await anext(pieces)
    assert captured.records == []
    del pieces
    record = await acollected(captured)
    assert (record.status, record.streaming) == ("incomplete", True)


def test_17_stream_that_outlives_the_trail_says_nothing(
    captured: CapturedTrail, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the interpreter is taken down an end is left to whoever reads the spool."""
    monkeypatch.setattr("modeltrail_litellm.open_calls.is_finalizing", lambda: True)
    provider.script(LONG)
    pieces = litellm.completion(**at(provider, stream=True))
    mark = weakref.ref(next(iter(captured.recorder.shared(OpenCalls)._begun.values()))())
    del pieces
    wait_for_threads()
    gc.collect()
    assert mark() is None
    assert captured.records == []
    assert captured.recorder.settle() == 1


def test_17_kept_stream_stays_open(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A stream that may still be read is not called incomplete; read on, it ends well."""
    provider.script(LONG)
    pieces = litellm.completion(**at(provider, stream=True, **WITH_USAGE))
    next(pieces)
    gc.collect()
    assert records(captured) == []
    list(pieces)
    record = only(captured)
    assert (record.status, tokens(record)) == ("ok", TOKENS)


def test_17_abandoned_stream_of_no_task(captured: CapturedTrail, provider: LocalProvider) -> None:
    """So is one that a callback of an event loop has begun: there no task can be cancelled."""
    provider.script(LONG)
    loop = asyncio.new_event_loop()
    loop.call_soon(lambda: litellm.completion(**at(provider, stream=True)))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    record = collected(captured)
    assert (record.status, record.streaming) == ("incomplete", True)


async def test_18_closed_stream(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A stream that its reader closes is incomplete."""
    provider.script(LONG)
    pieces = await litellm.acompletion(**at(provider, stream=True))
    await anext(pieces)
    await pieces.aclose()
    del pieces
    assert (await acollected(captured)).status == "incomplete"


async def test_19_cancelled_call(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A call whose task is cancelled is cancelled, at once."""
    provider.script(Fault(hang=10))
    task = asyncio.create_task(litellm.acompletion(**at(provider)))
    while not provider.requests:  # noqa: ASYNC110 - the provider sets no event
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    record = await acollected(captured)
    assert (record.status, record.error_type) == ("cancelled", None)
    assert record.latency_us


async def test_19_cancelled_reader(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A stream whose reader is cancelled is cancelled, too."""
    provider.script(Answer(text="one two three", chunks=3, chunk_delay=0.2))

    async def read() -> None:
        async for _ in await litellm.acompletion(**at(provider, stream=True)):
            reading.set()

    reading = asyncio.Event()
    task = asyncio.create_task(read())
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    assert (await acollected(captured)).status == "cancelled"


async def test_19_timeout_of_the_caller(captured: CapturedTrail, provider: LocalProvider) -> None:
    """Of a call that times out within its task no more than that is known: it has no end."""
    provider.script(Fault(hang=10))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await litellm.acompletion(**at(provider))
    assert (await acollected(captured)).status in {"cancelled", "incomplete"}


@pytest.mark.parametrize("is_async", [False, True])
def test_19_interrupted_call(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool
) -> None:
    """Ctrl-C in a call leaves a record without an end, or a cancelled one."""

    class Interrupting(litellm.integrations.custom_logger.CustomLogger):
        def log_pre_api_call(self, model: str, messages: Any, kwargs: Any) -> None:
            raise KeyboardInterrupt

    second = Interrupting()
    litellm.logging_callback_manager.add_litellm_callback(second)
    try:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(litellm.acompletion(**at(provider))) if is_async else litellm.completion(
                **at(provider)
            )
    finally:
        uninstall(second)  # type: ignore[arg-type]
    assert collected(captured).status in {"cancelled", "incomplete"}


def test_21_fallbacks(captured: CapturedTrail, provider: LocalProvider) -> None:
    """LiteLLM tells no logger of the answer of synchronous `fallbacks`: it is not lost."""
    provider.script(Fault(500), Answer())
    litellm.completion(**at(provider, fallbacks=[{"model": "openai/gpt-4o"}]))
    first, second = records(captured)
    assert (first.request_model, first.status) == (ASKED, "error")
    assert (second.request_model, second.status, tokens(second)) == ("gpt-4o", "ok", TOKENS)
    assert provider.count() == 2


def test_22_asynchronous_fallbacks(captured: CapturedTrail, provider: LocalProvider) -> None:
    """LiteLLM gives both attempts of `fallbacks` one id; they are two records."""
    provider.script(Fault(500), Answer())
    asyncio.run(litellm.acompletion(**at(provider, fallbacks=[{"model": "openai/gpt-4o"}])))
    first, second = records(captured)
    assert (first.request_model, first.status) == (ASKED, "error")
    assert (second.request_model, second.status, tokens(second)) == ("gpt-4o", "ok", TOKENS)
    assert first.run_id == second.run_id
    assert provider.count() == 2


def test_22_one_id_for_several_calls_at_once(
    captured: CapturedTrail, provider: LocalProvider
) -> None:
    """An application may give its own id to calls that overlap: each is recorded."""
    provider.answers = lambda request: Answer(text=request.body["messages"][0]["content"] * 2)

    async def both() -> None:
        await asyncio.gather(
            *(
                litellm.acompletion(
                    **at(
                        provider, litellm_call_id="mine", messages=[{"role": "user", "content": q}]
                    )
                )
                for q in ("a", "bbb")
            )
        )

    asyncio.run(both())
    found = sorted((each.input_chars, each.output_chars) for each in records(captured))
    assert found == [(1, 2), (3, 6)]


UNLOGGED = {"no-log": True}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
def test_42_unlogged_call_leaves_its_fact(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool, streaming: bool
) -> None:
    """Of a call that LiteLLM was asked not to log there is a record, and nothing of its content."""
    arguments = at(provider, **UNLOGGED, temperature=0.5, metadata={"feature": "hidden"})
    if streaming:
        arguments |= {"stream": True, **WITH_USAGE}

    ask(captured, arguments, is_async=is_async, is_streamed=streaming)
    record = only(captured)
    assert (record.status, record.feature, tokens(record)) == ("ok", "hidden", TOKENS)
    content = (record.input_digest, record.input_chars, record.output_digest, record.output_chars)
    assert content == (None,) * 4
    assert record.parameters is None
    assert provider.count() == 1


def test_42_unlogged_calls_may_be_left_out(provider: LocalProvider) -> None:
    """Whoever wants no trace of such calls says so."""
    with capture_records() as trail:
        logger = install(trail, keep_unlogged=False)
        litellm.completion(**at(provider, **UNLOGGED))
        asyncio.run(litellm.acompletion(**at(provider, **UNLOGGED)))
        litellm.completion(**at(provider))
        assert len(records(trail)) == 1
        uninstall(logger)
    assert provider.count() == 3


def test_42_flag_that_litellm_ignores(
    captured: CapturedTrail, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where LiteLLM is told to log everything, so do we."""
    monkeypatch.setattr(litellm, "global_disable_no_log_param", True)
    litellm.completion(**at(provider, **UNLOGGED))
    assert only(captured).input_chars == len(PROMPT)


def test_43_policy_holds_for_failures(provider: LocalProvider) -> None:
    """Without content by policy there is none of a call that failed, either."""
    with capture_records(capture="metadata") as trail:
        logger = install(trail)
        provider.script(Fault(500))
        with suppress(litellm.InternalServerError):
            litellm.completion(**at(provider))
        record = only(trail)
        uninstall(logger)
    assert (record.status, record.input_digest, record.prompt_digest) == ("error", None, None)
