"""
What LiteLLM's calls cost, and whose ids they bear: items 32, 33, 37 and 38 of the checklist.

The expected figures are worked out by hand: tokens times LiteLLM's bundled prices per token, in
nano-dollars.
"""

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import litellm
import pytest
from drivers.litellm import WITH_USAGE, at, wait_for_threads
from litellm.integrations.custom_logger import CustomLogger
from modeltrail_litellm import install, uninstall

from modeltrail.record import CallRecord
from modeltrail.testing import (
    Answer,
    CapturedTrail,
    LocalProvider,
    provider_anthropic,
    provider_openai,
)
from modeltrail.trail import Trail
from tests.integrations.litellm.asking import only, tokens

# Of 100 tokens in 60 are cached, of 30 out 8 are reasoning: neither is counted twice.
DETAILED = Answer(input_tokens=100, output_tokens=30, cached_tokens=60, reasoning_tokens=8)
# o3-mini: 1.10 in, 0.55 cached, 4.40 out, dollars per million.
O3_MINI = 40 * 1100 + 60 * 550 + 30 * 4400
# gpt-4o: 2.50 in, 1.25 cached, 10.00 out.
GPT_4O = 40 * 2500 + 60 * 1250 + 30 * 10_000

WAYS = ["sync", "async", "stream", "astream"]


def ask(captured: CapturedTrail, way: str, arguments: dict[str, Any]) -> CallRecord:
    """Ask in one of the ways, and return the record of it."""

    async def stream() -> None:
        async for _ in await litellm.acompletion(**arguments, stream=True, **WITH_USAGE):
            pass
        await captured.recorder.ahear_out(10)

    if way == "sync":
        litellm.completion(**arguments)
    elif way == "async":
        asyncio.run(litellm.acompletion(**arguments))
    elif way == "stream":
        list(litellm.completion(**arguments, stream=True, **WITH_USAGE))
    else:
        asyncio.run(stream())
    return only(captured)


@pytest.mark.parametrize("way", WAYS)
def test_33_cached_and_reasoning_tokens(
    captured: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """Cached tokens lie within the input and reasoning within the output, priced once each."""
    provider.script(DETAILED)
    record = ask(captured, way, at(provider, model="openai/o3-mini"))
    assert tokens(record) == (100, 30)
    assert (record.cache_read_input_tokens, record.reasoning_output_tokens) == (60, 8)
    assert record.cost_reported_nanousd == O3_MINI == 209_000
    assert (record.cost_nanousd, record.cost_source) == (O3_MINI, "genai-prices")
    assert provider.count() == 1


@pytest.mark.parametrize("way", WAYS)
def test_33_base_model(captured: CapturedTrail, provider: LocalProvider, way: str) -> None:
    """The price of a model under a name of one's own is that of its `base_model`."""
    provider.script(DETAILED)
    own_name = {"model": "openai/a-name-of-our-own", "base_model": "gpt-4o"}
    record = ask(captured, way, at(provider, **own_name))
    assert record.request_model == "a-name-of-our-own"
    assert record.cost_reported_nanousd == GPT_4O == 475_000
    assert (record.cost_nanousd, record.cost_source) == (GPT_4O, "reported")


@pytest.mark.parametrize("way", ["sync", "async"])
def test_32_unknown_price_has_no_source(
    captured: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """A cost that nobody knows is NULL, not LiteLLM's 0.0; the tokens are there."""
    record = ask(captured, way, at(provider, model="openai/nobody-prices-it"))
    assert (record.cost_nanousd, record.cost_reported_nanousd) == (None, None)
    assert (record.cost_source, record.price_id) == ("none", None)
    assert tokens(record) == (14, 7)


def test_32_unknown_price_of_a_stream(captured: CapturedTrail, provider: LocalProvider) -> None:
    """So is that of a stream."""
    record = ask(captured, "stream", at(provider, model="openai/nobody-prices-it"))
    assert (record.cost_nanousd, record.cost_reported_nanousd) == (None, None)
    assert record.cost_source == "none"


def test_37_calls_with_one_provider_id_are_all_stored(
    trail: Trail, provider: LocalProvider, url: str
) -> None:
    """Providers repeat their ids: each call is a row of its own all the same."""
    provider.script(*[Answer(response_id="same", request_id="same-too") for _ in range(4)])
    logger = install(trail)
    for _ in range(2):
        litellm.completion(**at(provider))
        asyncio.run(litellm.acompletion(**at(provider)))
    assert trail.flush(20)
    uninstall(logger)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        found = connection.execute("SELECT id, response_id, provider_request_id FROM call")
        rows = found.fetchall()
    assert [row[1:] for row in rows] == [("same", "same-too")] * 4
    assert len({id for id, *_ in rows}) == provider.count() == 4


@pytest.mark.parametrize("way", WAYS)
def test_38_provider_without_ids(
    captured: CapturedTrail, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """An answer whose id is null is recorded like any other."""
    head = provider_openai._head
    monkeypatch.setattr(provider_openai, "_head", lambda *given: head(*given) | {"id": None})
    seen: list[Any] = []

    class Neighbour(CustomLogger):
        def log_success_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            seen.append(response_obj.id)

        async def async_log_success_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            seen.append(response_obj.id)

    neighbour = Neighbour()
    litellm.callbacks.insert(0, neighbour)
    record = ask(captured, way, at(provider))
    wait_for_threads()
    litellm.logging_callback_manager.remove_callback_from_all_lists(neighbour)
    # LiteLLM makes one up, of a stream even several; what the application sees is recorded.
    assert record.response_id
    assert record.response_id != "None"
    assert way != "sync" or seen == [record.response_id]
    assert (record.status, tokens(record)) == ("ok", (14, 7))
    assert provider.count() == 1


@pytest.mark.parametrize("way", ["sync", "stream"])
def test_32_openrouter_says_what_it_has_charged(
    captured: CapturedTrail, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """As documented: in dollars, beside the tokens."""
    usage_of = provider_openai.usage_of
    charged = {"cost": 0.00014, "is_byok": False, "cost_details": {"upstream_inference_cost": None}}
    monkeypatch.setattr(provider_openai, "usage_of", lambda answer: usage_of(answer) | charged)
    provider.script(DETAILED)
    record = ask(captured, way, at(provider, model="openrouter/openai/gpt-4o-mini"))
    assert tokens(record) == (100, 30)
    assert record.cost_reported_nanousd == 140_000


@pytest.mark.parametrize(
    ("said", "tier", "tenths"),
    [
        ({"speed": "fast"}, "fast", 20),
        ({"inference_geo": "us"}, "us-only", 11),
        ({"inference_geo": "us", "speed": "fast"}, "fast-us-only", 22),
    ],
)
@pytest.mark.parametrize("way", ["sync", "stream"])
def test_33_modes_of_anthropic(
    captured: CapturedTrail,
    provider: LocalProvider,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    said: dict[str, str],
    tier: str,
    tenths: int,
) -> None:
    """Claude Opus 5: 5 dollars a million in and 25 out; twice that if fast, 1.1 times in the US."""
    usage_of = provider_anthropic.usage_of
    monkeypatch.setattr(provider_anthropic, "usage_of", lambda answer: usage_of(answer) | said)
    provider.script(Answer(input_tokens=100, output_tokens=30, model="claude-opus-5"))
    arguments = at(provider, model="anthropic/claude-opus-5", api_base=provider.anthropic_url)
    record = ask(captured, way, arguments)
    assert (record.service_tier, record.cost_nanousd) == (
        tier,
        (100 * 5_000 + 30 * 25_000) * tenths // 10,
    )
