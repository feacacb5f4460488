"""
OpenAI's protocol of responses: output items in an envelope, or one event after the other.

The shapes follow the public API reference. Unlike one of chat, a stream reports usage unasked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from .provider_openai import cache_details, error
from .provider_responses_items import INCOMPLETE, Draft, Item, items, status_of
from .provider_types import Answer, Fault, Json, ProviderRequest
from .provider_wire import Event, Routes, Stream, WireFormat, encode, reported, sse


def response(_request: ProviderRequest, answer: Answer) -> Json:
    """
    Build a response.
    """
    reason = INCOMPLETE.get(answer.ending)
    body = _head(answer, status_of(answer)) | {"output": [item.done for item in items(answer)]}
    body |= {"incomplete_details": {"reason": reason}} if reason else {}
    return body | ({"usage": usage_of(answer)} if answer.usage else {})


def _head(answer: Answer, status: str) -> Json:
    return {
        "id": answer.response_id,
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "service_tier": answer.service_tier,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }


def usage_of(answer: Answer) -> Json:
    """
    Build the usage of a response: cached and reasoning tokens lie within their totals.
    """
    usage: Json = {
        "input_tokens": answer.input_tokens,
        "output_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
    details = {
        "input_tokens_details": cache_details(answer),
        "output_tokens_details": reported({"reasoning_tokens": answer.reasoning_tokens}),
    }
    return usage | {name: figures for name, figures in details.items() if figures}


def response_events(request: ProviderRequest, answer: Answer) -> Iterator[Event]:
    """
    Stream a response: its head, the events of each item, the response as a whole.
    """
    for number, (part, kind, fields) in enumerate(_drafts(request, answer)):
        yield Event(part, _frame(f"response.{kind}", number, fields))


def _drafts(request: ProviderRequest, answer: Answer) -> Iterator[Draft]:
    for kind in ("created", "in_progress"):
        yield "open", kind, {"response": _head(answer, "in_progress")}
    for index, item in enumerate(items(answer)):
        yield from _item_drafts(index, item)
    yield "close", status_of(answer), {"response": response(request, answer)}


def _item_drafts(index: int, item: Item) -> Iterator[Draft]:
    place = {"output_index": index}
    yield "open", "output_item.added", place | {"item": item.begun}
    for part, kind, fields in item.drafts:
        yield part, kind, place | {"item_id": item.done["id"]} | fields
    yield "open", "output_item.done", place | {"item": item.done}


def error_event(fault: Fault, answer: Answer, before: int) -> bytes:
    """
    Frame an error within a stream.

    From status 500 on the response itself fails (``response.failed``); another error, such as one
    of a rate limit, is an event ``error``.
    """
    told = error(fault)["error"]
    said = {"code": told["code"] or told["type"], "message": fault.message}
    if fault.status < 500:
        return _frame("error", before, said | {"param": None})
    return _frame(
        "response.failed", before, {"response": _head(answer, "failed") | {"error": said}}
    )


def _frame(kind: str, number: int, fields: Json) -> bytes:
    return sse(encode({"type": kind, "sequence_number": number} | fields), kind)


ROUTES: Routes = {
    ("POST", "/v1/responses"): WireFormat(
        response, error, Stream(response_events, error_event), "resp_"
    ),
}
