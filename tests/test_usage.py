"""
Usage in the dialects of providers and frameworks.
"""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modeltrail.prices import Subject
from modeltrail.prices.book import OwnPrice
from modeltrail.record import USAGE_COLUMNS, Usage
from modeltrail.usage import is_consistent, known_counts, read_usage
from modeltrail.usage.dialects import DIALECTS


def test_openai_dialect() -> None:
    """Cached tokens stay within the input, reasoning within the output."""
    reported = {
        "prompt_tokens": 1200,
        "completion_tokens": 96,
        "total_tokens": 1296,
        "prompt_tokens_details": {
            "cached_tokens": 1024,
            "cache_creation_tokens": 100,
            "audio_tokens": 3,
        },
        "completion_tokens_details": {"reasoning_tokens": 64},
    }
    assert read_usage(reported) == Usage(
        input_tokens=1200,
        output_tokens=96,
        cache_read_input_tokens=1024,
        cache_creation_input_tokens=100,
        reasoning_output_tokens=64,
        detail={"input_audio_tokens": 3},
        source="provider",
    )


def test_langchain_dialect() -> None:
    """LangChain's usage_metadata counts inclusively, too."""
    reported = {
        "input_tokens": 350,
        "output_tokens": 240,
        "total_tokens": 590,
        "input_token_details": {"cache_creation": 200, "cache_read": 100},
        "output_token_details": {"reasoning": 200},
    }
    assert read_usage(reported) == Usage(
        input_tokens=350,
        output_tokens=240,
        cache_read_input_tokens=100,
        cache_creation_input_tokens=200,
        reasoning_output_tokens=200,
        source="provider",
    )


def test_responses_dialect() -> None:
    """OpenAI's responses count inclusively under names of their own."""
    reported = {
        "input_tokens": 100,
        "output_tokens": 50,
        "total_tokens": 150,
        "input_tokens_details": {"cached_tokens": 40},
        "output_tokens_details": {"reasoning_tokens": 30},
    }
    assert read_usage(reported) == Usage(
        input_tokens=100,
        output_tokens=50,
        cache_read_input_tokens=40,
        reasoning_output_tokens=30,
        source="provider",
    )


def test_anthropic_dialect() -> None:
    """Anthropic tells the cache apart from the input: the input is all of them."""
    reported = {
        "input_tokens": 40,
        "output_tokens": 50,
        "cache_read_input_tokens": 20,
        "cache_creation_input_tokens": 40,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 30},
        "output_tokens_details": {"thinking_tokens": 30},
        "service_tier": "standard",
    }
    expected = Usage(
        input_tokens=100,
        output_tokens=50,
        cache_read_input_tokens=20,
        cache_creation_input_tokens=40,
        reasoning_output_tokens=30,
        detail={"cache_creation_5m_input_tokens": 10, "cache_creation_1h_input_tokens": 30},
        source="provider",
    )
    assert read_usage(reported) == expected
    assert read_usage(known_counts(reported)) == expected


def test_bedrock_dialect() -> None:
    """So does Bedrock's Converse API."""
    reported = {
        "inputTokens": 40,
        "outputTokens": 50,
        "totalTokens": 150,
        "cacheReadInputTokens": 20,
        "cacheWriteInputTokens": 40,
    }
    expected = Usage(
        input_tokens=100,
        output_tokens=50,
        cache_read_input_tokens=20,
        cache_creation_input_tokens=40,
        source="provider",
    )
    assert read_usage(reported) == read_usage(known_counts(reported)) == expected


def test_gemini_dialect() -> None:
    """Gemini tells thoughts and results of tools apart; its cache lies within the prompt."""
    reported = {
        "prompt_token_count": 100,
        "candidates_token_count": 20,
        "cached_content_token_count": 40,
        "thoughts_token_count": 30,
        "tool_use_prompt_token_count": 5,
        "total_token_count": 155,
        "traffic_type": "ON_DEMAND",
    }
    expected = Usage(
        input_tokens=105,
        output_tokens=50,
        cache_read_input_tokens=40,
        reasoning_output_tokens=30,
        detail={"tool_input_tokens": 5},
        source="provider",
    )
    assert read_usage(reported) == read_usage(known_counts(reported)) == expected


def test_openai_cache_writes() -> None:
    """OpenAI tells writes to its cache within the prompt, in both of its interfaces."""
    expected = Usage(
        input_tokens=100,
        output_tokens=5,
        cache_read_input_tokens=30,
        cache_creation_input_tokens=50,
        source="provider",
    )
    details = {"cached_tokens": 30, "cache_write_tokens": 50}
    chat = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": details}
    responses = {"input_tokens": 100, "output_tokens": 5, "input_tokens_details": details}
    for reported in (chat, responses):
        reported |= {"total_tokens": 105}
        assert read_usage(known_counts(reported)) == expected


