"""
Prices: checked against figures worked out by hand from published prices.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from modeltrail import prices
from modeltrail.prices import Cost, Subject, listed, rates_at
from modeltrail.record import Operation, Usage

NOW_US = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 1_000_000


def at(year: int, month: int, day: int) -> int:
    """
    Return a date in microseconds.
    """
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000


def price(
    used: Usage, *, operation: Operation, provider: str | None, model: str, at_us: int, **more: Any
) -> Cost:
    """
    Price usage by published prices, or by those of a `book`.
    """
    book = more.pop("book", prices.NO_BOOK)
    subject = Subject(provider, model, at_us, **more)
    return prices.price(used, subject, operation=operation, book=book)


def usage(**counts: int) -> Usage:
    """
    Return usage as a provider reports it.
    """
    return Usage(**counts, source="provider")


def test_price_of_the_calls_time() -> None:
    """OpenAI cut the price of o3 by 80 % on 2025-06-10: from 10 and 40 to 2 and 8 dollars."""
    used = usage(input_tokens=1_000_000, output_tokens=100_000)
    before, after = (
        price(used, operation="chat", provider="openai", model="o3", at_us=day)
        for day in (at(2025, 5, 15), at(2025, 7, 15))
    )
    assert (before.nanousd, after.nanousd) == (14_000_000_000, 2_800_000_000)


def test_cached_tokens_cost_less() -> None:
    """gpt-4o-mini: 0.15 dollars a million in, 0.075 cached, 0.60 out."""
    used = usage(input_tokens=1200, cache_read_input_tokens=1024, output_tokens=96)
    cost = price(used, operation="chat", provider="openai", model="gpt-4o-mini", at_us=NOW_US)
    assert cost.nanousd == 176 * 150 + 1024 * 75 + 96 * 600
    assert cost.source == "genai-prices"
    assert cost.price_id is not None and cost.price_id.endswith(":openai/gpt-4o-mini")


def test_cache_writes_cost_more() -> None:
    """Claude Sonnet 4: 3 dollars a million in, 3.75 written to the cache, 15 out."""
    used = usage(input_tokens=3000, cache_creation_input_tokens=2000, output_tokens=10)
    cost = price(
        used, operation="chat", provider="anthropic", model="claude-sonnet-4-0", at_us=NOW_US
    )
    assert cost.nanousd == 1000 * 3000 + 2000 * 3750 + 10 * 15000


def test_unknown_provider_is_looked_up_by_model_and_says_so() -> None:
    """Without a provider the model's name decides, and the price id tells."""
    used = usage(input_tokens=349, output_tokens=120)
    cost = price(
        used, operation="chat", provider=None, model="claude-3-haiku-20240307", at_us=NOW_US
    )
    assert cost.nanousd == 349 * 250 + 120 * 1250
    assert cost.price_id is not None and cost.price_id.endswith(":by-model-name")


@pytest.mark.parametrize(
    ("used", "model"),
    [
        (usage(input_tokens=1, output_tokens=1), "nobody-knows-this-model"),
        (usage(input_tokens=1), "gpt-4o-mini"),
        (Usage(), "gpt-4o-mini"),
        (Usage(input_tokens=1, output_tokens=1, source="partial"), "gpt-4o-mini"),
    ],
)
def test_what_cannot_be_priced_costs_none(used: Usage, model: str) -> None:
    """An unknown model or count leaves the cost unknown, never 0."""
    cost = price(used, operation="chat", provider="openai", model=model, at_us=NOW_US)
    assert cost == Cost(None, "none", None)


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-5.5"])
def test_figures_that_do_not_add_up_cost_none(model: str) -> None:
    """More cached input than input has no cost, whether the price has tiers or not."""
    used = Usage(input_tokens=10, cache_read_input_tokens=90, output_tokens=5, source="estimated")
    cost = price(used, operation="chat", provider="openai", model=model, at_us=NOW_US)
    assert cost.nanousd is None


def test_more_hour_long_writes_than_writes_cost_none() -> None:
    """A part beyond its whole has no cost, either."""
    used = Usage(
        input_tokens=90,
        cache_creation_input_tokens=40,
        output_tokens=5,
        detail={"cache_creation_1h_input_tokens": 50},
        source="provider",
    )
    cost = price(
        used, operation="chat", provider="anthropic", model="claude-sonnet-4-0", at_us=NOW_US
    )
    assert cost.nanousd is None


def test_embeddings_have_no_output() -> None:
    """text-embedding-3-small costs 0.02 dollars a million in."""
    cost = price(
        usage(input_tokens=1000),
        operation="embeddings",
        provider="openai",
        model="text-embedding-3-small",
        at_us=NOW_US,
    )
    assert cost.nanousd == 1000 * 20


def test_tiered_prices_take_the_tier_of_the_whole_input() -> None:
    """Gemini 2.5 Pro: 1.25 in and 10 out up to 200,000 tokens of input, 2.50 and 15 above."""
    small, large = (
        price(
            usage(input_tokens=count, output_tokens=1000),
            operation="chat",
            provider="google",
            model="gemini-2.5-pro",
            at_us=NOW_US,
        ).nanousd
        for count in (200_000, 200_001)
    )
    assert small == 200_000 * 1250 + 1000 * 10_000
    assert large == 200_001 * 2500 + 1000 * 15_000


def test_half_a_nano_dollar_is_rounded_to_even() -> None:
    """gemini-2.0-flash-lite, cached: an odd count ends in half a nano-dollar."""
    used = usage(input_tokens=1, cache_read_input_tokens=1, output_tokens=0)
    cost = price(used, operation="chat", provider="openai", model="gpt-4.1-nano", at_us=NOW_US)
    assert cost.nanousd == 25


