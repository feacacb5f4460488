"""
Reading a spool: from its start, in the order of writing.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace

from modeltrail.record import Frame
from modeltrail.storage.spool import frames
from modeltrail.storage.spool.folder import (
    End,
    segment_numbers,
    segment_path,
    texts_path,
)
from modeltrail.storage.spool.frames import Found, Place, Sealer

READ_BYTES = 1024 * 1024


class Position(Struct, frozen=True, order=True):
    """
    A place in a spool; places compare in the order of writing.
    """

    segment: int
    offset: int


class Readable(Protocol):
    """
    A spool, of a living process or of a dead one.
    """

    folder: Path
    origin: str

    def end_of(self, number: int) -> End:
        """
        Return how far a segment goes now.
        """

    def remove(self, number: int) -> None:
        """
        Remove a segment that is not needed any more.
        """


class Tail:
    """
    Reads a spool.

    Attributes:
        position: All before it was read.
        is_behind: Whether there was more than the last `read` returned.
        torn: How many times bytes were passed over that are no frame.
    """

    def __init__(self, spool: Readable, sealer: Sealer) -> None:
        self._spool = spool
        self._sealer = sealer
        numbers = segment_numbers(spool.folder, spool.origin)
        self.position = Position(numbers[0] if numbers else 0, 0)
        self.is_behind = bool(numbers)
        self.torn = 0
        self._kept_from = self.position.segment

    def read(self) -> list[tuple[Position, Found]]:
        """
        Return the next frames, about a megabyte, and where each stood.

        Nothing is returned when there is nothing yet.
        """
        segment, offset = self.position.segment, self.position.offset
        end = self._spool.end_of(segment)
        more = end.offset > offset
        found, is_all, is_blank = self._read_at(segment, offset, end.offset) if more else _NOTHING
        following = self._after(segment) if end.is_final and is_all else None
        self.is_behind = not is_all or following is not None
        if found:
            self._pass(Position(segment, offset), found)
        elif more and is_all and end.is_whole:
            # What is left is no frame and will never be one: torn, or never used.
            self.torn += not is_blank
            self.position = Position(segment, end.offset)
        if not found and following is not None:
            self.position = Position(following, 0)
            return self.read()
        return [(Position(segment, offset + each.offset), each) for each in found]

    def texts(self, place: Place, segment: int, id: str) -> dict[str, bytes] | None:
        """
        Return the texts of a frame, None if they have gone to make room.

        Raises:
            KeyMismatchError: They were sealed with another key, or changed.
        """
        path = texts_path(self._spool.folder, self._spool.origin, segment)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            sealed = os.pread(descriptor, place.length, place.offset)
        finally:
            os.close(descriptor)
        if len(sealed) < place.length:  # cut by a power failure
            return None
        return self._sealer.open(sealed, id)

    def frame_at(self, position: Position) -> Frame:
        """
        Return a frame that was read before.
        """
        end = self._spool.end_of(position.segment)
        piece = self._read_at(position.segment, position.offset, end.offset)
        frame, place = frames.decode(piece.found[0])
        texts = place and self.texts(place, position.segment, frame.id)
        return replace(frame, texts=texts)

    def release(self, keep_from: int) -> None:
        """
        Remove the segments before number `keep_from`.
        """
        # A disk that cannot be written now must not stop the reader; it is tried again.
        with suppress(OSError):
            while self._kept_from < keep_from:
                self._spool.remove(self._kept_from)
                self._kept_from += 1

    def _pass(self, start: Position, found: list[Found]) -> None:
        expected = 0
        for each in found:
            self.torn += each.offset > expected
            expected = each.end
        self.position = Position(start.segment, start.offset + expected)

    def _read_at(self, segment: int, offset: int, end: int) -> "_Piece":
        path = segment_path(self._spool.folder, self._spool.origin, segment)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return _NOTHING
        try:
            return _read_frames(descriptor, offset, end)
        finally:
            os.close(descriptor)

    def _after(self, segment: int) -> int | None:
        numbers = segment_numbers(self._spool.folder, self._spool.origin)
        return min((number for number in numbers if number > segment), default=None)


class _Piece(NamedTuple):
    """
    What was read of a segment.

    Attributes:
        is_all: There is no more before the end.
        is_blank: There is nothing but zeros.
    """

    found: list[Found]
    is_all: bool
    is_blank: bool


_NOTHING = _Piece([], is_all=True, is_blank=True)


def _read_frames(descriptor: int, offset: int, end: int) -> _Piece:
    for wanted in _growing(end - offset):
        data = os.pread(descriptor, wanted, offset)
        found = list(frames.scan(data))
        is_all = len(data) < wanted or wanted == end - offset
        if found or is_all:
            return _Piece(found, is_all, is_blank=not data.strip(b"\0"))
    return _NOTHING


def _growing(most: int) -> Iterator[int]:
    """
    Give sizes to read: a frame may be longer than the first.
    """
    size = READ_BYTES
    while size < most:
        yield size
        size *= 4
    if most > 0:
        yield most
