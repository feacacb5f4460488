"""
LangChain's objects as requests and responses of a trail.

Pure: plain values are copied out, and nothing of LangChain's or the caller's
is kept or changed. It must happen inside the callback, since LangChain itself
changes a generation later, when its response cache serves it again.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any
from uuid import UUID

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
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
    UsageSource,
    beside,
    provider_at,
    read_tags,
    tags_from_metadata,
)
from modeltrail_langchain.messages import Messages, tool_calls
from modeltrail_langchain.places import Place
from modeltrail_langchain.tables import (
    ECHOES,
    FINISH_REASONS,
    PLACES,
    PROVIDERS,
    REPORTS,
    RESPONSE_FIELDS,
)

FRAMEWORK = "langchain"
VERSION = version("langchain-core")

NOTHING: Mapping[str, Any] = {}


def request(
    operation: Operation,
    messages: Messages,
    event: Mapping[str, Any],
    *,
    run_id: UUID,
    place: Place,
    endpoint: str | None,
) -> Request:
    """
    Translate the start of a call.

    Args:
        event: What LangChain tells of it beside its input.
        endpoint: Where it is sent, None if the client uses its own default.
    """
    facts = event.get("metadata") or NOTHING
    parameters = event.get("invocation_params") or NOTHING
    tags, word = event.get("tags"), facts.get("ls_provider")
    return Request(
        framework=FRAMEWORK,
        framework_version=VERSION,
        operation=operation,
        run_id=run_id,
        trace_id=place.trace_id,
        parent_id=place.parent_id,
        provider=provider_at(endpoint, PROVIDERS.get(word, word)),
        request_model=_model(parameters, facts),
        attempt=place.attempt,
        parameters=parameters,
        messages=messages,
        prompt="\n".join([text for role, text in messages if role == "system"]) or None,
        tags=_tags(facts),
        default_tags=_default_tags(facts, tags),
    )


def client(event: Mapping[str, Any]) -> str | None:
    """
    Return LangChain's word for the kind of a client: that of a company, for the most part.
    """
    return (event.get("metadata") or NOTHING).get("ls_provider")


def has_content(token: str | Sequence[Any], chunk: object) -> bool:
    """
    Tell whether a piece of a stream holds a piece of the answer.

    Streams open and close with empty pieces, and a tool call streams beside
    an empty text.
    """
    if isinstance(token, str):
        return bool(token) or _has_tool_call(chunk)
    return any(part.get("text", part) if isinstance(part, Mapping) else part for part in token)


def response(
    result: LLMResult,
    run_id: UUID,
    *,
    streaming: bool,
    paid_by: str | None = None,
    caches_for_hour: bool = False,
    tier: str | None = None,
) -> Response:
    """
    Translate the answer to a call.

    Args:
        streaming: Pieces of it were seen before.
        paid_by: The call that gave this answer first, if there was another one.
        caches_for_hour: Some of what was written to the provider's cache is
            kept for an hour.
        tier: The tier that was asked for, which streams of Anthropic's do not tell.
    """
    candidates = result.generations[0] if result.generations else []
    messages = _messages(candidates)
    usage = _usage(result, messages)
    is_hit = _is_cache_hit(result, messages, usage, run_id, is_paid=paid_by is not None)
    facts = _facts(result, messages)
    if is_hit:
        facts.pop("cost_reported_nanousd", None)  # of the call that was paid
    elif tier:
        facts.setdefault("service_tier", tier)
    return Response(
        **facts,
        **_content(candidates, messages),
        usage=usage,
        usage_source="cache" if is_hit else _doubt(usage, caches_for_hour),
        cache_hit=is_hit or None,
        origin_id=paid_by if is_hit else None,
        streaming=streaming or any(map(_is_chunk, map(type, candidates))),
    )


def partial_response(result: LLMResult | None, *, streaming: bool) -> Response:
    """
    Translate what there was of an answer when the call failed.

    LangChain puts the merged pieces first, if there were any, and last a
    message of its own making with the provider's error; of that one only the
    provider's id of the request is read.
    """
    lists = result.generations if result else []
    arrived = [each for each in (lists[0] if lists else []) if _is_chunk(type(each))]
    told = _messages(lists[-1]) if lists else []
    request_id = told[0].response_metadata.get("request_id") if told else None
    if result is None or not arrived:
        return Response(provider_request_id=request_id, streaming=streaming)
    messages = _messages(arrived)
    content, usage = _content(arrived, messages), _usage(result, messages)
    return Response(
        **_facts(result, messages),
        **content,
        usage=usage,
        # Usage is the last that comes: before the end of the answer it is a count on the way.
        usage_source="partial" if usage and not content["finish_reasons"] else None,
        provider_request_id=request_id,
        streaming=True,
    )


def message_id(result: LLMResult) -> str | None:
    """
    Return the id of an answer's message, None if it has none.
    """
    candidates = result.generations[0] if result.generations else None
    first = candidates[0] if candidates else None
    return first.message.id if isinstance(first, ChatGeneration) else None


def _model(parameters: Mapping[str, Any], facts: Mapping[str, Any]) -> str | None:
    # `model` is what this very call asks for, `bind(model=...)` included; `model_name`
    # what the client was made with.
    return parameters.get("model") or facts.get("ls_model_name") or parameters.get("model_name")


def _tags(facts: Mapping[str, Any]) -> dict[str, Any]:
    tags = tags_from_metadata(facts)
    if PLACES.keys().isdisjoint(facts):
        return tags
    places = {tag: facts[name] for name, tag in PLACES.items() if facts.get(name) is not None}
    return {**places, **tags}


def _default_tags(facts: Mapping[str, Any], tags: Sequence[str] | None) -> dict[str, Any]:
    suggested: dict[str, Any] = dict(read_tags(tags)) if tags else {}
    # A thread of LangGraph is a session unless the application names one.
    if (thread := facts.get("thread_id")) is not None:
        # Of anything else the text is not asked for: it may raise, and the trail counts it.
        suggested["session"] = str(thread) if isinstance(thread, UUID) else thread
    return suggested


def _has_tool_call(chunk: object) -> bool:
    return (
        isinstance(chunk, ChatGenerationChunk)
        and isinstance(chunk.message, AIMessageChunk)
        and bool(chunk.message.tool_call_chunks)
    )


@lru_cache(maxsize=256)
def _is_chunk(kind: type) -> bool:
    # `isinstance` of pydantic's classes takes microseconds where it is not true.
    return issubclass(kind, ChatGenerationChunk | GenerationChunk)


def _messages(candidates: Sequence[Generation]) -> list[BaseMessage]:
    return [each.message for each in candidates if isinstance(each, ChatGeneration)]


def _facts(result: LLMResult, messages: Sequence[BaseMessage]) -> dict[str, Any]:
    told = messages[0].response_metadata if messages else NOTHING
    facts = _facts_in(told)
    if result.llm_output:
        facts |= _facts_in(result.llm_output)
    # What a client sums up has lost what stands beside the tokens: tiers, costs.
    reports = result.llm_output or told
    for name in REPORTS:
        if name in reports and isinstance(usage := reports[name], Mapping):
            facts |= {**_facts_in(usage), **beside(usage)}
    if told.get("model_provider") in ECHOES:
        facts.pop("response_model", None)
    if cost := told.get("response_cost"):  # LiteLLM says 0.0 where it does not know
        facts["cost_reported_nanousd"] = round(cost * 1e9)
    return facts


def _facts_in(told: Mapping[str, Any]) -> dict[str, Any]:
    fields = _fields_among(tuple(told))
    return {field: value for name, field in fields if (value := told[name]) is not None}


@lru_cache(maxsize=256)  # a client tells the same of each answer
def _fields_among(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name, field) for name, field in RESPONSE_FIELDS.items() if name in names)


def _content(candidates: Sequence[Generation], messages: Sequence[BaseMessage]) -> dict[str, Any]:
    texts, reasons, calls, refusals = [], [], [], []
    for candidate in candidates:
        if text := candidate.text:
            texts.append(text)
        if reason := _finish_reason(candidate):
            reasons.append(reason)
    for message in messages:
        calls.extend(tool_calls(message))
        if refusal := message.additional_kwargs.get("refusal"):
            refusals.append(refusal)
    return {
        "text": "\n".join(texts or refusals),
        "tool_calls": calls,
        "refusal": bool(refusals),
        "finish_reasons": reasons,
    }


def _finish_reason(candidate: Generation) -> str | None:
    info = candidate.generation_info
    if info and (reason := _reason_in(info)) is not None:
        return reason
    if isinstance(candidate, ChatGeneration):
        return _reason_in(candidate.message.response_metadata)
    return None


def _reason_in(told: Mapping[str, Any]) -> str | None:
    for name in FINISH_REASONS:
        if (value := told.get(name)) is not None:
            return value if isinstance(value, str) else str(value)
    return None


def _usage(result: LLMResult, messages: Sequence[BaseMessage]) -> Mapping[str, Any] | None:
    # Every candidate repeats the usage of the whole call: it is counted once.
    if messages and isinstance(message := messages[0], AIMessage) and message.usage_metadata:
        # A plain dict, for all that its type says.
        reported: Any = message.usage_metadata
    else:
        reported = (result.llm_output or NOTHING).get("token_usage")
    return reported if isinstance(reported, dict) else None


def _doubt(usage: Mapping[str, Any] | None, caches_for_hour: bool) -> UsageSource | None:
    if not caches_for_hour:
        return None
    # Streams of Anthropic's lose how long what was written is kept: two prices, one count.
    details = (usage or NOTHING).get("input_token_details") or NOTHING
    return "partial" if details.get("cache_creation") else None


def _is_cache_hit(
    result: LLMResult,
    messages: Sequence[BaseMessage],
    usage: Mapping[str, Any] | None,
    run_id: UUID,
    *,
    is_paid: bool,
) -> bool:
    # LangChain replays the first call's message at no cost; it bears the first run's id, which
    # may be used again. Another thread's hit can put that cost into the first call, too.
    if result.llm_output or not usage or usage.get("total_cost") != 0 or not messages:
        return False
    return is_paid or str(run_id) not in (messages[0].id or "")
