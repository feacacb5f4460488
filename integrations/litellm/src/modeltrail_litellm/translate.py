"""
LiteLLM's calls as requests of a trail.

Pure: plain values are copied out, and nothing of LiteLLM's or the caller's is
kept or changed. `Details` is what LiteLLM calls `model_call_details` and hands
to its callbacks as `kwargs`. It holds API keys and headers: only the names
below are looked at.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from litellm.types.utils import Message

from modeltrail.integration import (
    Request,
    allowed_parameters,
    provider_at,
    tags_from_metadata,
)
from modeltrail_litellm.tables import (
    CLOUDS,
    OPERATIONS,
    PROMPT_ROLES,
    TEXT_PARTS,
)

FRAMEWORK = "litellm"
VERSION = version("litellm")

Details = dict[str, Any]
Messages = tuple[tuple[str, str], ...]


def request(details: Details) -> Request | None:
    """
    Translate the start of a call; None if its kind is not recorded.
    """
    operation = OPERATIONS.get(details["call_type"])
    if operation is None:
        return None
    params, word = details["litellm_params"], details.get("custom_llm_provider")
    metadata = _metadata(params)
    deployment = metadata.get("model_info") or params.get("model_info") or {}
    messages = tuple(_messages(details.get("messages")))
    return Request(
        framework=FRAMEWORK,
        framework_version=VERSION,
        operation=operation,
        run_id=run_id(details),
        # LiteLLM's payload has the session here, if there is one; a session is a tag of ours.
        trace_id=params.get("litellm_trace_id") or details.get("litellm_trace_id"),
        provider=_provider(params.get("api_base"), word),
        request_model=details["model"].removeprefix(f"{word}/"),
        deployment=deployment.get("id"),
        streaming=details.get("stream") is True,
        attempt=_attempt(metadata),
        is_fallback=_is_fallback(metadata),
        shadow=metadata.get("is_silent_experiment"),
        parameters=allowed_parameters(details.get("optional_params") or {}),
        messages=messages,
        prompt="\n".join(text for role, text in messages if role in PROMPT_ROLES) or None,
        tags=_tags(details, metadata),
        default_tags=_default_tags(metadata, deployment),
    )


def run_id(details: Details) -> str:
    """
    Return LiteLLM's id of a call; the attempts of a fallback share it, one after the other.
    """
    return str(details["litellm_call_id"])


def is_cache_hit(details: Details) -> bool:
    """
    Tell whether the call was answered from LiteLLM's cache, of which only the end is told.
    """
    return details.get("cache_hit") is True


def tool_calls(message: Mapping[str, Any] | Message) -> Iterator[tuple[str, str]]:
    """
    Copy the tool calls of a message as pairs of name and arguments.
    """
    for call in message.get("tool_calls") or ():
        if (function := call.get("function")) is not None:
            yield function.get("name") or "", function.get("arguments") or ""


def _metadata(params: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**(params.get("litellm_metadata") or {}), **(params.get("metadata") or {})}


def _provider(api_base: str | None, word: str | None) -> str | None:
    return CLOUDS.get(word or "") or provider_at(api_base or None, word)


def _attempt(metadata: Mapping[str, Any]) -> int | None:
    retries: int | None = metadata.get("attempted_retries")
    return None if retries is None else retries + 1


def _is_fallback(metadata: Mapping[str, Any]) -> bool | None:
    fallbacks: int | None = metadata.get("attempted_fallbacks")
    return None if fallbacks is None else fallbacks > 0


def _tags(details: Details, metadata: Mapping[str, Any]) -> dict[str, Any]:
    session = details["litellm_params"].get("litellm_session_id")
    given = {"user": details.get("user"), "session": session}
    return _known(given) | tags_from_metadata(metadata)


def _default_tags(metadata: Mapping[str, Any], deployment: Mapping[str, Any]) -> dict[str, Any]:
    group, variant = metadata.get("model_group"), deployment.get("variant")
    return _known({"model_group": group, "variant": variant})


def _known(tags: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tags.items() if value is not None}


def _messages(messages: object) -> Iterator[tuple[str, str]]:
    if isinstance(messages, str):
        yield "user", messages
    elif isinstance(messages, Sequence):
        for message in messages:
            # An application may hand on the very object of an earlier answer.
            if isinstance(message, Mapping | Message):
                yield from _pairs(message)
            else:
                yield "user", message if isinstance(message, str) else "[tokens]"


def _pairs(message: Mapping[str, Any] | Message) -> Iterator[tuple[str, str]]:
    role, content = message.get("role") or "user", message.get("content")
    if isinstance(content, str):
        yield role, content
    else:
        for part in content or ():
            yield role, _part_text(part)
    for name, arguments in tool_calls(message):
        yield role, _json({"name": name, "arguments": arguments})


def _part_text(part: object) -> str:
    if not isinstance(part, Mapping):
        return part if isinstance(part, str) else "[part]"
    kind = part.get("type", "text")
    return str(part.get("text", "")) if kind in TEXT_PARTS else f"[{kind}]"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