# Two reports of xAI's chat completions as others have published them; what the first was billed
# is 232,856,000 ticks of a ten-billionth of a dollar: vercel/ai#12425, Wei-Shaw/sub2api#5771.
@pytest.mark.parametrize(
    ("prompt", "completion", "reasoning", "total"), [(10120, 1499, 2809, 14428), (12, 1, 386, 399)]
)
def test_xai_dialect(prompt: int, completion: int, reasoning: int, total: int) -> None:
    """xAI tells reasoning apart from the completion, which its total gives away."""
    reported = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    through_langchain = {
        "input_tokens": prompt,
        "output_tokens": completion,
        "total_tokens": total,
        "output_token_details": {"reasoning": reasoning},
    }
    expected = Usage(
        input_tokens=prompt,
        output_tokens=completion + reasoning,
        reasoning_output_tokens=reasoning,
        source="provider",
    )
    for each in (reported, through_langchain):
        assert read_usage(each) == read_usage(known_counts(each)) == expected


def test_cost_of_xai_reasoning_is_what_was_billed() -> None:
    """grok-4.20 at 1.25 dollars a million in, 0.20 cached and 2.50 out: $0.0232856."""
    used = read_usage(
        {
            "prompt_tokens": 10120,
            "completion_tokens": 1499,
            "total_tokens": 14428,
            "prompt_tokens_details": {"cached_tokens": 128},
            "completion_tokens_details": {"reasoning_tokens": 2809},
        }
    )
    rates = OwnPrice(
        model="*", input=Decimal("1.25"), cache_read=Decimal("0.2"), output=Decimal("2.5")
    )
    cost = rates.cost(used, Subject("x-ai", "grok-4.20", 0))
    assert cost.nanousd == 23_285_600


def test_deepseek_dialect() -> None:
    """DeepSeek tells hits and misses of its cache, which come to the prompt."""
    reported = {
        "prompt_tokens": 100,
        "prompt_cache_hit_tokens": 64,
        "prompt_cache_miss_tokens": 36,
        "completion_tokens": 10,
        "total_tokens": 110,
    }
    expected = Usage(
        input_tokens=100, output_tokens=10, cache_read_input_tokens=64, source="provider"
    )
    assert read_usage(reported) == read_usage(known_counts(reported)) == expected


def test_cohere_dialect() -> None:
    """Cohere bills fewer tokens than its model saw."""
    reported = {
        "billed_units": {"input_tokens": 5, "output_tokens": 418},
        "tokens": {"input_tokens": 71, "output_tokens": 418},
        "cached_tokens": 0,
    }
    expected = Usage(
        input_tokens=5, output_tokens=418, cache_read_input_tokens=0, source="provider"
    )
    assert read_usage(reported) == read_usage(known_counts(reported)) == expected


def test_ollama_dialect() -> None:
    """Ollama counts what it evaluated, beside durations in nanoseconds."""
    reported = {"prompt_eval_count": 26, "eval_count": 298, "eval_duration": 4_799_921_000}
    expected = Usage(input_tokens=26, output_tokens=298, source="provider")
    assert read_usage(reported) == read_usage(known_counts(reported)) == expected


def test_gemini_as_it_is_sent() -> None:
    """The REST interface writes the same figures in another way."""
    reported = {
        "promptTokenCount": 100,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 150,
    }
    expected = Usage(
        input_tokens=100, output_tokens=50, reasoning_output_tokens=30, source="provider"
    )
    assert read_usage(reported) == read_usage(known_counts(reported)) == expected


@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_langchain_at_another_tier(tier: str) -> None:
    """LangChain gives the parts of a call at another tier names of their own."""
    reported = {
        "input_tokens": 1000,
        "output_tokens": 70,
        "total_tokens": 1070,
        "input_token_details": {f"{tier}_cache_read": 100, tier: 900},
        "output_token_details": {f"{tier}_reasoning": 20, tier: 50},
    }
    expected = Usage(
        input_tokens=1000,
        output_tokens=70,
        cache_read_input_tokens=100,
        reasoning_output_tokens=20,
        source="provider",
    )
    assert read_usage(reported) == read_usage(known_counts(reported)) == expected


def test_litellm_tells_how_long_writes_are_kept() -> None:
    """LiteLLM has Anthropic's lifetimes within the details of the prompt."""
    reported = {
        "prompt_tokens": 1000,
        "completion_tokens": 70,
        "total_tokens": 1070,
        "prompt_tokens_details": {
            "cached_tokens": 100,
            "cache_creation_tokens": 250,
            "cache_creation_token_details": {
                "ephemeral_5m_input_tokens": 50,
                "ephemeral_1h_input_tokens": 200,
            },
        },
    }
    usage = read_usage(known_counts(reported))
    assert usage.cache_creation_input_tokens == 250
    assert usage.detail == {
        "cache_creation_5m_input_tokens": 50,
        "cache_creation_1h_input_tokens": 200,
    }


