"""
OpenAI's protocol: chat and text completions, embeddings, the list of models.

The shapes follow the public API reference. Usage of a stream is sent only if it was asked for.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import time
from collections.abc import Iterator
from typing import Any

from .provider_types import Answer, Fault, Json, ProviderRequest
from .provider_wire import Event, Part, Routes, Stream, WireFormat, encode, reported, split, sse

MODEL_IDS = ("gpt-4o-mini", "text-embedding-3-small")

# The usual (type, code) of a status; others are server errors from 500 on, else the client's.
ERRORS: dict[int, tuple[str, str | None]] = {
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def error(fault: Fault, _request_id: str = "") -> Json:
    """
    Build the error body of OpenAI's API, which does not repeat the request id.
    """
    server_side = fault.status >= 500
    usual = ("server_error" if server_side else "invalid_request_error", None)
    kind, code = ERRORS.get(fault.status, usual)
    return {
        "error": {
            "message": fault.message,
            "type": fault.type or kind,
            "param": None,
            "code": fault.code or code,
        }
    }


def error_event(fault: Fault, _answer: Answer, _before: int) -> bytes:
    """
    Frame an error within a stream: a chunk that holds an error body. No ``[DONE]`` follows.
    """
    return sse(encode(error(fault)))


def usage_of(answer: Answer) -> Json:
    """
    Build the usage of a completion: cached and reasoning tokens lie within their totals.
    """
    usage: Json = {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
    if cache := cache_details(answer):
        usage["prompt_tokens_details"] = cache
    if answer.reasoning_tokens is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": answer.reasoning_tokens}
    return usage


def cache_details(answer: Answer) -> Json:
    """
    Build what is told of cached input tokens: reads and writes, as far as they are reported.
    """
    written = answer.cache_write_tokens
    return reported({"cached_tokens": answer.cached_tokens, "cache_write_tokens": written})


def _head(answer: Answer, kind: str) -> Json:
    return {
        "id": answer.response_id,
        "object": kind,
        "created": int(time.time()),
        "model": answer.model,
        "service_tier": answer.service_tier,
        "system_fingerprint": answer.system_fingerprint,
    }


def _whole(request: ProviderRequest, answer: Answer, kind: str, choice: Json) -> Json:
    choice = {"logprobs": None, "finish_reason": answer.ending} | choice
    choices = [{"index": index} | choice for index in range(_count_choices(request))]
    body = _head(answer, kind) | {"choices": choices}
    return body | ({"usage": usage_of(answer)} if answer.usage else {})


def _events(
    request: ProviderRequest, answer: Answer, kind: str, parts: list[tuple[Part, Json]]
) -> Iterator[Event]:
    with_usage = answer.usage and _wants_usage(request)
    # Once usage is asked for, the API says `usage: null` on every chunk but the last.
    head = _head(answer, kind) | ({"usage": None} if with_usage else {})
    for part, payload in parts:
        for index in range(_count_choices(request)):
            choice = {"index": index, "logprobs": None, "finish_reason": None} | payload
            yield Event(part, sse(encode(head | {"choices": [choice]})))
    if with_usage:
        yield Event("close", sse(encode(head | {"choices": [], "usage": usage_of(answer)})))
    yield Event("close", sse(b"[DONE]"))


def _wants_usage(request: ProviderRequest) -> bool:
    return bool((request.body.get("stream_options") or {}).get("include_usage"))


def _count_choices(request: ProviderRequest) -> int:
    # A text completion may carry several prompts, each of them answered `n` times.
    return (request.body.get("n") or 1) * len(_inputs(request.body.get("prompt", "")))


def _inputs(value: Any) -> list[Any]:
    # A list of numbers is one input that the client has already turned into tokens.
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return value
    return [value]


def chat(request: ProviderRequest, answer: Answer) -> Json:
    """
    Build a chat completion.
    """
    message: Json = {"role": "assistant", "content": answer.content, "refusal": answer.refusal}
    calls = [_tool_call(answer, i) for i in range(len(answer.tool_calls))]
    message |= {"tool_calls": calls} if calls else {}
    return _whole(request, answer, "chat.completion", {"message": message})


def _tool_call(answer: Answer, index: int) -> Json:
    name, arguments = answer.tool_calls[index]
    function = {"name": name, "arguments": arguments}
    return {"id": f"call_{answer.response_id}_{index}", "type": "function", "function": function}


def chat_events(request: ProviderRequest, answer: Answer) -> Iterator[Event]:
    """
    Stream a chat completion: the role, the pieces, the finish reason, usage if asked for.
    """
    content = None if answer.content is None else ""
    opening = {"role": "assistant", "content": content, "refusal": None}
    parts: list[tuple[Part, Json]] = [("open", {"delta": opening})]
    parts += [("piece", {"delta": delta}) for delta in _deltas(answer)]
    parts += [("close", {"delta": {}, "finish_reason": answer.ending})]
    return _events(request, answer, "chat.completion.chunk", parts)


def _deltas(answer: Answer) -> Iterator[Json]:
    for piece in split(answer.content or "", answer.chunks):
        yield {"content": piece}
    for piece in split(answer.refusal or "", answer.chunks):
        yield {"refusal": piece}
    for index, (name, arguments) in enumerate(answer.tool_calls):
        # Id and name come once, then the arguments alone, joined by the index.
        start = _tool_call(answer, index) | {"function": {"name": name, "arguments": ""}}
        yield {"tool_calls": [{"index": index} | start]}
        for piece in split(arguments, answer.chunks):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def completion(request: ProviderRequest, answer: Answer) -> Json:
    """
    Build a text completion.
    """
    return _whole(request, answer, "text_completion", {"text": answer.content or ""})


def completion_events(request: ProviderRequest, answer: Answer) -> Iterator[Event]:
    """
    Stream a text completion.
    """
    pieces = split(answer.content or "", answer.chunks)
    parts: list[tuple[Part, Json]] = [("piece", {"text": piece}) for piece in pieces]
    parts += [("close", {"text": "", "finish_reason": answer.ending})]
    return _events(request, answer, "text_completion", parts)


def embeddings(request: ProviderRequest, answer: Answer) -> Json:
    """
    Build one vector per input: equal inputs give equal vectors.
    """
    size = request.body.get("dimensions") or answer.embedding_dimension
    packed = [_vector(item, size) for item in _inputs(request.body.get("input", ""))]
    as_text = request.body.get("encoding_format") == "base64"
    vectors = [_base64(data) if as_text else _floats(data) for data in packed]
    data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
    body = {"object": "list", "data": data, "model": answer.model}
    tokens = {"prompt_tokens": answer.input_tokens, "total_tokens": answer.input_tokens}
    return body | ({"usage": tokens} if answer.usage else {})


def _vector(item: object, size: int) -> bytes:
    # Little-endian 32-bit floats, as the API sends them, so that both encodings agree to the bit.
    noise = hashlib.shake_256(repr(item).encode()).digest(2 * size)
    values = [number / 32768 - 1 for number in struct.unpack(f"<{size}H", noise)]
    return struct.pack(f"<{size}f", *values)


def _floats(packed: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def _base64(packed: bytes) -> str:
    return base64.b64encode(packed).decode()


def models(_request: ProviderRequest, _answer: Answer) -> Json:
    """
    List a few models; any other name is served as well.
    """
    listed = [{"id": m, "object": "model", "created": 0, "owned_by": "local"} for m in MODEL_IDS]
    return {"object": "list", "data": listed}


ROUTES: Routes = {
    ("POST", "/v1/chat/completions"): WireFormat(
        chat, error, Stream(chat_events, error_event), "chatcmpl-"
    ),
    ("POST", "/v1/completions"): WireFormat(
        completion, error, Stream(completion_events, error_event), "cmpl-"
    ),
    ("POST", "/v1/embeddings"): WireFormat(embeddings, error, id_prefix="embd-"),
    ("GET", "/v1/models"): WireFormat(models, error, is_model_call=False),
}
