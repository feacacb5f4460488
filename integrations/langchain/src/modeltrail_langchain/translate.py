"""
LangChain's objects as requests and responses of a trail.

Pure: plain values are copied out, and nothing of LangChain's or the caller's
is kept or changed. It must happen inside the callback, since LangChain itself
changes a generation later, when its response cache serves it again.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any
from uuid import UUID

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ChatMessage
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    Generation,
    GenerationChunk,
    LLMResult,
)

from modeltrail.integration import (
    Operation,
    Request,
    Response,
    Usage,
    allowed_parameters,
    provider_at,
    read_usage,
    sourced,
    tags_from_metadata,
)
from modeltrail_langchain.tables import (
    FINISH_REASONS,
    PLACES,
    RESPONSE_FIELDS,
    RETRY,
    ROLES,
)

FRAMEWORK = "langchain"
VERSION = version("langchain-core")

Chunk = (ChatGenerationChunk, GenerationChunk)
Serialized = Mapping[str, Any] | None
Messages = tuple[tuple[str, str], ...]


def request(
    operation: Operation,
    messages: Messages,
    serialized: Serialized,
    *,
    run_id: UUID,
    parent_run_id: UUID | None = None,
    tags: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    invocation_params: Mapping[str, Any] | None = None,
    **_: Any,
) -> Request:
    """
    Translate the start of a call.
    """
    facts, parameters = metadata or {}, invocation_params or {}
    word = facts.get("ls_provider")
    return Request(
        framework=FRAMEWORK,
        framework_version=VERSION,
        operation=operation,
        run_id=str(run_id),
        parent_id=str(parent_run_id) if parent_run_id else None,
        provider=provider_at(_endpoint(serialized, word), word),
        request_model=_model(parameters, facts),
        attempt=_attempt(tags or ()),
        parameters=allowed_parameters(parameters),
        messages=messages,
        prompt="\n".join(text for role, text in messages if role == "system") or None,
        tags=_tags(facts),
        default_tags=_default_tags(facts),
    )


def chat_messages(batches: Sequence[Sequence[BaseMessage]]) -> Messages:
    """
    Copy the messages of a chat: one pair for each part and each tool call.
    """
    return tuple(pair for batch in batches for message in batch for pair in _pairs(message))


def text_messages(prompts: Sequence[str]) -> Messages:
    """
    Copy the prompt of a text completion.
    """
    return tuple(("user", prompt) for prompt in prompts)


def has_content(token: str | Sequence[Any], chunk: object) -> bool:
    """
    Tell whether a piece of a stream holds a piece of the answer.

    Streams open and close with empty pieces, and a tool call streams beside
    an empty text.
    """
    if isinstance(token, str):
        return bool(token) or _has_tool_call(chunk)
    return any(part.get("text", part) if isinstance(part, Mapping) else part for part in token)


def response(result: LLMResult, run_id: UUID, *, streaming: bool) -> Response:
    """
    Translate the answer to a call.

    Args:
        streaming: Pieces of it were seen before.
    """
    candidates = result.generations[0] if result.generations else []
    messages = _messages(candidates)
    is_hit = _is_cache_hit(result, messages, run_id)
    usage = _usage(result, messages)
    return Response(
        **_facts(result, messages),
        **_content(candidates, messages),
        usage=sourced(usage, "cache") if is_hit else usage,
        cache_hit=is_hit or None,
        streaming=streaming or any(isinstance(each, Chunk) for each in candidates),
    )


def partial_response(result: LLMResult | None, *, streaming: bool) -> Response:
    """
    Translate what there was of an answer when the call failed.

    LangChain puts the merged pieces first, if there were any, and last a
    message of its own making with the provider's error; of that one only the
    provider's id of the request is read.
    """
    lists = result.generations if result else []
    arrived = [each for each in (lists[0] if lists else []) if isinstance(each, Chunk)]
    told = _messages(lists[-1]) if lists else []
    request_id = told[0].response_metadata.get("request_id") if told else None
    if result is None or not arrived:
        return Response(provider_request_id=request_id, streaming=streaming)
    messages = _messages(arrived)
    return Response(
        **_facts(result, messages),
        **_content(arrived, messages),
        usage=_usage(result, messages),
        provider_request_id=request_id,
        streaming=True,
    )


def _endpoint(serialized: Serialized, word: str | None) -> str | None:
    base_url: str | None = ((serialized or {}).get("kwargs") or {}).get("openai_api_base")
    if base_url is None and word == "openai":
        # The openai client obeys it without LangChain's knowledge.
        return os.environ.get("OPENAI_BASE_URL")
    return base_url


def _model(parameters: Mapping[str, Any], facts: Mapping[str, Any]) -> str | None:
    # `model` is what this very call asks for, `bind(model=...)` included; `model_name`
    # what the client was made with.
    return parameters.get("model") or facts.get("ls_model_name") or parameters.get("model_name")


def _attempt(tags: Sequence[str]) -> int | None:
    for tag in tags:
        if tag.startswith(RETRY) and (number := tag.removeprefix(RETRY)).isdecimal():
            return int(number)
    return None


def _tags(facts: Mapping[str, Any]) -> dict[str, Any]:
    tags: dict[str, Any] = {
        tag: str(facts[name]) for name, tag in PLACES.items() if facts.get(name) is not None
    }
    tags.update(tags_from_metadata(facts))
    return tags


def _default_tags(facts: Mapping[str, Any]) -> dict[str, Any]:
    # A thread of LangGraph is a session unless the application names one.
    thread = facts.get("thread_id")
    return {} if thread is None else {"session": str(thread)}


def _pairs(message: BaseMessage) -> Iterator[tuple[str, str]]:
    role = message.role if isinstance(message, ChatMessage) else message.type
    role = ROLES.get(role, role)
    if isinstance(message.content, str):
        yield role, message.content
    else:
        for part in message.content:
            yield role, _part_text(part)
    for name, arguments in _tool_calls(message):
        yield role, _json({"name": name, "arguments": arguments})


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        return "[part]"
    kind = part.get("type", "text")
    return str(part.get("text", "")) if kind == "text" else f"[{kind}]"


def _tool_calls(message: BaseMessage) -> Iterator[tuple[str, str]]:
    if not isinstance(message, AIMessage):
        return
    for call in message.tool_calls:
        yield call["name"], _json(call["args"])
    for invalid in message.invalid_tool_calls:
        yield invalid["name"] or "", invalid["args"] or ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _has_tool_call(chunk: object) -> bool:
    return (
        isinstance(chunk, ChatGenerationChunk)
        and isinstance(chunk.message, AIMessageChunk)
        and bool(chunk.message.tool_call_chunks)
    )


def _messages(candidates: Sequence[Generation]) -> list[BaseMessage]:
    return [each.message for each in candidates if isinstance(each, ChatGeneration)]


def _facts(result: LLMResult, messages: Sequence[BaseMessage]) -> dict[str, Any]:
    sources = [result.llm_output or {}, *(each.response_metadata for each in messages[:1])]
    return {field: _first(sources, names) for field, names in RESPONSE_FIELDS.items()}


def _content(candidates: Sequence[Generation], messages: Sequence[BaseMessage]) -> dict[str, Any]:
    refusals = [text for each in messages if (text := each.additional_kwargs.get("refusal"))]
    reasons = (_finish_reason(each) for each in candidates)
    return {
        "text": "\n".join([each.text for each in candidates if each.text] or refusals),
        "tool_calls": tuple(call for each in messages for call in _tool_calls(each)),
        "refusal": bool(refusals),
        "finish_reasons": tuple(reason for reason in reasons if reason),
    }


def _finish_reason(candidate: Generation) -> str | None:
    sources = [candidate.generation_info or {}]
    sources += [each.response_metadata for each in _messages([candidate])]
    reason: str | None = _first(sources, FINISH_REASONS)
    return reason


def _first(sources: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Any:
    for source in sources:
        for name in names:
            if (value := source.get(name)) is not None:
                return value
    return None


def _usage(result: LLMResult, messages: Sequence[BaseMessage]) -> Usage:
    # Every candidate repeats the usage of the whole call: it is counted once.
    reported = _usage_metadata(messages) or (result.llm_output or {}).get("token_usage")
    return read_usage(reported if isinstance(reported, Mapping) else None)


def _usage_metadata(messages: Sequence[BaseMessage]) -> Mapping[str, Any]:
    if messages and isinstance(messages[0], AIMessage):
        return messages[0].usage_metadata or {}
    return {}


def _is_cache_hit(result: LLMResult, messages: Sequence[BaseMessage], run_id: UUID) -> bool:
    # LangChain replays the first call's message, bearing that call's id, at no cost.
    return (
        not result.llm_output
        and _usage_metadata(messages).get("total_cost") == 0
        and str(run_id) not in (messages[0].id or "")
    )