def test_tier_that_nobody_lists_has_no_cost() -> None:
    """Whatever it costs, it is not the standard price; the standard tiers by any name are."""
    used = usage(input_tokens=10, output_tokens=10)
    found = {
        tier: price(
            used,
            operation="chat",
            provider="anthropic",
            model="claude-sonnet-4-0",
            at_us=NOW_US,
            service_tier=tier,
        ).nanousd
        for tier in (None, "standard", "default", "STANDARD", "priority", "scale")
    }
    standard = 10 * 3000 + 10 * 15000
    assert found == {
        None: standard,
        "standard": standard,
        "default": standard,
        "STANDARD": standard,
        "priority": None,
        "scale": None,
    }


def test_price_of_a_tier_has_an_id_of_its_own() -> None:
    """gpt-5-mini at flex: half of 0.25 and 2 dollars; the record tells it from the standard."""
    found = price(
        usage(input_tokens=1000, output_tokens=100),
        operation="chat",
        provider="openai",
        model="gpt-5-mini",
        at_us=NOW_US,
        service_tier="flex",
    )
    assert found.nanousd == 1000 * 125 + 100 * 1000
    assert found.price_id is not None and found.price_id.endswith(":openai/gpt-5-mini:flex")


def test_tier_that_is_asked_for_often_is_worked_out_once() -> None:
    """The price of a tier is the same object each time, so that its rates are found again."""
    subject = Subject("openai", "gpt-5-mini", NOW_US, "flex")
    prices.rates_at(subject)
    known = len(listed._RATES), len(listed._VARIANTS)
    for _ in range(3):
        assert prices.rates_at(subject) is prices.rates_at(subject)
    assert (len(listed._RATES), len(listed._VARIANTS)) == known


def test_tier_has_a_price_from_the_day_on_that_is_listed() -> None:
    """gpt-4.1 at priority, 3.50 dollars a million in and 14 out, is listed since 2026-10-12."""
    costs = [
        price(
            usage(input_tokens=1000, output_tokens=100),
            operation="chat",
            provider="openai",
            model="gpt-4.1",
            at_us=at(2026, 10, day),
            service_tier="priority",
        ).nanousd
        for day in (11, 12)
    ]
    assert costs == [None, 1000 * 3500 + 100 * 14000]


@pytest.mark.parametrize("model", ["claude-sonnet-4-0", "gpt-4o-mini", "gpt-5.5"])
def test_writes_for_an_hour_without_a_price(model: str) -> None:
    """They cost more than others: where nobody says how much, the cost is unknown."""
    used = Usage(
        input_tokens=100,
        cache_creation_input_tokens=100,
        output_tokens=0,
        detail={"cache_creation_1h_input_tokens": 40, "cache_creation_5m_input_tokens": 60},
        source="provider",
    )
    found = price(used, operation="chat", provider=None, model=model, at_us=NOW_US)
    assert found.nanousd == (60 * 3750 + 40 * 6000 if model == "claude-sonnet-4-0" else None)


def test_rates_are_those_of_the_moment() -> None:
    """o3 cost 10 dollars a million in and 40 out until 2025-06-10, then 2 and 8, cached 0.50."""
    found = [rates_at(Subject("openai", "o3", day)) for day in (at(2025, 5, 15), at(2025, 7, 15))]
    million = [rates.times(Decimal(10**6)) for rates in found if rates]
    assert [(rates.uncached_input, rates.output) for rates in million] == [(10, 40), (2, 8)]
    assert million[1].cache_read == Decimal("0.50")


def test_rates_of_nobody_are_unknown() -> None:
    """A model without a price has no rates."""
    assert rates_at(Subject("nobody", "house-model", NOW_US)) is None


def test_list_price_is_rates_times_tokens() -> None:
    """Where there are rates, they make the price: worked out by hand, and as `price` has it."""
    counts = {"input_tokens": 1200, "cache_read_input_tokens": 1024, "output_tokens": 96}
    subject = Subject("openai", "gpt-4o-mini", NOW_US)
    found = prices.list_price(usage(**counts), subject, operation="chat")
    assert found is not None
    rates = found.rates.times(Decimal(10**6))
    assert (rates.uncached_input, rates.cache_read, rates.output) == (
        Decimal("0.15"),
        Decimal("0.075"),
        Decimal("0.6"),
    )
    assert found.price_id == prices.price(usage(**counts), subject, operation="chat").price_id


@pytest.mark.parametrize(
    ("model", "used"),
    [
        ("gemini-2.5-pro", usage(input_tokens=10, output_tokens=1)),  # dearer beyond 200,000
        ("gpt-4o-mini", Usage(input_tokens=10, output_tokens=1, source="partial")),
        ("gpt-4o-mini", usage(input_tokens=10, output_tokens=1, cache_read_input_tokens=11)),
        (
            "claude-sonnet-4-0",
            Usage(
                input_tokens=10,
                output_tokens=1,
                cache_creation_input_tokens=5,
                detail={"cache_creation_1h_input_tokens": 5},
                source="provider",
            ),
        ),
        ("house-model", usage(input_tokens=10, output_tokens=1)),
    ],
)
def test_no_list_price_where_it_is_more_than_rates(model: str, used: Usage) -> None:
    """Rather none than one that does not hold."""
    assert prices.list_price(used, Subject(None, model, NOW_US), operation="chat") is None
