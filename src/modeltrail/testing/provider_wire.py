"""
What a provider's protocol has to say to be served: whole answers, events, errors.

A new protocol is a new file with a table of `WireFormat`; the server does not change.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

from .provider_types import Answer, Fault, Json, ProviderRequest

Part: TypeAlias = Literal["open", "piece", "close"]


class Event(NamedTuple):
    """
    One server-sent event and its place in the stream.

    Args:
        part: ``open`` before and between content, ``piece`` for content, ``close`` from the
            finish reason on.
        frame: The bytes to send.
    """

    part: Part
    frame: bytes


class Stream(NamedTuple):
    """
    How one endpoint streams.

    Args:
        events: An answer as a stream.
        error: A fault as the frame that ends a stream, given the answer that was being streamed
            and the number of events before.
    """

    events: Callable[[ProviderRequest, Answer], Iterable[Event]]
    error: Callable[[Fault, Answer, int], bytes]


class Payload(NamedTuple):
    """
    A whole answer as bytes.

    Args:
        content_type: What the bytes are.
        body: The bytes.
    """

    content_type: str
    body: bytes


@dataclass(frozen=True)
class WireFormat:
    """
    How one endpoint puts answers into bytes.

    Args:
        whole: An answer as one JSON body, or as bytes that are no JSON.
        error: A fault as one JSON body, given the request id that is sent with it.
        stream: How answers are streamed; ``None`` if the endpoint never streams.
        id_prefix: How generated response ids begin.
        request_id_header: The response header that carries the request id.
        is_model_call: Whether answers are asked for; otherwise `whole` alone decides.
    """

    whole: Callable[[ProviderRequest, Answer], Json | Payload]
    error: Callable[[Fault, str], Json]
    stream: Stream | None = None
    id_prefix: str = ""
    request_id_header: str = "x-request-id"
    is_model_call: bool = True


Routes: TypeAlias = Mapping[tuple[str, str], WireFormat]


def encode(body: Json) -> bytes:
    """
    Put a JSON body into bytes.

    Args:
        body: The body.

    Returns:
        Compact UTF-8 JSON.
    """
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def reported(figures: Mapping[str, int | None]) -> Json:
    """
    Leave out the figures that are not reported.

    Args:
        figures: Numbers of tokens by the names that the protocol gives them.

    Returns:
        Those that are not ``None``.
    """
    return {name: tokens for name, tokens in figures.items() if tokens is not None}


def sse(data: bytes, name: str | None = None) -> bytes:
    """
    Frame one server-sent event.

    Args:
        data: The payload, without line breaks.
        name: The name of the event, for protocols that name them.

    Returns:
        The frame.
    """
    head = b"" if name is None else b"event: " + name.encode() + b"\n"
    return head + b"data: " + data + b"\n\n"


def split(text: str, count: int) -> list[str]:
    """
    Cut a text into pieces of nearly equal length, none of them empty.

    Args:
        text: The text.
        count: How many pieces; a text of fewer characters gives one per character.

    Returns:
        The pieces in order.
    """
    count = min(count, len(text))
    cuts = [len(text) * i // count for i in range(count + 1)] if count else []
    return [text[start:end] for start, end in pairwise(cuts)]


def until(events: Iterable[Event], pieces: int | None) -> Iterator[Event]:
    """
    Cut a stream off after some pieces of content.

    Args:
        events: The whole stream.
        pieces: How many pieces to let through; ``None`` means the whole stream.

    Yields:
        The events up to the cut, never one that closes the answer.
    """
    seen = 0
    for event in events:
        seen += event.part == "piece"
        if pieces is not None and (event.part == "close" or seen > pieces):
            return
        yield event
