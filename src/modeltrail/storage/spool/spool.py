"""
The spool of this process: one append to a local file, and a call cannot be lost any more.

A frame is in the kernel's page cache when `append` returns, so it survives any
end of the process. The writer reads the segments from the start, commits what
they say and removes them.

`append` takes no lock: the garbage collector may call us inside ourselves.
"""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

from modeltrail.errors import StoreUnavailableError
from modeltrail.record import Frame, FrameKind
from modeltrail.storage.spool import frames
from modeltrail.storage.spool.drops import DISK, EMPTY, FULL, NOT_WRITABLE, TEXT, Drops
from modeltrail.storage.spool.folder import (
    End,
    end_of_file,
    make_lock,
    remove_files,
    segment_numbers,
    texts_path,
    used_bytes,
)
from modeltrail.storage.spool.frames import Sealer
from modeltrail.storage.spool.segment import Segment
from modeltrail.storage.spool.tail import Position

SEGMENT_BYTES = 8 * 1024 * 1024
LIMIT_BYTES = 1024 * 1024 * 1024
# The last sixteenth is kept for how calls ended that have begun: half a call is worth little.
RESERVED = 16
NEED_NO_RESERVE = frozenset({FrameKind.END, FrameKind.AMEND, FrameKind.CARRIED})
# Old texts go when so much is full, so that there is always room for new ones.
TEXTS_GO_AT = 7 / 8


class SpoolFullError(Exception):
    """
    The spool has reached its limit, and this frame was dropped.
    """


class Spool:
    """
    The spool of this process.

    Attributes:
        origin: Its name, unique among all processes and times.
        segment: Where frames are appended now.
        drops: What could not be appended.
        appended: How many frames were.

    Args:
        limit_bytes: How large all its files together may grow.
        note: Counts a problem by its kind.

    Raises:
        StoreUnavailableError: The folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        origin: str,
        sealer: Sealer,
        note: Callable[[str], None],
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        self.folder = folder
        self.origin = origin
        self.appended = 0
        self._sealer = sealer
        self._note = note
        self._limit = limit_bytes
        self._reserve = limit_bytes // RESERVED
        # Callers count down, `make_room` sets it right: between two of its turns
        # a race may let a frame more in.
        self._room = limit_bytes
        self._numbers = count(1)
        self._retired: dict[int, Segment] = {}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = make_lock(folder, origin, EMPTY)
            self.segment = self._new_segment(0)
        except OSError as error:
            raise StoreUnavailableError(
                f"the spool folder {folder} cannot be written ({error.strerror}); "
                "make it writable or point MODELTRAIL_SPOOL at another folder"
            ) from error
        self.drops = Drops(self._lock, origin)

    def append(self, frame: Frame) -> None:
        """
        Append a frame; when this returns, it survives the process.

        Whatever it raises, what was lost has been counted.

        Raises:
            SpoolFullError: The spool has reached its limit.
            OSError: The disk did not take it.
            TypeError, ValueError, RecursionError: It cannot be written at all.
        """
        try:
            self._append(frame)
        except SpoolFullError:
            self.drops.add(FULL, frame.kind)
            raise
        except OSError:
            self.drops.add(DISK, frame.kind)
            raise
        except Exception:
            self.drops.add(NOT_WRITABLE, frame.kind)
            raise
        self.appended = next(self._numbers)

    def sync(self) -> None:
        """
        Wait until the disk has all frames whose append has returned.

        Raises:
            OSError: The disk did not take it.
        """
        for segment in (*self._retired.values(), self.segment):
            segment.sync()

    def end(self) -> Position:
        """
        Return the place behind the last append.
        """
        segment = self.segment
        return Position(segment.number, segment.end().offset)

    def end_of(self, number: int) -> End:
        """
        Return how far a segment goes now.
        """
        segment = self.segment if number == self.segment.number else self._retired.get(number)
        if segment is None:
            return end_of_file(self.folder, self.origin, number)
        end = segment.end()
        if end.is_final:
            segment.sync()  # nobody else will, once it is not among ours any more
            self._retired.pop(number).release()
        return end

    @property
    def used_bytes(self) -> int:
        """
        The size of its files.
        """
        return used_bytes(self.folder, self.origin)

    def make_room(self) -> None:
        """
        Open a new segment if this one is full, and see that the limit is kept.

        One thread calls this, often.

        Raises:
            OSError: The disk did not take a new segment.
        """
        used = self.used_bytes
        excess = used - int(self._limit * TEXTS_GO_AT)
        full = self.segment.size >= min(SEGMENT_BYTES, self._limit // RESERVED)
        if full or (excess > 0 and self.segment.has_texts):
            self._rotate()
        if excess > 0:
            used -= self._drop_texts(excess)
        self._room = self._limit - used

    def release(self, *, remove: bool) -> None:
        """
        Let go of the spool.

        Args:
            remove: All that it says is committed and its files can go.
                Otherwise whoever opens the trail next takes it over.
        """
        self._close_segments()
        if remove:
            remove_files(self.folder, self.origin)
        os.close(self._lock)

    def abandon(self) -> None:
        """
        In a forked child: close the parent's files and leave them alone.

        A lock belongs to the open file, which both processes share: a child
        that kept it open would make a dead parent look alive.
        """
        self._close_segments()
        os.close(self._lock)

    def _append(self, frame: Frame) -> None:
        sealed = self._sealed(frame) if frame.texts else None
        while True:
            segment = self.segment
            # In the same segment, so that the texts stay as long as the frame does.
            place = segment.put(sealed) if sealed else None
            data = frames.encode(frame, self._note, place)
            self._take_room(len(data), frame.kind)
            if segment.append(data):
                return

    def _sealed(self, frame: Frame) -> bytes | None:
        sealed = self._sealer.seal(frame.texts or {}, frame.id)
        try:
            self._take_room(len(sealed), FrameKind.START)
        except SpoolFullError:
            self.drops.add_to(TEXT)
            return None
        return sealed

    def _take_room(self, size: int, kind: FrameKind) -> None:
        kept = 0 if kind in NEED_NO_RESERVE else self._reserve
        if self._room < size + kept:
            raise SpoolFullError("the spool has reached its limit")
        self._room -= size

    def _rotate(self) -> None:
        full = self.segment
        new = self._new_segment(full.number + 1)
        self._retired[full.number] = full
        self.segment = new
        full.closed = True

    def _drop_texts(self, excess: int) -> int:
        """
        Remove texts, the oldest first, until so many bytes are free.

        Returns:
            How many were freed.
        """
        freed = 0
        for number in segment_numbers(self.folder, self.origin)[:-1]:
            if freed >= excess:
                break
            path = texts_path(self.folder, self.origin, number)
            if path.exists():
                freed += path.stat().st_size
                path.unlink()
        return freed

    def _close_segments(self) -> None:
        for segment in (*self._retired.values(), self.segment):
            segment.release()

    def _new_segment(self, number: int) -> Segment:
        return Segment(self.folder, self.origin, number)
