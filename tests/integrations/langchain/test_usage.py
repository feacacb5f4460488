"""
Tokens and costs, as the providers report them through LangChain's clients.
"""

import json
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI, OpenAI
from modeltrail_langchain import TrailCallbackHandler

from modeltrail.record import USAGE_COLUMNS, CallRecord
from modeltrail.testing import (
    Answer,
    CapturedTrail,
    LocalProvider,
    capture_records,
    provider_anthropic,
    provider_openai,
)
from tests.integrations.langchain.clients import CLIENTS, KEY, anthropic_model, openai_model

# Anthropic's public prices of claude-sonnet-4-5: nano-dollars for one token.
INPUT, CACHE_READ, OUTPUT = 3_000, 300, 15_000
CACHE_WRITE_5M, CACHE_WRITE_1H = 3_750, 6_000

each_client = pytest.mark.parametrize("client", CLIENTS)


def usage_of(record: CallRecord) -> tuple[Any, ...]:
    """
    Return all that a record says about tokens and cost.
    """
    counts = [getattr(record, name) for name in USAGE_COLUMNS]
    return (*counts, record.usage_detail, record.usage_source, record.cost_nanousd)


def text_model(provider: LocalProvider, **options: Any) -> OpenAI:
    """
    Make OpenAI's client for text completions.
    """
    return OpenAI(
        model="gpt-3.5-turbo-instruct",
        base_url=provider.base_url,
        api_key=KEY,
        max_retries=0,
        **options,
    )


