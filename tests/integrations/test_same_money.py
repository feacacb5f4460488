"""
The same answer has the same tokens and the same cost, whoever has asked.
"""

import importlib
from collections.abc import Callable
from typing import Any

import litellm
import pytest
from drivers.litellm import WITH_USAGE, at
from drivers.llama_index import asked
from modeltrail_langchain import TrailCallbackHandler
from modeltrail_litellm import install, uninstall
from modeltrail_llama_index import instrument
from scenarios import SCENARIOS

from modeltrail.record import USAGE_COLUMNS, CallRecord
from modeltrail.testing import Answer, CapturedTrail, LocalProvider, capture_records

clients = importlib.import_module("tests.integrations.langchain.clients")
endpoints = importlib.import_module("tests.integrations.llama_index.endpoints")

MODELS = {"openai": "gpt-5-mini", "anthropic": "claude-sonnet-4-5"}


def by_langchain(
    trail: CapturedTrail, provider: LocalProvider, protocol: str, *, streamed: bool
) -> None:
    """Ask through LangChain."""
    make = {"openai": clients.chat_model, "anthropic": clients.anthropic_model}[protocol]
    model = make(provider, model=MODELS[protocol], callbacks=[TrailCallbackHandler(trail)])
    _ = list(model.stream("hi")) if streamed else model.invoke("hi")


def by_llama_index(
    trail: CapturedTrail, provider: LocalProvider, protocol: str, *, streamed: bool
) -> None:
    """Ask through LlamaIndex."""
    make = {"openai": endpoints.make_llm, "anthropic": endpoints.anthropic_model}[protocol]
    instrumentation = instrument(trail)
    try:
        llm = make(provider, model=MODELS[protocol])
        options = WITH_USAGE if protocol == "openai" and streamed else {}
        _ = list(llm.stream_chat(asked(), **options)) if streamed else llm.chat(asked())
    finally:
        instrumentation.uninstrument()


def by_litellm(
    trail: CapturedTrail, provider: LocalProvider, protocol: str, *, streamed: bool
) -> None:
    """Ask through LiteLLM."""
    base = {"openai": provider.base_url, "anthropic": provider.anthropic_url}[protocol]
    arguments = at(provider, model=f"{protocol}/{MODELS[protocol]}", api_base=base)
    logger = install(trail)
    try:
        if streamed:
            list(litellm.completion(**arguments, stream=True, **WITH_USAGE))
        else:
            litellm.completion(**arguments)
        trail.recorder.hear_out(10)
    finally:
        uninstall(logger)


def record_of(
    ask: Callable[..., None], provider: LocalProvider, protocol: str, answer: Answer, **how: Any
) -> CallRecord:
    """Ask once, and return the record of it."""
    provider.script(answer)
    with capture_records() as trail:
        ask(trail, provider, protocol, **how)
    found = trail.records
    assert (trail.problems.counts(), trail.recorder.open_calls) == ({}, 0)
    (record,) = found
    return record


ASKERS = [by_langchain, by_llama_index, by_litellm]
each_asker = pytest.mark.parametrize("ask", ASKERS)
both_ways = pytest.mark.parametrize("streamed", [False, True])


def test_no_scenario_has_other_tokens_or_another_cost() -> None:
    """Every scenario names both for all frameworks; where one differs, it does not know them."""
    figures = ["input_tokens", "output_tokens", "cost_nanousd"]
    for scenario in SCENARIOS:
        assert set(figures) <= scenario.expected.keys()
        for columns, _ in scenario.deviations.values():
            assert {columns.get(name) for name in figures} == {None}


@each_asker
@both_ways
@pytest.mark.parametrize(
    ("tier", "per_million"),
    [
        (None, (0.25, 0.025, 2)),
        ("default", (0.25, 0.025, 2)),
        ("flex", (0.125, 0.0125, 1)),
        ("priority", (0.45, 0.045, 3.6)),
    ],
)
def test_cached_tokens_reasoning_and_tier(
    provider: LocalProvider,
    ask: Callable[..., None],
    tier: str | None,
    per_million: tuple[float, float, float],
    *,
    streamed: bool,
) -> None:
    """gpt-5-mini by LiteLLM's map of prices: input, cached and output at each tier."""
    answer = Answer(
        input_tokens=10_000,
        cached_tokens=4_000,
        output_tokens=800,
        reasoning_tokens=600,
        service_tier=tier,
    )
    record = record_of(ask, provider, "openai", answer, streamed=streamed)
    assert [getattr(record, name) for name in USAGE_COLUMNS] == [10_000, 800, 4_000, None, 600]
    uncached, cached, output = (round(rate * 1000) for rate in per_million)
    if tier == "flex":  # half a nano-dollar each: 12.5 for a cached token
        assert record.cost_nanousd == 6_000 * 125 + 4_000 * 12.5 + 800 * 1000
    else:
        assert record.cost_nanousd == 6_000 * uncached + 4_000 * cached + 800 * output
    assert record.cost_source == "genai-prices"


@each_asker
@both_ways
def test_cache_of_anthropic(
    provider: LocalProvider, ask: Callable[..., None], *, streamed: bool
) -> None:
    """Claude Sonnet 4.5: 3 dollars a million in, 3.75 written, 0.30 read, 15 out."""
    answer = Answer(
        input_tokens=10_000,
        cached_tokens=4_000,
        cache_write_5m_tokens=1_000,
        cache_write_1h_tokens=0,
        output_tokens=800,
        reasoning_tokens=600,
    )
    record = record_of(ask, provider, "anthropic", answer, streamed=streamed)
    assert [getattr(record, name) for name in USAGE_COLUMNS] == [10_000, 800, 4_000, 1_000, 600]
    expected = 5_000 * 3_000 + 1_000 * 3_750 + 4_000 * 300 + 800 * 15_000
    assert (record.cost_nanousd, record.cost_source) == (expected, "genai-prices")


@each_asker
def test_writes_for_an_hour(provider: LocalProvider, ask: Callable[..., None]) -> None:
    """They cost twice the input, 6 dollars a million, whoever tells of them."""
    answer = Answer(
        input_tokens=10_000,
        cache_write_5m_tokens=1_000,
        cache_write_1h_tokens=2_000,
        output_tokens=800,
    )
    record = record_of(ask, provider, "anthropic", answer, streamed=False)
    assert record.cache_creation_input_tokens == 3_000
    expected = 7_000 * 3_000 + 1_000 * 3_750 + 2_000 * 6_000 + 800 * 15_000
    assert record.cost_nanousd == expected


@pytest.mark.parametrize("ask", [by_langchain, by_llama_index])
def test_tier_of_anthropic(provider: LocalProvider, ask: Callable[..., None]) -> None:
    """What was served by capacity that was paid for in advance has no price of its own."""
    answer = Answer(service_tier="priority")
    record = record_of(ask, provider, "anthropic", answer, streamed=False)
    assert (record.service_tier, record.cost_nanousd) == ("priority", None)


def test_tier_of_anthropic_that_litellm_drops(provider: LocalProvider) -> None:
    """LiteLLM hands on no tier of Anthropic's: such calls have the standard price there."""
    record = record_of(
        by_litellm, provider, "anthropic", Answer(service_tier="priority"), streamed=False
    )
    assert (record.service_tier, record.cost_nanousd) == (None, 14 * 3_000 + 7 * 15_000)
