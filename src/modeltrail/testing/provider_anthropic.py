"""
Anthropic's protocol: messages.

The shapes follow the public API reference. Input tokens are told apart there: those read from a
cache and those written to one are not among ``input_tokens``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .provider_types import Answer, Fault, Json, ProviderRequest
from .provider_wire import Event, Part, Routes, Stream, WireFormat, encode, reported, split, sse

# The usual type of a status; others are the API's own errors from 500 on, else the client's.
ERRORS: dict[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}

STOP_REASONS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}

# Clients send it back and never look into it.
SIGNATURE = "bG9jYWwgcHJvdmlkZXI="


def error(fault: Fault, request_id: str | None) -> Json:
    """
    Build the error body of Anthropic's API, which repeats the request id.
    """
    usual = "api_error" if fault.status >= 500 else "invalid_request_error"
    kind = fault.type or ERRORS.get(fault.status, usual)
    details = {} if fault.code is None else {"details": {"error_code": fault.code}}
    said = {"type": kind, "message": fault.message} | details
    return {"type": "error", "error": said, "request_id": request_id}


def error_event(fault: Fault, answer: Answer, _before: int) -> bytes:
    """
    Frame an error within a stream.
    """
    return _frame(error(fault, answer.request_id))


def _frame(payload: Json) -> bytes:
    return sse(encode(payload), payload["type"])


def usage_of(answer: Answer) -> Json:
    """
    Build the usage of a whole message.
    """
    tier = {} if answer.service_tier is None else {"service_tier": answer.service_tier}
    written = {
        "ephemeral_5m_input_tokens": answer.cache_write_5m_tokens,
        "ephemeral_1h_input_tokens": answer.cache_write_1h_tokens,
    }
    lifetimes = reported(written)
    cache = {"cache_creation": lifetimes} if lifetimes else {}
    return _input_usage(answer) | cache | _output_usage(answer) | tier


def _input_usage(answer: Answer) -> Json:
    cache = {
        "cache_creation_input_tokens": answer.cache_write_tokens,
        "cache_read_input_tokens": answer.cached_tokens,
    }
    return {"input_tokens": answer.uncached_tokens} | reported(cache)


def _output_usage(answer: Answer) -> Json:
    reasoning = reported({"thinking_tokens": answer.reasoning_tokens})
    details = {"output_tokens_details": reasoning} if reasoning else {}
    return {"output_tokens": answer.output_tokens} | details


def message(_request: ProviderRequest, answer: Answer) -> Json:
    """
    Build a message.
    """
    body = _head(answer) | {"content": _blocks(answer), "stop_reason": _stop_reason(answer)}
    return body | ({"usage": usage_of(answer)} if answer.usage else {})


def _head(answer: Answer) -> Json:
    return {
        "id": answer.response_id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _stop_reason(answer: Answer) -> str:
    if answer.refusal is not None and answer.finish_reason is None:
        return "refusal"
    return STOP_REASONS.get(answer.ending, answer.ending)


def _blocks(answer: Answer) -> list[Json]:
    blocks: list[Json] = []
    if answer.reasoning is not None:
        blocks.append(_thinking(answer.reasoning, SIGNATURE))
    # There is no field for a refusal: it is text, and the stop reason says what it is.
    texts = [text for text in (answer.content, answer.refusal) if text is not None]
    blocks += [_text(text) for text in texts]
    for index, (_, arguments) in enumerate(answer.tool_calls):
        blocks.append(_tool_use(answer, index, _parse(arguments)))
    return blocks


def _thinking(text: str, signature: str) -> Json:
    return {"type": "thinking", "thinking": text, "signature": signature}


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _tool_use(answer: Answer, index: int, arguments: object) -> Json:
    name, _ = answer.tool_calls[index]
    call_id = f"toolu_{answer.response_id}_{index}"
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def _parse(arguments: str) -> Any:
    # Malformed arguments have no place in a whole message but as the text that they are.
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def message_events(_request: ProviderRequest, answer: Answer) -> Iterator[Event]:
    """
    Stream a message: its head, one block after the other, the stop reason with usage, the end.
    """
    started = {"usage": _usage_at_start(answer)} if answer.usage else {}
    yield _event("open", "message_start", message=_head(answer) | started)
    yield _event("open", "ping")
    for index, (empty, deltas) in enumerate(_block_streams(answer)):
        yield _event("open", "content_block_start", index=index, content_block=empty)
        for part, delta in deltas:
            yield _event(part, "content_block_delta", index=index, delta=delta)
        yield _event("open", "content_block_stop", index=index)
    ending = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
    ended = {"usage": _usage_at_end(answer)} if answer.usage else {}
    yield _event("close", "message_delta", delta=ending, **ended)
    yield _event("close", "message_stop")


def _event(part: Part, kind: str, **payload: Any) -> Event:
    return Event(part, _frame({"type": kind} | payload))


def _usage_at_start(answer: Answer) -> Json:
    if answer.stream_input_usage in {"both", "start"}:
        # The API has counted a first token by then, and leaves the rest to the end.
        tokens = {"output_tokens": min(1, answer.output_tokens)}
        return {k: v for k, v in usage_of(answer).items() if k != "output_tokens_details"} | tokens
    return {"input_tokens": 0, "output_tokens": 0}


def _usage_at_end(answer: Answer) -> Json:
    # The lifetimes of cache writes are told at the start alone.
    told = answer.stream_input_usage in {"both", "end"}
    return (_input_usage(answer) if told else {}) | _output_usage(answer)


def _block_streams(answer: Answer) -> Iterator[tuple[Json, list[tuple[Part, Json]]]]:
    if answer.reasoning is not None:
        pieces = _pieces(answer, "thinking_delta", "thinking", answer.reasoning)
        signed: tuple[Part, Json] = ("open", {"type": "signature_delta", "signature": SIGNATURE})
        yield _thinking("", ""), [*pieces, signed]
    for text in (answer.content, answer.refusal):
        if text is not None:
            yield _text(""), _pieces(answer, "text_delta", "text", text)
    for index, (_, arguments) in enumerate(answer.tool_calls):
        pieces = _pieces(answer, "input_json_delta", "partial_json", arguments)
        yield _tool_use(answer, index, {}), pieces


def _pieces(answer: Answer, kind: str, field: str, text: str) -> list[tuple[Part, Json]]:
    return [("piece", {"type": kind, field: piece}) for piece in split(text, answer.chunks)]


ROUTES: Routes = {
    ("POST", "/v1/messages"): WireFormat(
        message, error, Stream(message_events, error_event), "msg_", "request-id"
    ),
}
