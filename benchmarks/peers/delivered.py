"""
Which calls a request delivers, in the words of each peer.

A call is known by an id of the peer's own: that of its trace, since each of our calls is
a trace by itself, or of its run. Only what has ended counts, and a call counts once however
many pieces of it come.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}
# Export request -> resource -> scope -> span -> trace id, as numbers of protobuf fields.
TRACE_ID = (1, 2, 2, 1)
DELIMITED = 2
# Of the other kinds of a protobuf field: how many bytes it takes; a varint tells by itself.
FIXED = {1: 8, 5: 4}
# One part of LangSmith's multipart request: the whole run, or what its end adds.
RUN = re.compile(rb'name="(post|patch)\.([0-9a-f-]{36})"[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n(\{.*)')


class Delivery(NamedTuple):
    """
    A request, as it came.
    """

    path: str
    kind: str
    encoding: str
    body: bytes


def calls_in(delivery: Delivery) -> Iterator[str]:
    """
    Return the ids of the calls that have ended.
    """
    body = DECODERS[delivery.encoding](delivery.body)
    for known, read in READERS.items():
        if known in f"{delivery.path} {delivery.kind}":
            return read(body, delivery.path)
    return iter(())


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """
    Return number and content of the delimited fields of a protobuf message.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        size, start = _varint(message, at) if kind in {0, DELIMITED} else (FIXED[kind], at)
        at = start + (size if kind else 0)
        if kind == DELIMITED:
            yield number, message[start:at]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while message[at] & 0x80:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | message[at] << shift, at + 1


def _at(message: bytes, path: tuple[int, ...]) -> Iterator[bytes]:
    if not path:
        yield message
        return
    for number, content in fields(message):
        if number == path[0]:
            yield from _at(content, path[1:])


def _otlp(body: bytes, _: str) -> Iterator[str]:
    return (trace.hex() for trace in _at(body, TRACE_ID))


def _otlp_json(body: bytes, _: str) -> Iterator[str]:
    return (
        span["traceId"].lower()
        for resource in json.loads(body)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    )


def _langsmith(body: bytes, _: str) -> Iterator[str]:
    for _, run, told in RUN.findall(body):
        if _ended(json.loads(told)):
            yield run.decode()


def _opik(body: bytes, path: str) -> Iterator[str]:
    told = json.loads(body)
    for trace in told.get("traces", [told | {"id": path.rsplit("/", 1)[-1]}]):
        if _ended(trace):
            yield trace["id"]


def _ended(told: dict[str, Any]) -> bool:
    return bool(told.get("end_time"))


# Piece of the path or the content type -> reader; the first that fits is it.
READERS: dict[str, Callable[[bytes, str], Iterator[str]]] = {
    "application/x-protobuf": _otlp,
    "/v1/traces application/json": _otlp_json,
    "/runs/multipart": _langsmith,
    "/v1/private/traces": _opik,
}
