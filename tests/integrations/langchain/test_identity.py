"""
One call, one record: however often and by however many it is announced.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import litellm
import modeltrail_litellm
import pytest
from drivers.litellm import at
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_openai import ChatOpenAI
from modeltrail_langchain import TrailCallbackHandler, install, uninstall

from modeltrail.record import CallRecord
from modeltrail.testing import (
    Answer,
    CapturedTrail,
    Fault,
    LocalProvider,
    ProviderRequest,
    capture_records,
)
from tests.integrations.langchain.clients import litellm_model, openai_model
from tests.integrations.told import Told

SERVED = "gpt-4o-mini-2024-07-18"
TAGS = {"metadata": {"feature": "support", "variant": "B"}}


@pytest.fixture
def everywhere(captured: CapturedTrail) -> Iterator[None]:
    """
    Record all calls of the process.
    """
    install(captured)
    yield
    uninstall()


@pytest.fixture
def told(captured: CapturedTrail) -> Iterator[Told]:
    """
    Record the calls of LiteLLM, too.
    """
    logger = modeltrail_litellm.install(captured)
    yield Told(captured)
    modeltrail_litellm.uninstall(logger)


def call_and_stream(model: Any, **config: Any) -> None:
    """
    Make two calls.
    """
    model.invoke("hi", config=config)
    list(model.stream("hi", config=config))


def assert_two_calls(captured: CapturedTrail, provider: LocalProvider) -> None:
    """
    Find the two calls, and nothing else.
    """
    captured._assembly.settle()  # so that a call which began and never ended is found, too
    assert [(each.status, each.output_chars) for each in captured.records] == [("ok", 31)] * 2
    assert provider.count() == 2
    assert (captured.recorder.open_calls, captured.problems.counts()) == (0, {})


def test_19_handler_given_twice_in_one_list(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A handler that stands twice in a list of callbacks leaves one record of each call."""
    call_and_stream(openai_model(provider), callbacks=[handler, handler])
    assert_two_calls(captured, provider)


