"""
The output items of OpenAI's responses: reasoning, a message, function calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from .provider_types import Answer, Json
from .provider_wire import Part, split

# A finish reason of chat that makes a response incomplete, and the reason that is told then.
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}

# An event that has no place in a stream yet: the part, the type without prefix, the fields.
Draft: TypeAlias = tuple[Part, str, Json]


class Item(NamedTuple):
    """
    One item of the output.

    Args:
        begun: As it stands when it is announced.
        done: As it stands in the end.
        drafts: What is streamed between.
    """

    begun: Json
    done: Json
    drafts: list[Draft]


def status_of(answer: Answer) -> str:
    """
    Name the status that an answer ends with.
    """
    return "incomplete" if answer.ending in INCOMPLETE else "completed"


def items(answer: Answer) -> Iterator[Item]:
    """
    Build the output in the order of the API: reasoning, the message, function calls.

    Yields:
        The items.
    """
    if answer.reasoning is not None:
        yield _reasoning(answer, answer.reasoning)
    if answer.content is not None or answer.refusal is not None:
        yield _message(answer)
    for index in range(len(answer.tool_calls)):
        yield _function_call(answer, index)


def _reasoning(answer: Answer, text: str) -> Item:
    head = {"id": f"rs_{answer.response_id}", "type": "reasoning"}
    place = {"summary_index": 0}
    part = {"type": "summary_text", "text": text}
    inner = _spoken(answer, "reasoning_summary_text", place, text, {"text": text})
    drafts = _wrapped("reasoning_summary_part", place, part | {"text": ""}, part, inner)
    return Item(head | {"summary": []}, head | {"summary": [part]}, drafts)


def _message(answer: Answer) -> Item:
    head = {"id": f"msg_{answer.response_id}", "type": "message", "role": "assistant"}
    parts: list[Json] = []
    drafts: list[Draft] = []
    if answer.content is not None:
        part, drafts = _output_text(answer, answer.content)
        parts.append(part)
    if answer.refusal is not None:
        part, more = _refusal(answer, answer.refusal, len(parts))
        parts.append(part)
        drafts += more
    begun = head | {"status": "in_progress", "content": []}
    return Item(begun, head | {"status": status_of(answer), "content": parts}, drafts)


def _output_text(answer: Answer, text: str) -> tuple[Json, list[Draft]]:
    place = {"content_index": 0}
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    inner = _spoken(answer, "output_text", place | {"logprobs": []}, text, {"text": text})
    return part, _wrapped("content_part", place, part | {"text": ""}, part, inner)


def _refusal(answer: Answer, text: str, index: int) -> tuple[Json, list[Draft]]:
    place = {"content_index": index}
    part = {"type": "refusal", "refusal": text}
    inner = _spoken(answer, "refusal", place, text, {"refusal": text})
    return part, _wrapped("content_part", place, part | {"refusal": ""}, part, inner)


def _function_call(answer: Answer, index: int) -> Item:
    name, arguments = answer.tool_calls[index]
    suffix = f"{answer.response_id}_{index}"
    head = {"id": f"fc_{suffix}", "call_id": f"call_{suffix}", "type": "function_call"}
    head |= {"name": name}
    said = {"name": name, "arguments": arguments}
    drafts = _spoken(answer, "function_call_arguments", {}, arguments, said)
    begun = head | {"status": "in_progress", "arguments": ""}
    return Item(begun, head | {"status": status_of(answer), "arguments": arguments}, drafts)


def _spoken(answer: Answer, kind: str, place: Json, text: str, done: Json) -> list[Draft]:
    pieces = split(text, answer.chunks)
    drafts: list[Draft] = [("piece", f"{kind}.delta", place | {"delta": piece}) for piece in pieces]
    return [*drafts, ("open", f"{kind}.done", place | done)]


def _wrapped(kind: str, place: Json, begun: Json, done: Json, inner: list[Draft]) -> list[Draft]:
    return [
        ("open", f"{kind}.added", place | {"part": begun}),
        *inner,
        ("open", f"{kind}.done", place | {"part": done}),
    ]
