"""
Read the tokens of a call from what a provider or framework reported.

A dialect is data: where each figure stands. All of them are read by one
function.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec.structs import replace

from modeltrail.record import USAGE_COLUMNS, Usage


class Dialect(NamedTuple):
    """
    Where one way of reporting usage keeps its figures.

    Attributes:
        marks: Keys that must be there for the dialect to be recognised.
        fields: Key -> field of `Usage`, or any other name for a figure that
            is kept in `usage_detail`.
        nested: Key of a part -> its keys -> the same.
        added: Figure -> the field of `Usage` that it is a part of and that
            does not contain it where the dialect reports it.
    """

    name: str
    marks: tuple[str, ...]
    fields: Mapping[str, str]
    nested: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    added: Mapping[str, str] = MappingProxyType({})


# Anthropic's writes by how long they are kept.
_LIFETIMES = {
    "ephemeral_5m_input_tokens": "cache_creation_5m_input_tokens",
    "ephemeral_1h_input_tokens": "cache_creation_1h_input_tokens",
}
# For those that count as input only what was neither read from a cache nor written to one.
_CACHE_APART = {
    "cache_read_input_tokens": "input_tokens",
    "cache_creation_input_tokens": "input_tokens",
}
# What is not `added` is counted within its total: cached tokens within the input, reasoning
# within the output.
DIALECTS = (
    Dialect(
        "openai",
        marks=("prompt_tokens",),
        fields={"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens"},
        nested={
            "prompt_tokens_details": {
                "cached_tokens": "cache_read_input_tokens",
                # LiteLLM's addition, for providers that report it.
                "cache_creation_tokens": "cache_creation_input_tokens",
                "audio_tokens": "input_audio_tokens",
            },
            "completion_tokens_details": {
                "reasoning_tokens": "reasoning_output_tokens",
                "audio_tokens": "output_audio_tokens",
            },
        },
    ),
    Dialect(
        # OpenAI's responses name the same totals and other parts.
        "langchain",
        marks=("input_tokens", "total_tokens"),
        fields={"input_tokens": "input_tokens", "output_tokens": "output_tokens"},
        nested={
            "input_tokens_details": {
                "cached_tokens": "cache_read_input_tokens",
                "audio_tokens": "input_audio_tokens",
            },
            "output_tokens_details": {
                "reasoning_tokens": "reasoning_output_tokens",
                "audio_tokens": "output_audio_tokens",
            },
            "input_token_details": {
                "cache_read": "cache_read_input_tokens",
                "cache_creation": "cache_creation_input_tokens",
                "audio": "input_audio_tokens",
                # `cache_creation` is 0 beside them.
                **_LIFETIMES,
            },
            "output_token_details": {
                "reasoning": "reasoning_output_tokens",
                "audio": "output_audio_tokens",
            },
        },
        added={
            "cache_creation_5m_input_tokens": "cache_creation_input_tokens",
            "cache_creation_1h_input_tokens": "cache_creation_input_tokens",
        },
    ),
    Dialect(
        "anthropic",
        marks=("input_tokens",),
        fields={
            "input_tokens": "input_tokens",
            "output_tokens": "output_tokens",
            "cache_read_input_tokens": "cache_read_input_tokens",
            "cache_creation_input_tokens": "cache_creation_input_tokens",
        },
        nested={
            "cache_creation": _LIFETIMES,
            "output_tokens_details": {"thinking_tokens": "reasoning_output_tokens"},
        },
        added=_CACHE_APART,
    ),
    Dialect(
        "bedrock",
        marks=("inputTokens",),
        fields={
            "inputTokens": "input_tokens",
            "outputTokens": "output_tokens",
            "cacheReadInputTokens": "cache_read_input_tokens",
            "cacheWriteInputTokens": "cache_creation_input_tokens",
        },
        added=_CACHE_APART,
    ),
    Dialect(
        # The cache lies within the prompt; thoughts and the results of tools are told apart.
        "gemini",
        marks=("prompt_token_count",),
        fields={
            "prompt_token_count": "input_tokens",
            "candidates_token_count": "output_tokens",
            "cached_content_token_count": "cache_read_input_tokens",
            "thoughts_token_count": "reasoning_output_tokens",
            "tool_use_prompt_token_count": "tool_input_tokens",
        },
        added={
            "reasoning_output_tokens": "output_tokens",
            "tool_input_tokens": "input_tokens",
        },
    ),
)

MISSING = Usage(source="missing")
# All keys that are ever looked at: of a report, and of its parts.
_FLAT = frozenset(key for each in DIALECTS for key in (*each.marks, *each.fields))
_PARTS = {
    part: frozenset(name for each in DIALECTS for name in each.nested.get(part, ()))
    for dialect in DIALECTS
    for part in dialect.nested
}


def known_counts(reported: Any) -> dict[str, Any]:
    """
    Keep of a report the counts that a dialect knows, and nothing else.

    What a provider reports beside may be anything, texts included.
    """
    if not isinstance(reported, dict):
        return {}
    kept: dict[str, Any] = {}
    for key, value in reported.items():
        if type(value) is int:
            if key in _FLAT:
                kept[key] = value
        elif (names := _PARTS.get(key)) and isinstance(value, dict):
            kept[key] = {
                name: value[name] for name in names & value.keys() if _is_count(value[name])
            }
    return kept


def _is_count(value: object) -> bool:
    # `type`, for bool is an int in Python, and a flag is no count.
    return type(value) is int and value >= 0


def read_usage(reported: Any) -> Usage:
    """
    Read what was reported; what was not stays None.

    Args:
        reported: The usage object of a provider or framework as a dict, what
            is nested in it as dicts. Anything else says nothing.

    Returns:
        Usage whose `source` is `provider` if input tokens were found,
        `partial` if only some figures were found or the figures contradict
        each other, and `missing` if nothing was found.
    """
    if not isinstance(reported, dict):
        return MISSING
    for dialect in DIALECTS:
        if None not in [reported.get(mark) for mark in dialect.marks]:
            return _read(dialect, reported)
    return MISSING


def _read(dialect: Dialect, reported: dict[str, Any]) -> Usage:
    figures = _counts(reported, dialect.fields)
    for part, names in dialect.nested.items():
        if isinstance(details := reported.get(part), dict):
            figures |= _counts(details, names)
    if not any(figures.values()):
        # LiteLLM says 0 of everything where a provider said nothing.
        return MISSING
    for name, total in dialect.added.items():
        if name in figures:
            figures[total] = figures.get(total, 0) + figures[name]
    detail = {name: count for name, count in figures.items() if name not in USAGE_COLUMNS}
    for name in detail:
        del figures[name]
    usage = Usage(**figures, detail=detail or None, source="provider")
    if usage.input_tokens == 0:
        # Every model reads something: gateways that do not know the input say 0.
        usage = replace(usage, input_tokens=None, source="partial")
    return usage if is_consistent(usage) else replace(usage, source="partial")


def is_consistent(usage: Usage) -> bool:
    """
    Tell whether the parts fit into their totals.
    """
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    reasoning = usage.reasoning_output_tokens or 0
    return _fits(usage.input_tokens, cached) and _fits(usage.output_tokens, reasoning)


def _fits(total: int | None, parts: int) -> bool:
    return total is None or parts <= total


def _counts(reported: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {name: value for key, name in names.items() if _is_count(value := reported.get(key))}