@each_client
def test_28_streamed_and_whole_answers_have_the_same_usage(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """The same answer counts and costs the same, in one piece and in many."""
    answer = Answer(
        model="gpt-4o-mini",
        input_tokens=100,
        output_tokens=20,
        cached_tokens=40,
        reasoning_tokens=5,
    )
    provider.script(answer, answer)
    model = CLIENTS[client](provider, callbacks=[handler])
    model.invoke("hi")
    list(model.stream("hi"))
    whole, streamed = captured.records
    assert (whole.streaming, streamed.streaming) == (False, True)
    cost = 60 * 150 + 40 * 75 + 20 * 600
    assert usage_of(whole) == (100, 20, 40, None, 5, None, "provider", cost)
    assert usage_of(streamed) == usage_of(whole)
    assert provider.count() == 2


@each_client
def test_29_cached_tokens_are_part_of_the_input(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """Tokens read from the provider's cache are counted once, within the input."""
    provider.script(Answer(input_tokens=100, cached_tokens=99))
    CLIENTS[client](provider, callbacks=[handler]).invoke("hi")
    (record,) = captured.records
    assert (record.input_tokens, record.cache_read_input_tokens) == (100, 99)


def test_30_cache_writes_are_added_up_and_kept_apart(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Writes kept for 5 minutes and for an hour are one sum and two figures, each at its price."""
    provider.script(
        Answer(
            input_tokens=100,
            cached_tokens=20,
            cache_write_5m_tokens=10,
            cache_write_1h_tokens=30,
        )
    )
    anthropic_model(provider, callbacks=[handler]).invoke("hi")
    (record,) = captured.records
    assert (record.input_tokens, record.cache_creation_input_tokens) == (100, 40)
    assert record.cache_read_input_tokens == 20
    assert json.loads(record.usage_detail or "") == {
        "cache_creation_5m_input_tokens": 10,
        "cache_creation_1h_input_tokens": 30,
    }
    written = 10 * CACHE_WRITE_5M + 30 * CACHE_WRITE_1H
    assert record.cost_nanousd == 40 * INPUT + written + 20 * CACHE_READ + 7 * OUTPUT
    assert provider.count() == 1


@pytest.mark.parametrize("streamed", [False, True])
def test_30_cache_writes_for_5_minutes_are_priced(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, streamed: bool
) -> None:
    """Of writes kept for 5 minutes the price is known: Anthropic's own."""
    # Anthropic reports both lifetimes, of which one is 0.
    written = {"cache_write_5m_tokens": 10, "cache_write_1h_tokens": 0}
    provider.script(Answer(input_tokens=100, cached_tokens=20, **written))
    model = anthropic_model(provider, callbacks=[handler])
    list(model.stream("hi")) if streamed else model.invoke("hi")
    (record,) = captured.records
    assert record.cost_nanousd == 70 * INPUT + 10 * CACHE_WRITE_5M + 20 * CACHE_READ + 7 * OUTPUT
    assert (record.cache_creation_input_tokens, record.cost_source) == (10, "genai-prices")


FOR_HOUR: Any = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
LOOK = {"name": "look", "description": "Look.", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("message", "options"),
    [
        (HumanMessage([{"type": "text", "text": "hi", **FOR_HOUR}]), {}),
        (HumanMessage("hi"), {"tools": [{**LOOK, **FOR_HOUR}]}),
        (HumanMessage("hi"), FOR_HOUR),
    ],
    ids=["part", "tool", "request"],
)
def test_30_streams_lose_how_long_writes_are_kept(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    message: HumanMessage,
    options: dict[str, Any],
) -> None:
    """Where an hour was asked for and a stream tells but one sum, the price is not known."""
    written = {"cache_write_5m_tokens": 10, "cache_write_1h_tokens": 30}
    provider.script(Answer(input_tokens=100, cached_tokens=20, **written))
    list(anthropic_model(provider, callbacks=[handler]).stream([message], **options))
    (record,) = captured.records
    assert (record.input_tokens, record.cache_creation_input_tokens) == (100, 40)
    assert (record.usage_source, record.cost_nanousd) == ("partial", None)
    assert len(handler._calls) == 0


@each_client
def test_31_reasoning_is_part_of_the_output(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """Tokens spent on reasoning are counted once, within the output."""
    provider.script(Answer(output_tokens=50, reasoning_tokens=45))
    CLIENTS[client](provider, callbacks=[handler]).invoke("hi")
    (record,) = captured.records
    assert (record.output_tokens, record.reasoning_output_tokens) == (50, 45)


def test_32_several_candidates_are_counted_once(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """With n=2 the usage is that of the one request, and so is the model."""
    provider.script(Answer(model="gpt-4o-mini-2024-07-18", response_id="chatcmpl-two"))
    model.bind(n=2).invoke("hi")
    (record,) = captured.records
    assert (record.input_tokens, record.output_tokens) == (14, 7)
    assert record.response_model == "gpt-4o-mini-2024-07-18"
    assert record.response_id == "chatcmpl-two"
    assert record.finish_reasons == '["stop","stop"]'
    assert record.parameters == '{"n":2}'
    assert provider.count() == 1


@pytest.mark.parametrize("way", ["invoke", "stream", "not asked for"])
def test_33_usage_that_is_not_reported_is_unknown(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """Without a report nothing is known of tokens and cost, least of all that they are 0."""
    provider.script(Answer(usage=way == "not asked for"))
    if way == "invoke":
        model.invoke("hi")
    else:
        list(model.stream("hi", stream_usage=way == "stream"))
    (record,) = captured.records
    assert usage_of(record) == (*[None] * 6, "missing", None)
    assert (record.status, record.cost_source) == ("ok", "none")


@pytest.mark.parametrize("place", ["start", "nowhere"])
def test_34_input_of_zero_tokens_is_unknown(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, place: Any
) -> None:
    """A gateway that does not tell the input in time makes it unknown, and so the cost."""
    provider.script(Answer(stream_input_usage=place))
    list(anthropic_model(provider, callbacks=[handler]).stream("hi"))
    (record,) = captured.records
    assert (record.input_tokens, record.output_tokens, record.usage_source) == (None, 7, "partial")
    assert (record.cost_nanousd, record.cost_source, record.input_chars) == (None, "none", 2)


@pytest.mark.parametrize("way", ["batch", "generate"])
def test_35_usage_of_a_request_with_two_prompts_is_counted_once(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """Two prompts in one request are two records; its usage stands in the first of them."""
    getattr(text_model(provider, callbacks=[handler]), way)(["a", "bb"])
    found = {each.input_chars: (each.status, *usage_of(each)) for each in captured.records}
    cost = 14 * 1_500 + 7 * 2_000
    assert found == {
        1: ("ok", 14, 7, None, None, None, None, "provider", cost),
        2: ("ok", *[None] * 6, "missing", None),
    }
    assert len(captured.records) == 2
    assert provider.count() == 1


@each_client
def test_36_cache_hit_is_unbilled_and_names_the_paid_call(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """An answer of LangChain's cache costs nothing, and the record says who paid for it."""
    provider.script(Answer(model="gpt-4o-mini"))
    model = CLIENTS[client](provider, cache=InMemoryCache(), callbacks=[handler])
    for _ in range(3):
        model.invoke("hi")
    paid, *hits = captured.records
    assert (paid.cache_hit, paid.cost_nanousd, paid.origin_id) == (None, 14 * 150 + 7 * 600, None)
    for hit in hits:
        assert (hit.cache_hit, hit.cost_nanousd, hit.cost_source) == (True, 0, "cache")
        assert (hit.usage_source, hit.input_tokens, hit.output_tokens) == ("cache", 14, 7)
        assert (hit.origin_id, hit.cost_reported_nanousd) == (paid.id, None)
    assert len(hits) == 2
    assert provider.count() == 1


@each_client
def test_36_hit_of_a_call_that_nobody_recorded(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """A hit is one, too, if the trail does not know the call that was paid."""
    model = CLIENTS[client](provider, cache=InMemoryCache())
    model.invoke("hi")
    model.invoke("hi", config={"callbacks": [handler]})
    (hit,) = captured.records
    assert (hit.cache_hit, hit.cost_nanousd, hit.origin_id) == (True, 0, None)
    assert provider.count() == 1


def test_36_hit_under_the_run_id_of_the_paid_call(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A run id that is used again does not make a hit a paid call."""
    model = openai_model(provider, cache=InMemoryCache(), callbacks=[handler])
    run_id = uuid4()
    for _ in range(2):
        model.invoke("hi", config={"run_id": run_id})
    paid, hit = captured.records
    assert (paid.cache_hit, hit.cache_hit, hit.origin_id) == (None, True, paid.id)
    assert (hit.cost_nanousd, provider.count()) == (0, 1)


def test_36_legacy_hit_leaves_no_record(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Of a text model's hits LangChain tells nobody."""
    model = text_model(provider, cache=InMemoryCache(), callbacks=[handler])
    assert model.invoke("hi") == model.invoke("hi")
    assert [each.cache_hit for each in captured.records] == [None]
    assert provider.count() == 1


def test_37_hit_leaves_the_paid_call_alone(provider: LocalProvider) -> None:
    """LangChain writes the cost of a hit into the first answer; the first record stays."""
    with capture_records() as alone, capture_records() as followed:
        for trail, calls in ((alone, 1), (followed, 3)):
            cache = InMemoryCache()
            provider.script(Answer(response_id="chatcmpl-1"))
            handlers = [TrailCallbackHandler(trail)]
            for _ in range(calls):
                openai_model(provider, cache=cache, callbacks=handlers).invoke("hi")
        (expected,), (paid, *hits) = alone.records, followed.records
    assert (usage_of(paid), paid.cost_source) == (usage_of(expected), "genai-prices")
    assert [each.cache_hit for each in (paid, *hits)] == [None, True, True]
    assert provider.count() == 2


class Eager(BaseCallbackHandler):
    """
    Asks again as soon as an answer is there, before others hear of it.
    """

    run_inline = True
    model: BaseChatModel | None = None

    def on_llm_end(self, *_: Any, **__: Any) -> None:
        if (model := self.model) is not None:
            self.model = None
            model.invoke("hi")


@pytest.mark.parametrize("streaming", [False, True])
def test_37_hit_that_ends_before_the_paid_call(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, streaming: bool
) -> None:
    """A hit that LangChain serves before it tells of the paid call's end does not make it free."""
    eager = Eager()
    eager.model = openai_model(
        provider,
        cache=InMemoryCache(),
        streaming=streaming,
        stream_usage=True,
        callbacks=[eager, handler],
    )
    eager.model.invoke("hi")
    hit, paid = captured.records
    assert (hit.cache_hit, hit.cost_nanousd) == (True, 0)
    assert (paid.cache_hit, paid.cost_nanousd) == (None, 14 * 150 + 7 * 600)
    assert provider.count() == 1


def test_38_stream_is_never_a_hit(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A stream passes the cache by, and is paid."""
    model = openai_model(provider, cache=InMemoryCache(), stream_usage=True, callbacks=[handler])
    model.invoke("hi")
    list(model.stream("hi"))
    cost = 14 * 150 + 7 * 600
    assert [(each.cache_hit, each.cost_nanousd) for each in captured.records] == [(None, cost)] * 2
    assert provider.count() == 2


def test_38_hit_of_an_answer_that_was_streamed(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A call that streams inside `invoke` is cached; its hit is no stream."""
    model = openai_model(provider, cache=InMemoryCache(), streaming=True, callbacks=[handler])
    model.invoke("hi")
    model.invoke("hi")
    found = [(each.streaming, each.cache_hit) for each in captured.records]
    assert found == [(True, None), (False, True)]
    assert provider.count() == 1


def test_39_hit_of_an_answer_without_usage(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A hit on a call of unknown usage is recognised; its usage stays unknown, its cost is 0."""
    provider.script(Answer(usage=False))
    model = openai_model(provider, cache=InMemoryCache(), callbacks=[handler])
    model.invoke("hi")
    model.invoke("hi")
    paid, hit = captured.records
    assert (paid.cache_hit, paid.cost_nanousd, paid.usage_source) == (None, None, "missing")
    assert (hit.cache_hit, hit.cost_nanousd, hit.input_tokens) == (True, 0, None)
    assert hit.origin_id == paid.id
    assert captured.problems.counts() == {}
    assert provider.count() == 1


def test_router_says_what_it_has_charged(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OpenRouter does, in dollars beside the tokens; what LangChain sums up has lost it."""
    told = provider_openai.usage_of
    charged = {"cost": 0.00014, "is_byok": False}
    monkeypatch.setattr(provider_openai, "usage_of", lambda answer: told(answer) | charged)
    provider.script(Answer(input_tokens=100, output_tokens=30))
    openai_model(provider, callbacks=[handler]).invoke("hi")
    (record,) = captured.records
    assert (record.input_tokens, record.cost_reported_nanousd) == (100, 140_000)


@pytest.mark.parametrize(
    ("said", "tier", "tenths"),
    [
        ({"speed": "fast"}, "fast", 20),
        ({"inference_geo": "us"}, "us-only", 11),
        ({"inference_geo": "us", "speed": "fast"}, "fast-us-only", 22),
    ],
)
def test_modes_of_anthropic(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, str],
    tier: str,
    tenths: int,
) -> None:
    """Claude Opus 5: 5 dollars a million in and 25 out; twice that if fast, 1.1 times in the US."""
    told = provider_anthropic.usage_of
    monkeypatch.setattr(provider_anthropic, "usage_of", lambda answer: told(answer) | said)
    provider.script(Answer(input_tokens=100, output_tokens=30, model="claude-opus-5"))
    model = anthropic_model(provider, model="claude-opus-5")
    model.invoke("hi", config={"callbacks": [handler]})
    (record,) = captured.records
    assert (record.service_tier, record.cost_nanousd) == (
        tier,
        (100 * 5_000 + 30 * 25_000) * tenths // 10,
    )


FAST = {"betas": ["fast-mode-2026-02-01"], "model_kwargs": {"speed": "fast"}}


@pytest.mark.parametrize(
    ("client", "options", "tier", "tenths"),
    [
        ({"inference_geo": "us"}, {}, "us-only", 11),
        ({}, {"inference_geo": "us"}, "us-only", 11),
        (FAST, {"inference_geo": "us"}, "fast-us-only", 22),
        ({"inference_geo": "us"}, {"inference_geo": "global"}, None, 10),
    ],
)
def test_modes_that_streams_of_anthropic_do_not_tell(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    client: dict[str, Any],
    options: dict[str, Any],
    tier: str | None,
    tenths: int,
) -> None:
    """What was asked for counts, be it asked of the client or of the call."""
    provider.script(Answer(input_tokens=100, output_tokens=30, model="claude-opus-5"))
    model = anthropic_model(provider, model="claude-opus-5", callbacks=[handler], **client)
    list(model.stream("hi", **options))
    (record,) = captured.records
    cost = (100 * 5_000 + 30 * 25_000) * tenths // 10
    assert (record.service_tier, record.cost_nanousd) == (tier, cost)
    assert len(handler._calls) == 0
