"""
LiteLLM's calls as requests of a trail.

Pure: plain values are copied out, and nothing of LiteLLM's or the caller's is
kept or changed. `Details` is what LiteLLM calls `model_call_details` and hands
to its callbacks as `kwargs`. It holds API keys and headers: only the names
below are looked at.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import litellm
from litellm.types.utils import Message
from msgspec.structs import replace

from modeltrail.integration import Request, provider_at
from modeltrail_litellm import tags
from modeltrail_litellm.tables import (
    CLOUDS,
    OPERATIONS,
    PROMPT_ROLES,
    ROUTING,
    TEXT_PARTS,
    WITHOUT_TEXT,
)

FRAMEWORK = "litellm"
VERSION = version("litellm")

Details = dict[str, Any]
Messages = list[tuple[str, str]]
NOTHING: Mapping[str, Any] = {}
LISTS = (list, tuple)
# An application may hand on the very object of an earlier answer.
MESSAGES = (dict, Message, Mapping)


def request(details: Details) -> Request | None:
    """
    Translate the start of a call; None if its kind is not recorded.
    """
    operation = OPERATIONS.get(details["call_type"])
    if operation is None:
        return None
    params, word = details["litellm_params"], details.get("custom_llm_provider")
    metadata = tags.metadata_of(params)
    # Of a call that LiteLLM was asked not to log the fact is kept, and no content.
    unlogged = is_unlogged(details)
    has_text = not unlogged and operation not in WITHOUT_TEXT
    messages = _messages(details.get("messages")) if has_text else []
    told = Request(
        framework=FRAMEWORK,
        framework_version=VERSION,
        operation=operation,
        run_id=run_id(details),
        # LiteLLM's payload has the session here, if there is one; a session is a tag of ours.
        trace_id=params.get("litellm_trace_id") or details.get("litellm_trace_id"),
        provider=_provider(params.get("api_base"), word),
        request_model=details["model"].removeprefix(f"{word}/"),
        streaming=details.get("stream") is True,
        parameters=NOTHING if unlogged else details.get("optional_params") or NOTHING,
        messages=messages,
        prompt="\n".join([text for role, text in messages if role in PROMPT_ROLES]) or None,
        tags=tags.call_tags(details, metadata),
    )
    deployment = metadata.get("model_info") or params.get("model_info")
    # Looked for one by one they would cost each call that has none of them.
    if deployment or not ROUTING.isdisjoint(metadata):
        return replace(told, **_routing(metadata, deployment or NOTHING))
    return told


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


def is_unlogged(details: Details) -> bool:
    """
    Tell whether LiteLLM was asked not to log the call, and obeys.
    """
    asked = details["litellm_params"].get("no-log") is True
    return asked and not litellm.global_disable_no_log_param


def tool_calls(message: Mapping[str, Any] | Message) -> Messages:
    """
    Copy the tool calls of a message as pairs of name and arguments.
    """
    if not (calls := message.get("tool_calls")):
        return []
    functions = [call.get("function") for call in calls]
    return [(each.get("name") or "", each.get("arguments") or "") for each in functions if each]


def _provider(api_base: str | None, word: str | None) -> str | None:
    # Without an endpoint of its own it is LiteLLM's word alone.
    return CLOUDS.get(word or "") or (provider_at(api_base, word) if api_base else word)


def _routing(metadata: Mapping[str, Any], deployment: Mapping[str, Any]) -> dict[str, Any]:
    retries, fallbacks = metadata.get("attempted_retries"), metadata.get("attempted_fallbacks")
    return {
        "deployment": deployment.get("id"),
        "attempt": None if retries is None else retries + 1,
        "is_fallback": None if fallbacks is None else fallbacks > 0,
        "shadow": metadata.get("is_silent_experiment"),
        "default_tags": tags.default_tags(metadata, deployment),
    }


def _messages(messages: object) -> Messages:
    if isinstance(messages, str):
        return [("user", messages)]
    pairs: Messages = []
    for message in messages if isinstance(messages, LISTS) else ():
        if not isinstance(message, MESSAGES):
            pairs.append(("user", message if isinstance(message, str) else "[tokens]"))
            continue
        role, content = message.get("role") or "user", message.get("content")
        if isinstance(content, str):
            pairs.append((role, content))
        else:
            pairs.extend([(role, _part_text(part)) for part in content or ()])
        if role == "assistant":
            pairs.extend([(role, _call_text(*call)) for call in tool_calls(message)])
    return pairs


def _part_text(part: object) -> str:
    if not isinstance(part, Mapping):
        return part if isinstance(part, str) else "[part]"
    kind = part.get("type", "text")
    return str(part.get("text", "")) if kind in TEXT_PARTS else f"[{kind}]"


def _call_text(name: str, arguments: str) -> str:
    call = {"name": name, "arguments": arguments}
    return json.dumps(call, ensure_ascii=False, separators=(",", ":"))
