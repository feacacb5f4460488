"""
LangChain's messages as pairs of role and text.

Pure. What is copied out stays as it is when the application changes its
messages later; pictures and files leave their hash and size.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage
from pydantic import BaseModel

from modeltrail_langchain.tables import MEDIA_PATHS, ROLES, TEXT_PARTS, TOOL_PARTS

Messages = list[tuple[str, str]]


def chat_messages(batches: Sequence[Sequence[BaseMessage]]) -> Messages:
    """
    Copy the messages of a chat: one pair for each part and each tool call.
    """
    pairs: Messages = []
    for batch in batches:
        for message in batch:
            role = ROLES.get(message.type) or _own_role(message)
            if isinstance(content := message.content, str):
                pairs.append((role, content))
            else:
                parts = [part for part in content if not _is_tool_call(part)]
                pairs.extend([(role, _part_text(part)) for part in parts])
            if role == "assistant":
                pairs.extend([(role, _call_text(*call)) for call in tool_calls(message)])
    return pairs


def text_messages(prompts: Sequence[str]) -> Messages:
    """
    Copy the prompt of a text completion.
    """
    return [("user", prompt) for prompt in prompts]


def tool_calls(message: BaseMessage) -> list[tuple[str, str]]:
    """
    Return the tool calls of an answer: name and arguments, malformed ones as they are.
    """
    if not isinstance(message, AIMessage) or not (message.tool_calls or message.invalid_tool_calls):
        return []
    calls = [(call["name"], as_json(call["args"])) for call in message.tool_calls]
    invalid = [(call["name"] or "", call["args"] or "") for call in message.invalid_tool_calls]
    return calls + invalid


def as_json(value: object) -> str:
    """
    Write a value as compact JSON, what is none as its text.
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


def _own_role(message: BaseMessage) -> str:
    role = message.role if isinstance(message, ChatMessage) else message.type
    return ROLES.get(role, role)


def _call_text(name: str, arguments: str) -> str:
    return as_json({"name": name, "arguments": arguments})


def _is_tool_call(part: object) -> bool:
    return isinstance(part, Mapping) and part.get("type") in TOOL_PARTS


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        return "[part]"
    kind = part.get("type", "text")
    if (place := TEXT_PARTS.get(kind)) is not None:
        return str(part.get(place, ""))
    return _media_mark(str(kind), part)


def _media_mark(kind: str, part: Mapping[str, Any]) -> str:
    for path in MEDIA_PATHS:
        if (found := _at(part, path)) is not None:
            data = found.encode("utf-8", "replace")
            return f"[{kind} sha256:{sha256(data).hexdigest()} {len(data)} bytes]"
    return f"[{kind}]"


def _at(part: Mapping[str, Any], path: Sequence[str]) -> str | None:
    value: object = part
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None