def test_20_handler_of_the_configuration_and_of_the_call(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A handler given by `with_config` and again to the call leaves one record of each call."""
    model = openai_model(provider).with_config(callbacks=[handler])
    call_and_stream(model, callbacks=[handler])
    assert_two_calls(captured, provider)


def test_21_handler_of_the_model_and_of_the_call(
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """A handler that the model was made with and that the call is given leaves one record."""
    call_and_stream(model, callbacks=[handler])
    assert_two_calls(captured, provider)


@pytest.mark.usefixtures("everywhere")
def test_22_two_handlers_of_a_trail_and_the_installed_one(
    captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Three handlers of one trail leave one record of each call, and remember nothing of it."""
    one, two = TrailCallbackHandler(captured), TrailCallbackHandler(captured)
    call_and_stream(openai_model(provider, callbacks=[one]), callbacks=[two])
    assert_two_calls(captured, provider)
    assert len(one._calls) == len(two._calls) == 0


def test_23_run_id_used_again(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Two calls under one run id are two records."""
    run_id = uuid4()
    for _ in range(2):
        model.invoke("hi", config={"run_id": run_id})
    assert [each.run_id for each in captured.records] == [str(run_id)] * 2
    assert len({each.id for each in captured.records}) == provider.count() == 2


def test_24_batch_under_a_run_id(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A run id given to a whole batch is that of its first call; each call has its own record."""
    run_id = uuid4()
    with pytest.warns(RuntimeWarning, match="run_id"):
        model.batch(["a", "bb", "ccc"], config={"run_id": run_id})
    run_ids = {each.input_chars: each.run_id for each in captured.records}
    assert run_ids[1] == str(run_id)
    assert len(set(run_ids.values())) == len(captured.records) == provider.count() == 3


@pytest.mark.usefixtures("everywhere")
def test_25_streamed_text_is_not_doubled(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Pieces that are announced to several handlers are one text."""
    provider.script(Answer("abcdef", chunks=6))
    list(openai_model(provider, callbacks=[handler]).stream("hi", config={"callbacks": [handler]}))
    assert [(each.output_chars, each.streaming) for each in captured.records] == [(6, True)]
    assert provider.count() == 1


async def astream(model: BaseChatModel, **options: Any) -> None:
    """
    Stream a whole answer.
    """
    async for _ in model.astream("hi", **options):
        pass


WAYS: dict[str, Callable[[BaseChatModel], Any]] = {
    "invoke": lambda model: model.invoke("hi", config=TAGS),
    "stream": lambda model: list(model.stream("hi", config=TAGS)),
}
ASYNC_WAYS: dict[str, Callable[[BaseChatModel], Any]] = {
    "ainvoke": lambda model: model.ainvoke("hi", config=TAGS),
    "astream": lambda model: astream(model, config=TAGS),
}


def assert_merged(records: list[CallRecord], provider: LocalProvider) -> None:
    """
    Find one record of one call, with what each of the two frameworks knows of it.
    """
    (record,) = records
    (request,) = provider.requests
    assert (record.framework, record.status, record.finish_reasons) == (
        "langchain",
        "ok",
        '["stop"]',
    )
    assert (record.feature, record.variant) == ("support", "B")
    assert (record.request_model, record.response_model) == ("openai/gpt-4o-mini", SERVED)
    assert (record.response_id, record.provider_request_id) == ("chatcmpl-1", request.request_id)
    assert (record.input_tokens, record.output_tokens, record.usage_source) == (14, 7, "provider")
    assert record.cost_nanousd == record.cost_reported_nanousd == 14 * 150 + 7 * 600
    assert record.output_chars == 31


@pytest.mark.parametrize("way", WAYS)
def test_26_call_that_litellm_makes(
    handler: TrailCallbackHandler, told: Told, provider: LocalProvider, way: str
) -> None:
    """A call of LangChain made by LiteLLM is one record, LangChain's, with LiteLLM's facts."""
    provider.script(Answer(model=SERVED, response_id="chatcmpl-1"))
    WAYS[way](litellm_model(provider, callbacks=[handler]))
    assert_merged(told.records(1), provider)


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_26_asynchronous_call_that_litellm_makes(
    handler: TrailCallbackHandler, told: Told, provider: LocalProvider, way: str
) -> None:
    """The same asynchronously."""
    provider.script(Answer(model=SERVED, response_id="chatcmpl-1"))
    await ASYNC_WAYS[way](litellm_model(provider, callbacks=[handler]))
    assert_merged(await told.arecords(1), provider)


def test_26_failing_call_that_litellm_makes(
    handler: TrailCallbackHandler, told: Told, provider: LocalProvider
) -> None:
    """A call that fails is one record, too."""
    provider.script(Fault(status=429))
    with pytest.raises(litellm.RateLimitError):
        litellm_model(provider, callbacks=[handler]).invoke("hi", config=TAGS)
    (record,) = told.records(0)
    assert (record.framework, record.status, record.error_code) == ("langchain", "error", "429")
    assert (record.error_type, record.feature) == ("RateLimitError", "support")
    assert provider.count() == 1


def test_26_two_trails_have_a_record_each(
    handler: TrailCallbackHandler, told: Told, provider: LocalProvider
) -> None:
    """Where two trails hear both frameworks, the call is one record in each."""
    provider.script(Answer(model=SERVED))
    with capture_records() as other:
        logger = modeltrail_litellm.install(other)
        beside = Told(other)
        both = [handler, TrailCallbackHandler(other)]
        litellm_model(provider).invoke("hi", config={"callbacks": both})
        for each in (told, beside):
            (record,) = each.records(1)
            assert (record.framework, record.response_model) == ("langchain", SERVED)
        modeltrail_litellm.uninstall(logger)
    assert provider.count() == 1


def counted(request: ProviderRequest) -> Answer:
    """
    Answer with as many tokens as the prompt says, the longest first.
    """
    tokens = int(request.body["messages"][-1]["content"])
    return Answer(input_tokens=tokens, output_tokens=1, delay=0.3 if tokens == 100 else 0.0)


async def test_26_prompts_given_together_keep_their_own_tokens(
    handler: TrailCallbackHandler, told: Told, provider: LocalProvider
) -> None:
    """Prompts are all announced before LiteLLM sends the first: each keeps what is its own."""
    provider.answers = counted
    prompts = [[HumanMessage(text)] for text in ("100", "200", "300")]
    await litellm_model(provider).agenerate(prompts, callbacks=[handler])
    records = await told.arecords(0)
    assert sorted(each.input_tokens or 0 for each in records) == [100, 200, 300]
    assert {each.framework for each in records} == {"langchain"}
    assert provider.count() == 3


def test_26_attempts_within_litellm_are_one_record(
    handler: TrailCallbackHandler, told: Told, provider: LocalProvider
) -> None:
    """Attempts within LiteLLM's client are within one call: it ends well, at the last one."""
    provider.script(Fault(status=500, headers={"retry-after-ms": "1"}), Answer(model=SERVED))
    litellm_model(provider, retries=1, callbacks=[handler]).invoke("hi")
    (record,) = told.records(1)
    assert (record.status, record.response_model) == ("ok", SERVED)
    assert provider.count() == 2


def by_framework(records: list[CallRecord]) -> list[tuple[str, str, int | None]]:
    """
    Return who told of each call, how it ended, and how long its answer was.
    """
    return sorted((each.framework, each.status, each.output_chars) for each in records)


def test_27_litellm_outside_of_langchain(
    handler: TrailCallbackHandler, told: Told, provider: LocalProvider
) -> None:
    """A call of LiteLLM after one of LangChain, or in one of its chains, is its own record."""
    model = litellm_model(provider, callbacks=[handler])
    model.invoke("hi")
    litellm.completion(**at(provider))
    chain = model | RunnableLambda(lambda _: litellm.completion(**at(provider)))
    chain.invoke("hi", config=TAGS)
    found = by_framework(told.records(2))
    assert found == [("langchain", "ok", 31)] * 2 + [("litellm", "ok", 31)] * 2
    assert provider.count() == 4


@pytest.mark.parametrize("pieces", [1, 2], ids=["empty", "filled"])
def test_27_litellm_between_the_pieces_of_a_stream(
    handler: TrailCallbackHandler, told: Told, provider: LocalProvider, pieces: int
) -> None:
    """What the application does between two pieces is its own, be the first of them empty."""
    provider.script(Answer("abcdef", chunks=6), Answer("other"))
    stream = litellm_model(provider, callbacks=[handler]).stream("hi")
    arrived = [next(stream).text for _ in range(pieces)]
    litellm.completion(**at(provider))
    rest = [each.text for each in stream]
    assert "".join(arrived + rest) == "abcdef"
    assert by_framework(told.records(1)) == [("langchain", "ok", 6), ("litellm", "ok", 5)]
    assert provider.count() == 2


async def test_27_litellm_after_a_timeout(
    model: ChatOpenAI, told: Told, provider: LocalProvider
) -> None:
    """A call of LiteLLM in place of one that took too long is no part of that one."""
    provider.script(Fault(hang=30), Answer("other"))

    async def ask() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await model.ainvoke("hi")
        await litellm.acompletion(**at(provider))

    await asyncio.create_task(ask())
    found = by_framework(await told.arecords(0))
    assert found == [("langchain", "cancelled", None), ("litellm", "ok", 5)]
    assert provider.count() == 2
