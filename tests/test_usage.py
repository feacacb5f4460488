"""
Usage in the dialects of providers and frameworks.
"""

from hypothesis import given
from hypothesis import strategies as st

from modeltrail.record import Usage
from modeltrail.usage import is_consistent, known_counts, read_usage


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


counts = st.none() | st.integers(0, 10**6)


@given(counts, counts, counts)
def test_provider_usage_is_consistent(
    total: int | None, cached: int | None, out: int | None
) -> None:
    """Whatever is called the provider's is consistent."""
    usage = read_usage(
        {
            "prompt_tokens": total,
            "completion_tokens": out,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
    )
    assert is_consistent(usage) or usage.source == "partial"
    if total is None:
        assert usage == Usage(source="missing")
