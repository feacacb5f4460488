"""
What reports of usage say beside their tokens.
"""

from typing import Any

import pytest

from modeltrail.prices import cost_of
from modeltrail.usage import known_counts
from modeltrail.usage.beside import reported_cost_nanousd, reported_tier

# A query of sonar with little context: 1 dollar a million each way, and 5 for a thousand requests.
SONAR = {
    "prompt_tokens": 8,
    "completion_tokens": 439,
    "total_tokens": 447,
    "search_context_size": "low",
    "cost": {
        "input_tokens_cost": 8e-06,
        "output_tokens_cost": 0.000439,
        "request_cost": 0.005,
        "total_cost": 0.005447,
    },
}


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (SONAR, 5_447_000),
        # OpenRouter's own example: the provider is paid apart only with a key of the caller.
        ({"cost": 0.95, "cost_details": {"upstream_inference_cost": 19}}, 950_000_000),
        (
            {"cost": 0.95, "is_byok": True, "cost_details": {"upstream_inference_cost": 19}},
            19_950_000_000,
        ),
        ({"cost": 0.95, "is_byok": False, "cost_details": {}}, 950_000_000),
        # tailcallhq/forgecode#1641
        (
            {"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.0360795}},
            36_079_500,
        ),
        # A fee alone is not what the call has cost.
        ({"cost": 0.05, "is_byok": True, "cost_details": None}, None),
        # A free model has cost nothing, which is known.
        ({"cost": 0}, 0),
        # vercel/ai#12425: $0.0232856
        ({"prompt_tokens": 10120, "cost_in_usd_ticks": 232_856_000}, 23_285_600),
        # Half to even, and no binary noise: 0.1 + 0.2 is not asked for.
        ({"cost": 1.5e-9}, 2),
        ({"cost": 0.1}, 100_000_000),
        ({"cost": None}, None),
        ({"cost": "0.95"}, None),
        ({"cost": True}, None),
        ({"cost": -1.0}, None),
        ({"cost": float("nan")}, None),
        ({"cost": {"currency": "USD"}}, None),
        ({"prompt_tokens": 5}, None),
        ([], None),
        (None, None),
    ],
)
def test_what_a_provider_has_charged(reported: object, expected: int | None) -> None:
    """To the nano-dollar, and unknown rather than a part of it."""
    assert reported_cost_nanousd(reported) == expected
    assert reported_cost_nanousd(known_counts(reported)) == expected


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"speed": "fast", "service_tier": "standard"}, "fast"),
        ({"speed": "standard"}, None),
        ({"inference_geo": "us", "service_tier": "standard"}, "us-only"),
        ({"inference_geo": "us", "speed": "fast"}, "fast-us-only"),
        ({"inference_geo": "us", "service_tier": "priority"}, "priority-us-only"),
        ({"inference_geo": "global", "service_tier": "priority"}, None),
        ({"inference_geo": "not_available"}, None),
        ({"speed": None}, None),
        ({"speed": ["fast"]}, None),
        ({}, None),
        (None, None),
    ],
)
def test_modes_of_anthropic_are_tiers(reported: object, expected: str | None) -> None:
    """Whatever is no word of Anthropic's says nothing; several modes are a tier together."""
    assert reported_tier(reported) == reported_tier(known_counts(reported)) == expected


def test_nothing_but_known_words_is_kept() -> None:
    """Texts beside the counts may be anything; so may texts where a word is known."""
    told = {"speed": "fast", "search_context_size": "low", "currency": "USD", "cost": "secret"}
    assert known_counts(told) == {"speed": "fast"}
    assert known_counts({"speed": "of light", "cost": {"currency": "USD", "total_cost": 0.5}}) == {
        "cost": {"total_cost": 0.5}
    }
    parts = [{"modality": "AUDIO", "tokenCount": 5, "note": "secret"}, {"modality": "secret"}]
    assert known_counts({"promptTokensDetails": parts}) == {"promptTokensDetails": {"AUDIO": 5}}


def cost(columns: dict[str, Any], **more: Any) -> Any:
    """Return what a call of that report costs."""
    return cost_of({"operation": "chat", "started_at_us": 1_790_000_000_000_000, **columns, **more})


def test_perplexity_request_costs_what_it_says() -> None:
    """The fee of a request depends on how much was searched: no price data tells it."""
    columns = {
        "provider": "perplexity",
        "response_model": "sonar",
        "input_tokens": 8,
        "output_tokens": 439,
        "usage_source": "provider",
    }
    assert cost(columns).nanousd is None
    found = cost(columns, cost_reported_nanousd=reported_cost_nanousd(SONAR))
    assert (found.nanousd, found.source) == (8_000 + 439_000 + 5_000_000, "reported")
