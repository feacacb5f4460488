"""
Lists of parts in reports of usage: by modality, by how long they are kept.
"""

from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.record import Usage
from modeltrail.usage import known_counts, parts_of, read_usage

# The shape of Google's reference (UsageMetadata, ModalityTokenCount), figures made up.
GEMINI: dict[str, Any] = {
    "promptTokenCount": 1000,
    "candidatesTokenCount": 80,
    "cachedContentTokenCount": 200,
    "thoughtsTokenCount": 20,
    "totalTokenCount": 1100,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 600},
        {"modality": "AUDIO", "tokenCount": 300},
        {"modality": "IMAGE", "tokenCount": 100},
    ],
    "cacheTokensDetails": [
        {"modality": "TEXT", "tokenCount": 150},
        {"modality": "AUDIO", "tokenCount": 50},
    ],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 80}],
    "trafficType": "ON_DEMAND",
}
EXPECTED = Usage(
    input_tokens=1000,
    output_tokens=100,
    cache_read_input_tokens=200,
    reasoning_output_tokens=20,
    detail={
        "input_audio_tokens": 300,
        "input_image_tokens": 100,
        "cache_read_input_text_tokens": 150,
        "cache_read_input_audio_tokens": 50,
    },
    source="provider",
)


def test_gemini_tools_by_modality() -> None:
    """What tools hand in comes on top of the prompt, and so does each kind of it."""
    reported = GEMINI | {
        "toolUsePromptTokenCount": 60,
        "toolUsePromptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 10},
            {"modality": "AUDIO", "tokenCount": 45},
            {"modality": "VIDEO", "tokenCount": 5},
        ],
        "totalTokenCount": 1160,
    }
    found = read_usage(reported)
    assert found == read_usage(known_counts(reported))
    assert (found.input_tokens, found.source) == (1060, "provider")
    assert found.detail == {
        **(EXPECTED.detail or {}),
        "input_audio_tokens": 345,
        "input_video_tokens": 5,
        "tool_input_tokens": 60,
        "tool_input_audio_tokens": 45,
        "tool_input_video_tokens": 5,
    }
    more = reported | {"toolUsePromptTokensDetails": [{"modality": "AUDIO", "tokenCount": 61}]}
    assert read_usage(more).source == "partial"


class Modality(str, Enum):  # noqa: UP042 - not the same
    """As Google's client has it."""

    TEXT = "TEXT"
    AUDIO = "AUDIO"


def test_gemini_by_modality() -> None:
    """What is not text is told apart; text is the rest of the total."""
    assert read_usage(GEMINI) == read_usage(known_counts(GEMINI)) == EXPECTED


def test_gemini_by_modality_as_its_client_names_it() -> None:
    """In Python the same report has other names, and kinds that are enums."""
    reported = {
        "prompt_token_count": 1000,
        "candidates_token_count": 80,
        "total_token_count": 1080,
        "prompt_tokens_details": [
            {"modality": Modality.TEXT, "token_count": 700},
            {"modality": Modality.AUDIO, "token_count": 300},
        ],
        "candidates_tokens_details": None,
        "cache_tokens_details": None,
    }
    assert read_usage(known_counts(reported)) == Usage(
        input_tokens=1000,
        output_tokens=80,
        detail={"input_audio_tokens": 300},
        source="provider",
    )


def test_gemini_picture_in_the_answer() -> None:
    """A picture of gemini-2.5-flash-image is 1,290 tokens of the candidate."""
    reported = {
        "promptTokenCount": 10,
        "candidatesTokenCount": 1290,
        "totalTokenCount": 1300,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
    assert read_usage(reported) == Usage(
        input_tokens=10,
        output_tokens=1290,
        detail={"output_image_tokens": 1290},
        source="provider",
    )


def test_bedrock_by_how_long_it_is_kept() -> None:
    """Bedrock lists its writes by their lifetime, the longer first; they are the total's parts."""
    reported = {
        "inputTokens": 40,
        "outputTokens": 50,
        "totalTokens": 150,
        "cacheReadInputTokens": 20,
        "cacheWriteInputTokens": 40,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 10}],
    }
    assert read_usage(reported) == Usage(
        input_tokens=100,
        output_tokens=50,
        cache_read_input_tokens=20,
        cache_creation_input_tokens=40,
        detail={"cache_creation_5m_input_tokens": 10, "cache_creation_1h_input_tokens": 30},
        source="provider",
    )
    # Documented: empty if nothing was written.
    empty = read_usage({**reported, "cacheWriteInputTokens": 0, "cacheDetails": []})
    assert (empty.input_tokens, empty.detail, empty.source) == (60, None, "provider")


def test_openrouter_and_litellm_tell_pictures() -> None:
    """Within the same details as audio."""
    reported = {
        "prompt_tokens": 500,
        "completion_tokens": 1300,
        "total_tokens": 1800,
        "prompt_tokens_details": {"cached_tokens": 0, "image_tokens": 258, "video_tokens": 20},
        "completion_tokens_details": {"reasoning_tokens": 10, "image_tokens": 1290},
    }
    assert read_usage(reported).detail == {
        "input_image_tokens": 258,
        "input_video_tokens": 20,
        "output_image_tokens": 1290,
    }


