"""
Frames as bytes: how the spool's files are read and written.

A frame is a header (magic, length, CRC-32) and a MessagePack array. Texts in
it are sealed, so that a spool left on a disk gives away no content.
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

MAGIC = b"mtF1"
HEADER = struct.Struct(">4sII")
NONCE_BYTES = 12

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(
    tuple[int, str, int, dict[str, Any], bytes | None]  # kind, id, time, columns, sealed texts
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
        return nonce + self._cipher.encrypt(nonce, _encode(dict(texts)), id.encode())

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
    """

    offset: int
    end: int
    payload: bytes


def encode(frame: Frame, sealer: Sealer) -> bytes:
    """
    Return a frame's bytes, header included.
    """
    sealed = sealer.seal(frame.texts, frame.id) if frame.texts else None
    payload = _encode((int(frame.kind), frame.id, frame.started_at_us, frame.fields, sealed))
    return HEADER.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload


def decode(payload: bytes, sealer: Sealer) -> Frame:
    """
    Read a frame's payload.

    Raises:
        msgspec.DecodeError, ValueError: It is no frame of this version.
        KeyMismatchError: Its texts were sealed with another key.
    """
    kind, id, started_at_us, columns, sealed = _decode(payload)
    texts = sealer.open(sealed, id) if sealed else None
    return Frame(FrameKind(kind), id, started_at_us, columns, texts)


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
    payload = data[body : body + length]
    if len(payload) < length or zlib.crc32(payload) != checksum:
        return None
    return Found(start, body + length, payload)
