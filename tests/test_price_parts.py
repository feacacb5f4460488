"""
Prices of what is not text, of searches and of fast mode.

Rates in dollars a million, by LiteLLM's bundled map (1.110.2) unless it says otherwise.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from modeltrail.prices import PriceBook, Subject, list_price, price
from modeltrail.prices.book import OwnPrice
from modeltrail.usage import read_usage
from tests.test_usage_parts import DEEP_RESEARCH, GEMINI

AT_US = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp()) * 1_000_000
FLASH = ("google", "gemini-2.5-flash")


def cost(
    reported: dict[str, Any], provider: str, model: str, tier: str | None = None
) -> int | None:
    """Return what a report's usage costs, in nano-dollars."""
    subject = Subject(provider, model, AT_US, tier)
    return price(read_usage(reported), subject, operation="chat").nanousd


def test_audio_and_text_in_and_out_of_the_cache() -> None:
    """Gemini 2.5 Flash: 0.30 in and 1.00 of audio, cached 0.03 and 0.10, 2.50 out."""
    text, audio = 600 + 100 - 150, 300 - 50  # a picture costs what text does
    expected = text * 300 + audio * 1000 + 150 * 30 + 50 * 100 + 100 * 2500
    assert cost(GEMINI, *FLASH) == expected


def test_no_cached_audio_is_known_from_cached_text() -> None:
    """If all that is cached is text, no audio is; if that is not told, nothing is known."""
    text = GEMINI | {"cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 200}]}
    assert cost(text, *FLASH) == 500 * 300 + 300 * 1000 + 200 * 30 + 100 * 2500
    part = GEMINI | {"cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 199}]}
    untold = {name: value for name, value in GEMINI.items() if name != "cacheTokensDetails"}
    assert cost(part, *FLASH) is cost(untold, *FLASH) is None


@pytest.mark.parametrize("cached", [{}, {"cachedContentTokenCount": 0}])
def test_audio_without_a_cache(cached: dict[str, int]) -> None:
    """What is not cached at all is not cached audio."""
    reported = {
        "promptTokenCount": 1000,
        "candidatesTokenCount": 10,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 400}],
        **cached,
    }
    assert cost(reported, *FLASH) == 600 * 300 + 400 * 1000 + 10 * 2500


def test_audio_that_tools_hand_in() -> None:
    """It costs what audio costs: 0.30 for text, 1.00 for audio, 2.50 out."""
    reported = {
        "promptTokenCount": 1000,
        "candidatesTokenCount": 10,
        "toolUsePromptTokenCount": 500,
        "totalTokenCount": 1510,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 400}],
        "toolUsePromptTokensDetails": [
            {"modality": "AUDIO", "tokenCount": 200},
            {"modality": "TEXT", "tokenCount": 300},
        ],
    }
    assert cost(reported, *FLASH) == (600 + 300) * 300 + (400 + 200) * 1000 + 10 * 2500
    text = {**reported, "promptTokensDetails": [], "toolUsePromptTokensDetails": []}
    assert cost(text, *FLASH) == 1500 * 300 + 10 * 2500


def test_a_picture_in_the_answer() -> None:
    """gemini-2.5-flash-image: 0.30 in, 30 a million for pictures: 3.87 cents for one."""
    reported = {
        "promptTokenCount": 10,
        "candidatesTokenCount": 1300,
        "candidatesTokensDetails": [
            {"modality": "IMAGE", "tokenCount": 1290},
            {"modality": "TEXT", "tokenCount": 10},
        ],
    }
    expected = 10 * 300 + 1290 * 30_000 + 10 * 2500
    assert cost(reported, "google", "gemini-2.5-flash-image") == expected


def test_bedrock_writes_that_are_kept_for_an_hour() -> None:
    """Claude Sonnet 4.5 in one region, a tenth more: 3.30, 0.33, 4.125 and 6.60, 16.50 out."""
    reported = {
        "inputTokens": 40,
        "outputTokens": 50,
        "cacheReadInputTokens": 20,
        "cacheWriteInputTokens": 40,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 10}],
    }
    model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    expected = 40 * 3300 + 20 * 330 + 10 * 4125 + 30 * 6600 + 50 * 16_500
    assert cost(reported, "aws", model) == expected


@pytest.mark.parametrize(
    ("model", "tier", "expected"),
    [
        # 5 and 25, in fast mode twice that; openrouter.ai says 10 and 50 of it, too.
        ("claude-opus-5", "standard", 900 * 5000 + 100 * 500 + 100 * 25_000),
        ("claude-opus-5", "fast", 2 * (900 * 5000 + 100 * 500 + 100 * 25_000)),
        # The map has no fast mode of it: removed in July 2026, and its price was not double.
        ("claude-opus-4-6", "fast", None),
        ("claude-sonnet-4-5", "fast", None),
    ],
)
def test_fast_mode_of_anthropic(model: str, tier: str, expected: int | None) -> None:
    """Where no price of it is listed there is none."""
    reported = {"input_tokens": 900, "output_tokens": 100, "cache_read_input_tokens": 100}
    assert cost(reported, "anthropic", model, tier) == expected