# Of bgeneto/open-webui-cost-tracker#6.
DEEP_RESEARCH = {
    "prompt_tokens": 108,
    "completion_tokens": 3256,
    "total_tokens": 3364,
    "citation_tokens": 7299,
    "num_search_queries": 74,
    "reasoning_tokens": 73248,
}


def test_perplexity_dialect() -> None:
    """What it thought and cited is output that its total leaves out; searches are no tokens."""
    assert read_usage(DEEP_RESEARCH) == Usage(
        input_tokens=108,
        output_tokens=3256 + 7299 + 73248,
        reasoning_output_tokens=73248,
        detail={"citation_tokens": 7299, "web_searches": 74},
        source="provider",
    )
    assert read_usage(DEEP_RESEARCH | {"total_tokens": 3365}).source == "partial"


def test_perplexity_agents() -> None:
    """Perplexity's interface of responses has names of its own for the cache."""
    reported = {
        "input_tokens": 1000,
        "output_tokens": 50,
        "total_tokens": 1050,
        "input_tokens_details": {"cache_read_input_tokens": 400, "cache_creation_input_tokens": 0},
        "tool_calls_details": {"search_web": {"invocation": 2}},
        "cost": {"currency": "USD", "input_cost": 0.01, "output_cost": 0.02, "total_cost": 0.03},
    }
    assert read_usage(reported) == Usage(
        input_tokens=1000,
        output_tokens=50,
        cache_read_input_tokens=400,
        cache_creation_input_tokens=0,
        detail={"web_searches": 2},
        source="provider",
    )


def test_reasoning_of_others_stays_within() -> None:
    """SGLang tells reasoning at the top, too, but within the completion: it is left unread."""
    usage = read_usage(
        {"prompt_tokens": 5, "completion_tokens": 20, "total_tokens": 25, "reasoning_tokens": 9}
    )
    assert (usage.output_tokens, usage.reasoning_output_tokens) == (20, None)


def test_anthropic_tells_its_searches() -> None:
    """A search of the web is billed by itself."""
    reported = {
        "input_tokens": 9,
        "output_tokens": 1,
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
    }
    assert read_usage(reported).detail == {"web_searches": 2}


@pytest.mark.parametrize(
    "parts",
    [
        {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1001}]},
        {
            "promptTokensDetails": [
                {"modality": "AUDIO", "tokenCount": 501},
                {"modality": "VIDEO", "tokenCount": 500},
            ]
        },
        {"candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 101}]},
        {"cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 201}]},
    ],
)
def test_parts_beyond_their_total_are_marked(parts: dict[str, Any]) -> None:
    """The figures stay as they were reported."""
    usage = read_usage(GEMINI | parts)
    assert (usage.source, usage.input_tokens) == ("partial", 1000)


def test_writes_beyond_their_total_are_marked() -> None:
    """Anthropic's lifetimes lie within what was written."""
    reported = {
        "input_tokens": 9,
        "output_tokens": 1,
        "cache_creation_input_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 3},
    }
    assert read_usage(reported).source == "partial"


def test_what_is_no_part_is_passed_over() -> None:
    """Whatever stands in a list; of a kind that comes twice the sum counts."""
    parts = [
        {"modality": "AUDIO", "tokenCount": 3},
        {"modality": "AUDIO", "tokenCount": 4},
        {"modality": "IMAGE", "tokenCount": True},
        {"modality": 5, "tokenCount": 5},
        {"modality": "VIDEO"},
        {"tokenCount": 5},
        "AUDIO",
        None,
        [],
    ]
    assert parts_of(parts) == {"AUDIO": 7}


kinds = st.sampled_from(["TEXT", "AUDIO", "IMAGE", "VIDEO", "DOCUMENT", "MODALITY_UNSPECIFIED"])


@given(st.dictionaries(kinds, st.integers(0, 500)), st.dictionaries(kinds, st.integers(0, 100)))
def test_a_list_says_what_its_parts_say(prompt: dict[str, int], answer: dict[str, int]) -> None:
    """Each kind has its figure, but for text; what they come to decides if they fit."""

    def listed(parts: dict[str, int]) -> list[dict[str, Any]]:
        return [{"modality": kind, "tokenCount": count} for kind, count in parts.items()]

    details = {"promptTokensDetails": listed(prompt), "candidatesTokensDetails": listed(answer)}
    reported = {"promptTokenCount": 1000, "candidatesTokenCount": 300, **details}
    usage = read_usage(reported)
    assert read_usage(known_counts(reported)) == usage
    told = {"AUDIO", "IMAGE", "VIDEO", "DOCUMENT"}
    assert (usage.detail or {}) == {
        **{f"input_{kind.lower()}_tokens": prompt[kind] for kind in told & prompt.keys()},
        **{f"output_{kind.lower()}_tokens": answer[kind] for kind in told & answer.keys()},
    }
    fits = all(
        sum(parts.get(kind, 0) for kind in told) <= total
        for parts, total in ((prompt, 1000), (answer, 300))
    )
    assert usage.source == ("provider" if fits else "partial")
