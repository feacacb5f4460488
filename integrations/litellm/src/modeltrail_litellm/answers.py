"""
LiteLLM's answers and errors as responses of a trail.

Pure: plain values are copied out, and nothing of LiteLLM's or the caller's is
kept or changed. The facts come from LiteLLM's standard logging payload or,
where its event may be lost, from the answer itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from litellm.litellm_core_utils.redact_messages import should_redact_message_logging
from litellm.types.utils import EmbeddingResponse, ModelResponse, TextCompletionResponse
from msgspec.structs import replace

from modeltrail.integration import Response, UsageSource
from modeltrail_litellm.tables import (
    NOT_BY_TOKEN,
    OPERATIONS,
    REDACTED,
    REPORTED_DETAILS,
    REQUEST_IDS,
    RESPONSE_FIELDS,
)
from modeltrail_litellm.translate import Details, is_cache_hit, is_unlogged, tool_calls

MICRO = 1_000_000
NANO = 1_000_000_000

# An answer that LiteLLM was told not to log, as LiteLLM itself shows it to its loggers.
HIDDEN = {"content": REDACTED}

# What LiteLLM makes up where a client has gone before the end.
UNKNOWN_OF_PARTS: Mapping[str, Any] = {
    "finish_reasons": (),
    "usage": None,
    "usage_source": None,
    "cost_reported_nanousd": None,
}

Answer = ModelResponse | TextCompletionResponse | EmbeddingResponse
Payload = Mapping[str, Any]
Reported = Mapping[str, Any]


def is_disconnect(details: Details) -> bool:
    """
    Tell whether a "success" is a client of the proxy that went away.
    """
    payload: Payload = details["standard_logging_object"]
    return bool(payload["error_information"].get("error_code") == "499")


def response(details: Details, answer: object, started_at_us: int) -> Response:
    """
    Translate the answer to a call, as LiteLLM's event tells it.

    Args:
        answer: The object that the application gets, which alone names the
            model that answered a stream.
        started_at_us: When the call was seen to start.
    """
    payload: Payload = details["standard_logging_object"]
    told = payload["response"] if isinstance(payload["response"], Mapping) else {}
    reported = payload["metadata"].get("usage_object") or {}
    headers = payload["hidden_params"].get("additional_headers") or {}
    times = _times(details, payload, started_at_us)
    whole = _response(details, told, reported, headers, _cost(payload), answer, times)
    return replace(whole, **UNKNOWN_OF_PARTS) if is_disconnect(details) else whole


def is_complete(answer: object) -> TypeGuard[Answer]:
    """
    Tell whether LiteLLM has added all that it knows to an answer, such as its cost.
    """
    return isinstance(answer, Answer) and answer.hidden_params.get("litellm_call_id") is not None


def is_told(details: Details) -> bool:
    """
    Tell whether LiteLLM has described how a call ended; of a stream it does so at its end.
    """
    return details.get("standard_logging_object") is not None


def prompt_response(details: Details, answer: Answer) -> Response:
    """
    Translate the answer to a call as soon as it is complete, without LiteLLM's event.
    """
    told = answer.model_dump(exclude={"data"})  # the vectors of an embedding
    if should_redact_message_logging(details):
        told["choices"] = [{**choice, "message": HIDDEN} for choice in told.get("choices") or ()]
    reported = told.get("usage") or {}
    headers = answer.hidden_params.get("additional_headers") or {}
    cost = answer.hidden_params.get("response_cost")
    return _response(details, told, reported, headers, cost, answer, {})


def failed_response(details: Details, started_at_us: int) -> Response:
    """
    Translate what is known of a call that failed.

    LiteLLM's count of what had arrived of a broken stream is an estimate and is left out.
    """
    payload: Payload = details["standard_logging_object"]
    headers = payload["hidden_params"].get("additional_headers") or {}
    told: str | None = payload["error_information"].get("error_provider_request_id")
    times = _times(details, payload, started_at_us)
    return Response(**times, provider_request_id=_request_id(headers) or told)


def _response(
    details: Details,
    told: Mapping[str, Any],
    reported: Mapping[str, Any],
    headers: Mapping[str, Any],
    cost: float | None,
    answer: object,
    times: Mapping[str, Any],
) -> Response:
    usage, usage_source = _usage(details, reported)
    if usage is None and not (cost and OPERATIONS[details["call_type"]] in NOT_BY_TOKEN):
        cost = None  # LiteLLM has priced nothing, or what it has estimated
    return Response(
        **_facts(told),
        **_content(told.get("choices") or (), is_kept=not is_unlogged(details)),
        **times,
        response_model=_answered_by(answer) or told.get("model"),
        provider_request_id=_request_id(headers),
        usage=usage,
        usage_source=usage_source,
        cache_hit=is_cache_hit(details) or None,
        cost_reported_nanousd=None if cost is None else round(cost * NANO),
    )


def _facts(told: Mapping[str, Any]) -> dict[str, Any]:
    return {field: told.get(name) for field, name in RESPONSE_FIELDS.items()}


def _answered_by(answer: object) -> str | None:
    # LiteLLM gives the chunks of a stream, and so the whole of it, the name that was asked for.
    if isinstance(answer, ModelResponse):
        model: str | None = answer.hidden_params.get("provider_response_model")
        return model
    return None


def _content(choices: Sequence[Mapping[str, Any]], *, is_kept: bool) -> dict[str, Any]:
    if not choices:
        return {}
    messages = [choice.get("message") or {"content": choice.get("text")} for choice in choices]
    texts = [text for each in messages if (text := each.get("content"))]
    refusals = [text for each in messages if (text := _refusal(each))]
    calls = tuple(call for each in messages for call in tool_calls(each))
    reasons = (choice.get("finish_reason") for choice in choices)
    content = {"finish_reasons": tuple(reason for reason in reasons if reason)}
    if REDACTED in texts or not is_kept:
        return content
    return content | {
        "text": "\n".join(texts or refusals),
        "tool_calls": calls,
        "refusal": bool(refusals),
    }


def _refusal(message: Mapping[str, Any]) -> str | None:
    fields = message.get("provider_specific_fields") or {}  # where LiteLLM 1.106 keeps it
    refusal: str | None = message.get("refusal") or fields.get("refusal")
    return refusal


def _request_id(headers: Mapping[str, Any]) -> str | None:
    for name in REQUEST_IDS:
        if name in headers:
            return str(headers[name])
    return None


def _times(details: Details, payload: Payload, started_at_us: int) -> dict[str, Any]:
    # LiteLLM announces ends late but dates them. The start is ours, so that start and latency
    # of a record fit; LiteLLM's own where we heard of the call at its end alone.
    ended = round(payload["endTime"] * MICRO)
    started = started_at_us if started_at_us <= ended else round(payload["startTime"] * MICRO)
    streaming = details.get("stream") is True
    times: dict[str, Any] = {"latency_us": max(ended - started, 0), "streaming": streaming}
    # Without a first piece LiteLLM repeats the end here.
    first = round(payload["completionStartTime"] * MICRO)
    if streaming and started <= first < ended:
        times["time_to_first_chunk_us"] = first - started
    return times


def _usage(details: Details, reported: Reported) -> tuple[Reported | None, UsageSource | None]:
    # LiteLLM writes zeros where the provider reported nothing: no call has an empty input.
    if not reported.get("prompt_tokens"):
        return None, None
    if OPERATIONS.get(details["call_type"]) == "embeddings":
        reported = {**reported, "completion_tokens": None}
    if is_cache_hit(details):
        return reported, "cache"
    if details.get("stream") is True and not _has_details(reported):
        return _undetailed(details, reported)
    return reported, None


def _has_details(reported: Mapping[str, Any]) -> bool:
    return any(reported.get(name) is not None for name in REPORTED_DETAILS)


def _undetailed(details: Details, reported: Reported) -> tuple[Reported | None, UsageSource | None]:
    """
    Read the bare totals of a stream.

    LiteLLM counts by itself what the provider does not tell, in a way that cannot be told from
    a provider's totals. Unless they were asked for they are not even that.
    """
    asked = (details.get("stream_options") or {}).get("include_usage") is True
    totals = {name: reported.get(name) for name in ("prompt_tokens", "completion_tokens")}
    return (totals, "estimated") if asked else (None, None)


def _cost(payload: Payload) -> float | None:
    cost: float = payload["response_cost"]
    # LiteLLM says 0.0 of what it cannot price, too; then one of these says why.
    unknown = payload["response_cost_failure_debug_info"] or payload["zero_cost_diagnostic"]
    return None if unknown and not cost else cost