@pytest.mark.parametrize("names", [("prompt", "completion"), ("input", "output")])
def test_total_that_is_another_one_is_marked_not_mended(names: tuple[str, str]) -> None:
    """Tokens that no figure tells of are billed all the same: the usage is partial."""
    given, told = names
    reported = {f"{given}_tokens": 10, f"{told}_tokens": 5, "total_tokens": 25}
    usage = read_usage(reported)
    assert (usage.source, usage.input_tokens, usage.output_tokens) == ("partial", 10, 5)
    assert read_usage(reported | {"total_tokens": 15}).source == "provider"
    assert read_usage(reported | {"total_tokens": 0}).source == "provider"


def test_all_input_from_the_cache() -> None:
    """An input that was read from the cache as a whole is known, though what is beside it is 0."""
    usage = read_usage({"input_tokens": 0, "output_tokens": 1, "cache_read_input_tokens": 9})
    assert (usage.input_tokens, usage.source) == (9, "provider")


def test_nothing_reported_is_missing_not_zero() -> None:
    """No usage, one of no known dialect or one of zeros alone leaves every figure unknown."""
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    for reported in (None, {}, {"tokens": 5}, {"prompt_tokens": None}, zeros):
        assert read_usage(reported) == Usage(source="missing")


def test_contradiction_is_marked_not_mended() -> None:
    """Parts larger than their total make the usage partial and stay as reported."""
    usage = read_usage(
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 11},
        }
    )
    assert (usage.source, usage.input_tokens, usage.cache_read_input_tokens) == ("partial", 10, 11)


def test_flags_negatives_and_texts_are_no_counts() -> None:
    """A value that cannot be a count is unknown."""
    usage = read_usage({"prompt_tokens": 3, "completion_tokens": True})
    assert usage.output_tokens is None
    assert read_usage({"prompt_tokens": 3, "completion_tokens": "5"}).output_tokens is None
    assert read_usage({"prompt_tokens": 3, "completion_tokens": -5}).output_tokens is None
    # Nor is one that no record can hold: it is not read, priced and then lost.
    assert read_usage({"prompt_tokens": 3, "completion_tokens": 2**53 + 1}).output_tokens is None
    assert read_usage({"prompt_tokens": 10**30, "completion_tokens": 1}).source == "missing"


# Any figure, at any place that a dialect knows, or nonsense.
LEAVES = st.none() | st.booleans() | st.integers(-5, 10**6) | st.sampled_from(["", "5"])


@st.composite
def reports(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a report of some dialect, with any figures."""
    dialect = draw(st.sampled_from(DIALECTS))
    report: dict[str, Any] = {}
    for path in dialect.paths():
        *parts, last = path.split(".")
        branch = report
        for part in parts:
            branch = branch.setdefault(part, {})
        if draw(st.booleans()):
            branch[last] = draw(LEAVES)
    return report


@given(reports())
def test_provider_usage_is_consistent(report: dict[str, Any]) -> None:
    """Whatever is called the provider's adds up; what is only kept for later is read as well."""
    usage = read_usage(report)
    assert read_usage(known_counts(report)) == usage
    if usage.source != "provider":
        return
    assert usage.input_tokens is not None and usage.input_tokens > 0
    assert is_consistent(usage)
    # Perplexity leaves what it thought and cited out of its total.
    names = ["reasoning_tokens", "citation_tokens"] * is_count(report.get("num_search_queries"))
    left_out = sum(report[name] for name in names if is_count(report.get(name)))
    totals = [report.get(name) for name in ("total_tokens", "total_token_count", "totalTokenCount")]
    for total in totals:
        if type(total) is int and total > 0:
            assert total == usage.input_tokens + (usage.output_tokens or 0) - left_out


def is_count(value: object) -> bool:
    """Tell whether it could count anything."""
    return type(value) is int and value >= 0


@given(reports())
@example(
    {
        "prompt_token_count": 0,
        "prompt_tokens_details": {"DOCUMENT": 1},
        "tool_use_prompt_tokens_details": {"DOCUMENT": 1},
    }
)
def test_figures_are_never_made_up(report: dict[str, Any]) -> None:
    """Each figure is one that was reported, or a sum of such."""
    usage = read_usage(report)
    leaves = [0]

    def gather(branch: dict[str, Any]) -> None:
        for value in branch.values():
            if isinstance(value, dict):
                gather(value)
            elif type(value) is int and value > 0:
                leaves.append(value)

    gather(report)
    figures = [getattr(usage, name) for name in USAGE_COLUMNS]
    assert all(figure is None or figure <= sum(leaves) for figure in figures)
    detail = usage.detail or {}
    for name, count in detail.items():
        # What Gemini's tools have brought is of kinds, too, and part of the input of each kind.
        assert count - detail.get(f"tool_{name}", 0) in leaves, name
