"""
Frames as bytes: how the spool's files are read and written.

A frame is a header and a payload: an array in JSON, since whatever can be
written so can be read again, whatever an application has for tags, and behind
it what texts there are, sealed, so that a spool left on a disk gives away no
content.
"""

import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from modeltrail.errors import KeyMismatchError
from modeltrail.record import Frame, FrameKind

MAGIC = b"mtF2"
# Magic, the lengths of the payload and of its JSON, CRC-32 of the payload begun with the latter.
HEADER = struct.Struct(">4sIII")
NONCE_BYTES = 12
# What is not sealed is labels and numbers; more of them is a mistake of somebody's.
OPEN_LIMIT_BYTES = 24 * 1024

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(
    tuple[FrameKind, str, int, dict[str, Any], dict[str, Any]]  # as a Frame, but for its texts
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


class Found(NamedTuple):
    """
    A frame found in a spool file.

    Attributes:
        offset: Where it starts.
        end: Where the next one starts.
        open: The JSON.
        sealed: The texts, b"" if there are none.
    """

    offset: int
    end: int
    open: bytes
    sealed: bytes


def encode(frame: Frame, sealer: Sealer) -> bytes:
    """
    Return a frame's bytes, header included.

    Raises:
        TypeError, ValueError, RecursionError: It holds
            something that cannot be written, or too much.
    """
    payload = _encode(frame[:-1])
    if (length := len(payload)) > OPEN_LIMIT_BYTES:
        raise ValueError(f"{length} bytes are too much for the labels of a call")
    if frame.texts:
        payload += sealer.seal(frame.texts, frame.id)
    return HEADER.pack(MAGIC, len(payload), length, zlib.crc32(payload, length)) + payload


def decode(found: Found, sealer: Sealer) -> Frame:
    """
    Read a frame.

    Raises:
        msgspec.DecodeError: It is no frame of this version.
        KeyMismatchError: Its texts were sealed with another key.
    """
    kind, id, started_at_us, told, facts = _decode(found.open)
    texts = sealer.open(found.sealed, id) if found.sealed else None
    return Frame(kind, id, started_at_us, told, facts, texts)


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
    _, length, open_length, checksum = HEADER.unpack_from(data, start)
    end = body + length
    payload = data[body:end]
    if end > len(data) or zlib.crc32(payload, open_length) != checksum:
        return None
    if open_length == length:
        return Found(start, end, payload, b"")
    return Found(start, end, payload[:open_length], payload[open_length:])
