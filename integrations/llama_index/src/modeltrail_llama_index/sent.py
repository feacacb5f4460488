"""
Where providers put what is kept of their answers, as LlamaIndex's clients hand them on.

Data: a new provider adds a path. What was sent is a mapping in some clients,
an object in others, and may be anything else.
"""

from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from functools import lru_cache
from itertools import repeat
from typing import Any

Paths = tuple[tuple[str, ...], ...]
Columns = Mapping[str, str]

# What says which answer this is: by its name, the column that it fills.
IDENTITY: Columns = {
    "id": "response_id",
    "model": "response_model",
    "system_fingerprint": "system_fingerprint",
    "service_tier": "service_tier",
    "_request_id": "provider_request_id",
}
# The same in parts of an answer, for what the answer itself does not say.
IDENTITY_OF_PARTS: Mapping[str, Columns] = {
    # OpenAI's responses come as events with the response in them.
    "response": {"id": "response_id", "model": "response_model", "service_tier": "service_tier"},
    "usage": {"service_tier": "service_tier"},  # Anthropic
    "ResponseMetadata": {"RequestId": "provider_request_id"},  # Bedrock
}
ALL = (IDENTITY, IDENTITY_OF_PARTS)
# Bedrock's usage comes in an event of its own.
USAGES: Paths = (("usage",), ("response", "usage"), ("metadata", "usage"), ("usage_metadata",))
REASONS: Paths = (
    ("stop_reason",),  # Anthropic; within its streams in a part
    ("delta", "stop_reason"),
    ("stopReason",),  # Bedrock
    ("done_reason",),  # Ollama
    ("finish_reason",),  # Gemini
    ("status",),  # OpenAI's responses; within their streams in an event
    ("response", "status"),
)
# Statuses of a response that has not come to its end, or to none of its own.
NO_REASONS = frozenset({"queued", "in_progress", "failed", "cancelled"})
# Pieces of streams whose last piece says why they ended, of Anthropic and OpenAI's responses.
EVENTS = frozenset({"content_block_delta", "content_block_stop", "response.created"})


def field(source: Any, name: str) -> Any:
    """
    Return what stands under a name; None if there is nothing.
    """
    return source.get(name) if isinstance(source, dict) else getattr(source, name, None)


def fields(source: Any, names: Collection[str]) -> Iterator[Any]:
    """
    Return what stands under each of some names, None for what is not there.
    """
    # One call for all: a function of ours for each name would cost more than all else here.
    if isinstance(source, dict):
        return map(source.get, names)
    return map(getattr, repeat(source), names, repeat(None))


def identity_of(raw: Any) -> dict[str, str]:
    """
    Return the columns that say which answer this is.
    """
    found: dict[str, str] = {}
    own, parts = _known_among(tuple(raw)) if isinstance(raw, dict) else ALL
    _identify(raw, own, found)
    for part, columns in zip(fields(raw, parts), parts.values(), strict=True):
        if part is not None:
            _identify(part, columns, found)
    return found


def _identify(source: Any, columns: Columns, found: dict[str, str]) -> None:
    for text, column in zip(fields(source, columns), columns.values(), strict=True):
        if isinstance(text, str):
            found.setdefault(column, text.value if isinstance(text, Enum) else text)


@lru_cache(maxsize=256)  # a provider answers with the same fields each time
def _known_among(names: tuple[str, ...]) -> tuple[Columns, Mapping[str, Columns]]:
    own, parts = ALL
    return (
        {name: own[name] for name in own if name in names},
        {name: parts[name] for name in parts if name in names},
    )


def usage_of(raw: Any) -> Any:
    """
    Return the usage as it was reported, None if there is none.
    """
    return next((found for path in USAGES if (found := _at(raw, path))), None)


def reason_of(raw: Any) -> str | None:
    """
    Return why an answer without choices ended; None if that is not said.
    """
    reason = next(_texts(raw, REASONS), None)
    return None if reason in NO_REASONS else reason


def announces_end(raw: Any) -> bool:
    """
    Tell whether this is a piece of a stream that will say why it ended.
    """
    return field(raw, "done") is False or field(raw, "type") in EVENTS


def _texts(raw: Any, paths: Paths) -> Iterator[str]:
    for path in paths:
        if isinstance(found := _at(raw, path), str):
            yield found.value if isinstance(found, Enum) else found


def _at(raw: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        raw = field(raw, name)
    return raw