# 5 dollars in, 0.50 and 6.25 of the cache, 10 for an hour of it, 25 out: in tens of
# nano-dollars.
OPUS = 600 * 500 + 100 * 50 + 200 * 625 + 100 * 1000 + 50 * 2500


@pytest.mark.parametrize(
    ("model", "tier", "expected"),
    [
        # 1.1 times as much; a cent a search.
        ("claude-opus-4-6", "us-only", 11 * OPUS),
        ("claude-opus-5", "us-only", 11 * OPUS),
        ("claude-opus-5", "fast-us-only", 22 * OPUS),
        ("claude-opus-5", "batch-us-only", 5.5 * OPUS),
        # Models before 4.6 cost what they cost elsewhere: 3, 0.30, 3.75, 6 and 15.
        (
            "claude-sonnet-4-5-20250929",
            "us-only",
            600 * 3000 + 100 * 300 + 200 * 3750 + 100 * 6000 + 50 * 15_000,
        ),
        ("claude-opus-5", "priority-us-only", None),
        ("claude-sonnet-4-6", "fast-us-only", None),
    ],
)
def test_claude_in_the_united_states_only(model: str, tier: str, expected: float | None) -> None:
    """A tenth more for every token since 4.6, on top of whatever mode; not for searches."""
    reported = {
        "input_tokens": 600,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
        "output_tokens": 50,
    }
    assert cost(reported, "anthropic", model, tier) == expected
    searched = {**reported, "server_tool_use": {"web_search_requests": 3}}
    more = None if expected is None else expected + 3 * 10_000_000
    assert cost(searched, "anthropic", model, tier) == more
    assert cost(reported, "openai", "gpt-4.1", tier) is None


def test_fast_tier_of_openai() -> None:
    """A tier of service there: gpt-4.1 at 3.50 and 14, which the map has of `priority`."""
    reported = {"prompt_tokens": 1000, "completion_tokens": 100}
    assert cost(reported, "openai", "gpt-4.1", "fast") == 1000 * 3500 + 100 * 14_000


def test_anthropic_searches_are_billed() -> None:
    """Claude Sonnet 4.5: 3 in, 15 out, and a cent for a search."""
    reported = {
        "input_tokens": 1000,
        "output_tokens": 100,
        "server_tool_use": {"web_search_requests": 2},
    }
    expected = 1000 * 3000 + 100 * 15_000 + 2 * 10_000_000
    assert cost(reported, "anthropic", "claude-sonnet-4-5") == expected


def test_deep_research_of_perplexity() -> None:
    """2 in, 8 out, 2 for citations, 3 for reasoning, and half a cent for a search."""
    expected = 108 * 2000 + 3256 * 8000 + 7299 * 2000 + 73248 * 3000 + 74 * 5_000_000
    assert expected == 630_606_000
    assert cost(DEEP_RESEARCH, "perplexity", "sonar-deep-research") == expected


def test_deep_research_that_is_told_in_part_costs_none() -> None:
    """As through a client that tells prompt and completion alone: 2.6 of 63 cents."""
    reported = {"prompt_tokens": 108, "completion_tokens": 3256, "total_tokens": 3364}
    assert cost(reported, "perplexity", "sonar-deep-research") is None


OWN = OwnPrice(model="*", input=Decimal(1), output=Decimal(2))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 258}]}, 1000 * 1000),
        ({"promptTokensDetails": [{"modality": "DOCUMENT", "tokenCount": 9}]}, 1000 * 1000),
        ({"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 9}]}, None),
        ({"candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 9}]}, None),
    ],
)
def test_own_prices_know_what_is_seen(parts: dict[str, Any], expected: int | None) -> None:
    """Pictures in the input are input; of audio and of pictures in the answer they say nothing."""
    used = read_usage({"promptTokenCount": 1000, "candidatesTokenCount": 10, **parts})
    subject = Subject("google", "house-model", AT_US)
    found = price(used, subject, operation="chat", book=PriceBook((OWN,)))
    assert found.nanousd == (None if expected is None else expected + 10 * 2000)


def test_list_price_of_more_than_text_is_no_rate() -> None:
    """A bill has one charge for such a call: its tokens do not all cost the same."""
    subject = Subject(*FLASH, AT_US)
    assert list_price(read_usage(GEMINI), subject, operation="chat") is None
