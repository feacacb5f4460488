"""
Frames as bytes: how the spool's files are read and written.

A frame is a header and an array in JSON, since whatever can be written so can
be read again, whatever an application has for tags. Its texts are not in it:
they lie sealed in a file of their own, so that a spool left on a disk gives
away no content, and so that they can go before the records do when room runs
out. The frame says where they are.
"""

import os
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import astuple

from modeltrail.errors import KeyMismatchError
from modeltrail.plain import plain
from modeltrail.record import Frame, FrameKind

MAGIC = b"mtF3"
# Magic, length of the JSON, CRC-32 of the JSON begun with its length.
HEADER = struct.Struct(">4sII")
NONCE_BYTES = 12
# What is not sealed is labels and numbers; more of them is a mistake of somebody's.
OPEN_LIMIT_BYTES = 24 * 1024


class Place(NamedTuple):
    """
    Where the sealed texts of a frame lie in its segment's file of texts.
    """

    offset: int
    length: int


class Found(msgspec.Struct, frozen=True):
    """
    A frame found in a spool file.

    Attributes:
        offset: Where it starts.
        end: Where the next one starts.
        payload: The JSON.
    """

    offset: int
    end: int
    payload: bytes


_header = HEADER.pack
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(
    # As a Frame, with the place of its texts instead of them.
    tuple[FrameKind, str, int, dict[str, Any], dict[str, Any], Place | None]
).decode


class Sealer:
    """
    Seals texts with AES-256-GCM under the trail's spool key.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, texts: Mapping[str, bytes], id: str) -> bytes:
        """
        Encrypt the texts of one call; they open only for the same call id.
        """
        nonce = os.urandom(NONCE_BYTES)
        plain = msgspec.msgpack.encode(texts)
        return nonce + self._cipher.encrypt(nonce, plain, id.encode())

    def open(self, sealed: bytes, id: str) -> dict[str, bytes]:
        """
        Decrypt the texts of one call.

        Raises:
            KeyMismatchError: Another key sealed them, or they were changed.
        """
        nonce, data = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            plain = self._cipher.decrypt(nonce, data, id.encode())
        except InvalidTag as error:
            raise KeyMismatchError("the spool was sealed with another key") from error
        return msgspec.msgpack.decode(plain, type=dict[str, bytes])


def encode(frame: Frame, note: Callable[[str], None], place: Place | None = None) -> bytes:
    """
    Return a frame's bytes, header included.

    What of it cannot be written is left out and counted.

    Args:
        note: Counts a problem by its kind.
        place: Where its texts lie.

    Raises:
        TypeError, ValueError, RecursionError: It cannot be written at all.
    """
    content = frame if frame.texts is None else (*astuple(frame)[:-1], place)
    try:
        return _framed(content)
    except Exception:  # something in it cannot be written, or is too much
        kind, id, started_at_us, told, facts, _ = astuple(frame)
        return _framed((kind, id, started_at_us, plain(told, note), facts, place))


def _framed(content: Frame | tuple[Any, ...]) -> bytes:
    payload = _encode(content)
    if (length := len(payload)) > OPEN_LIMIT_BYTES:
        raise ValueError(f"{length} bytes are too much for the labels of a call")
    return _header(MAGIC, length, crc32(payload, length)) + payload


def decode(found: Found) -> tuple[Frame, Place | None]:
    """
    Read a frame, but for its texts, and where these lie.

    Raises:
        msgspec.DecodeError: It is no frame of this version.
    """
    kind, id, started_at_us, told, facts, place = _decode(found.payload)
    return Frame(kind, id, started_at_us, told, facts), place


def scan(data: bytes) -> Iterator[Found]:
    """
    Find the frames in a piece of a spool file.

    What is no whole frame is passed over: it was torn, because the disk was
    full or the machine stopped, or it is still being written. The two look
    alike, but appends are serialised: a whole frame further on proves that
    nothing before it will still grow.
    """
    start = data.find(MAGIC)
    while start >= 0:
        found = _frame_at(data, start)
        if found is not None:
            yield found
        start = data.find(MAGIC, found.end if found else start + 1)


def _frame_at(data: bytes, start: int) -> Found | None:
    body = start + HEADER.size
    if body > len(data):
        return None
    _, length, checksum = HEADER.unpack_from(data, start)
    end = body + length
    payload = data[body:end]
    # No frame is empty; zeros that never came to the disk would be one that is whole.
    if not length or end > len(data) or crc32(payload, length) != checksum:
        return None
    return Found(start, end, payload)
