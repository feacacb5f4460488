"""
Read the tokens of a call from what a provider or framework reported.

A dialect is data: where each figure stands. All of them are read by one
function.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from modeltrail.record import Usage, UsageSource


class Dialect(NamedTuple):
    """
    Where one way of reporting usage keeps its figures.

    Attributes:
        marks: Keys that must be there for the dialect to be recognised.
        fields: Field of `Usage` -> path; inclusive counts only.
        detail: Further figures -> path, kept in `usage_detail`.
    """

    name: str
    marks: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]]
    detail: Mapping[str, tuple[str, ...]]


# Both dialects count cached tokens within the input and reasoning within the output.
DIALECTS = (
    Dialect(
        "openai",
        marks=("prompt_tokens",),
        fields={
            "input_tokens": ("prompt_tokens",),
            "output_tokens": ("completion_tokens",),
            "cache_read_input_tokens": ("prompt_tokens_details", "cached_tokens"),
            # LiteLLM's addition, for providers that report it.
            "cache_creation_input_tokens": ("prompt_tokens_details", "cache_creation_tokens"),
            "reasoning_output_tokens": ("completion_tokens_details", "reasoning_tokens"),
        },
        detail={
            "input_audio_tokens": ("prompt_tokens_details", "audio_tokens"),
            "output_audio_tokens": ("completion_tokens_details", "audio_tokens"),
        },
    ),
    Dialect(
        "langchain",
        marks=("input_tokens", "total_tokens"),
        fields={
            "input_tokens": ("input_tokens",),
            "output_tokens": ("output_tokens",),
            "cache_read_input_tokens": ("input_token_details", "cache_read"),
            "cache_creation_input_tokens": ("input_token_details", "cache_creation"),
            "reasoning_output_tokens": ("output_token_details", "reasoning"),
        },
        detail={
            "input_audio_tokens": ("input_token_details", "audio"),
            "output_audio_tokens": ("output_token_details", "audio"),
        },
    ),
)

MISSING = Usage(source="missing")


def read_usage(reported: Mapping[str, Any] | None) -> Usage:
    """
    Read what was reported; what was not stays None.

    Args:
        reported: The usage object of a provider or framework, what is
            nested in it as plain dicts.

    Returns:
        Usage whose `source` is `provider` if input tokens were found,
        `partial` if only some figures were found or the figures contradict
        each other, and `missing` if nothing was found.
    """
    if not reported:
        return MISSING
    for dialect in DIALECTS:
        if all(reported.get(mark) is not None for mark in dialect.marks):
            return _read(dialect, reported if isinstance(reported, dict) else dict(reported))
    return MISSING


def _read(dialect: Dialect, reported: dict[str, Any]) -> Usage:
    found = {name: _count(reported, path) for name, path in dialect.fields.items()}
    detail = {
        name: count
        for name, path in dialect.detail.items()
        if (count := _count(reported, path)) is not None
    }
    usage = Usage(**found, detail=detail or None, source="provider")
    return usage if is_consistent(usage) else sourced(usage, "partial")


def is_consistent(usage: Usage) -> bool:
    """
    Tell whether the parts fit into their totals.
    """
    return _fits(
        usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    ) and _fits(usage.output_tokens, usage.reasoning_output_tokens)


def _fits(total: int | None, *parts: int | None) -> bool:
    return total is None or sum(part or 0 for part in parts) <= total


def sourced(usage: Usage, source: UsageSource) -> Usage:
    """
    Return the same figures as of another source.
    """
    return replace(usage, source=source)


def _count(reported: dict[str, Any], path: tuple[str, ...]) -> int | None:
    value: Any = reported
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    # `type`, for bool is an int in Python, and a flag is no count.
    return value if type(value) is int and value >= 0 else None
