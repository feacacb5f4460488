"""
The spool of this process: one append to a local file, and a call cannot be lost any more.

A frame is in the kernel's page cache when `append` returns, so it survives any
end of the process. The writer reads the segments from the start, commits what
they say and removes them.

`append` takes no lock: the garbage collector may call us inside ourselves.
"""

import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from time import monotonic, sleep

from modeltrail.errors import StoreUnavailableError
from modeltrail.record import Frame, FrameKind
from modeltrail.storage.spool import frames
from modeltrail.storage.spool.disk import keeps_its_word
from modeltrail.storage.spool.drops import DISK, EMPTY, FULL, NOT_WRITABLE, TEXT, Drops
from modeltrail.storage.spool.folder import (
    End,
    end_of_file,
    make_lock,
    remove_files,
    remove_segment,
    used_bytes,
)
from modeltrail.storage.spool.frames import Sealer
from modeltrail.storage.spool.segment import MappedSegment, Segment, WrittenSegment
from modeltrail.storage.spool.tail import Position

# Of frames, and of texts: what is as long is followed by the next.
SEGMENT_BYTES = 2 * 1024 * 1024
LEAST_SEGMENT_BYTES = 2 * frames.OPEN_LIMIT_BYTES
TEXTS_BYTES = 16 * 1024 * 1024
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


class SpoolClosedError(Exception):
    """
    The spool takes nothing any more.
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
        self._drafts = count()
        self._places = count()
        # A share of the limit, so that what is read can go in pieces.
        self._segment_bytes = max(min(SEGMENT_BYTES, self._reserve), LEAST_SEGMENT_BYTES)
        self._texts_bytes = min(TEXTS_BYTES, self._reserve)
        self._segments: dict[int, Segment] = {}
        # Made beforehand, so that no caller waits for a file.
        self._spare: deque[Segment] = deque()
        self._following = threading.RLock()
        self._takes_no_more = False
        # Its owner, and the threads that work for it.
        self._users = 1
        self._leaving = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._is_mapped = keeps_its_word(folder)
            self._lock = make_lock(folder, origin, EMPTY)
            try:
                self.segment = self._place(self._new_segment())
            except OSError:
                remove_files(folder, origin)
                os.close(self._lock)
                raise
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
            SpoolClosedError: The spool takes nothing any more; this is not counted.
            SpoolFullError: The spool has reached its limit.
            OSError: The disk did not take it.
            TypeError, ValueError, RecursionError: It cannot be written at all.
        """
        try:
            sealed = self._sealed(frame) if frame.texts else None
            while True:
                segment = self.segment
                # In the same segment, so that the texts stay as long as the frame does.
                place = segment.texts.put(sealed) if sealed else None
                data = frames.encode(frame, self._note, place)
                left = self._room - len(data)
                if left < self._reserve:
                    self._check_room(left, frame.kind)
                self._room = left
                if segment.append(data):
                    break
                self._follow(segment)
        except SpoolClosedError:
            raise
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
        for segment in list(self._segments.values()):
            segment.sync()

    def end(self) -> Position:
        """
        Return the place behind the last append.
        """
        segment = self.segment
        return Position(segment.number, segment.end().offset)

    def end_of(self, number: int) -> End:
        """
        Return how far a segment goes now. The reader asks, and thereby ends what was followed.
        """
        segment = self._segments.get(number)
        if segment is None:
            return end_of_file(self.folder, self.origin, number)
        if segment is not self.segment:
            segment.close()
        return segment.end()

    def remove(self, number: int) -> None:
        """
        Remove a segment that was read and is not needed any more.
        """
        if (segment := self._segments.pop(number, None)) is not None:
            segment.release()
        remove_segment(self.folder, self.origin, number)

    @property
    def used_bytes(self) -> int:
        """
        The size of its files, but for the room in them that is not used yet.
        """
        while True:
            current = self.segment
            used = used_bytes(self.folder, self.origin) - current.unused_bytes
            if self.segment is current:  # else another thread has just begun a file
                return used

    def make_room(self) -> None:
        """
        See that the limit is kept, and that a new segment and the memory to fill are at hand.

        One thread calls this, often.

        Raises:
            OSError: The disk did not take a new segment.
        """
        if self._takes_no_more:
            return
        self._close_followed()
        used = self.used_bytes
        excess = used - int(self._limit * TEXTS_GO_AT)
        self._room = self._limit - used
        current = self.segment
        is_full = current.end().offset >= self._segment_bytes
        if is_full or current.texts.size >= (1 if excess > 0 else self._texts_bytes):
            self._follow(current)
        if excess > 0:
            self._room += self._drop_texts(excess)
        if not self._spare:
            spare = self._new_segment()
            spare.prepare()
            self._spare.append(spare)
        self.segment.prepare()

    def take_no_more(self, timeout: float) -> Position | None:
        """
        Let no append begin any more and wait for those under way.

        Returns:
            The place behind the last one, None if one took too long.
        """
        until = monotonic() + timeout
        with self._following:
            self._takes_no_more = True
        self.segment.close()
        while not self.segment.end().is_final:
            if monotonic() > until:
                self.share()  # it hangs in the disk, and uses the files for ever
                return None
            sleep(0.001)
        return self.end()

    def share(self) -> None:
        """
        Count in somebody who uses the spool's files until they `leave`.
        """
        with self._leaving:
            self._users += 1

    def leave(self) -> None:
        """
        Use the files no more; the last one closes them.

        A thread that hangs for long may write when it wakes up: until then the number of a
        descriptor must not become that of a file of the application.
        """
        with self._leaving:
            self._users -= 1
            is_last = self._users == 0
        if is_last:
            self.drops.detach()
            self._close_segments()
            os.close(self._lock)

    def release(self, *, remove: bool) -> None:
        """
        Let go of the spool.

        Args:
            remove: All that it says is committed and its files can go.
                Otherwise whoever opens the trail next takes it over.
        """
        if remove:
            with suppress(OSError):  # what stays is replayed, which adds nothing
                remove_files(self.folder, self.origin)
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        self.leave()

    def abandon(self) -> None:
        """
        In a forked child: close the parent's files and leave them alone.

        A lock belongs to the open file, which both processes share: a child
        that kept it open would make a dead parent look alive.
        """
        self._close_segments()
        os.close(self._lock)

    def _sealed(self, frame: Frame) -> bytes | None:
        sealed = self._sealer.seal(frame.texts or {}, frame.id)
        left = self._room - len(sealed)
        if left < self._reserve:
            self.drops.add_to(TEXT)
            return None
        self._room = left
        return sealed

    @staticmethod
    def _check_room(left: int, kind: FrameKind) -> None:
        if left < 0 or kind not in NEED_NO_RESERVE:
            raise SpoolFullError("the spool has reached its limit")

    def _follow(self, full: Segment) -> None:
        """
        Let appends go to a new segment instead of a full one, unless they do so already.

        Whoever comes first does it; the garbage collector may let a call of
        this very thread come first in the middle of it.
        """
        if self._takes_no_more:
            raise SpoolClosedError("the trail was closed")
        if self.segment is not full:
            return
        try:
            new = self._spare.popleft()
        except IndexError:
            new = self._new_segment()
        with self._following:
            if self.segment is not full or self._takes_no_more:
                self._spare.append(new)
                return
            self._place(new)
            if self.segment is full:  # else this one stays empty, and is passed over
                self.segment = new

    def _place(self, segment: Segment) -> Segment:
        segment.become(next(self._places))
        self._segments[segment.number] = segment
        return segment

    def _close_followed(self) -> None:
        for segment in list(self._segments.values()):
            if segment is not self.segment:
                segment.close()

    def _drop_texts(self, excess: int) -> int:
        """
        Remove texts, the oldest first, until so many bytes are free.

        Returns:
            How many were freed.
        """
        freed = 0
        for segment in list(self._segments.values())[:-1]:
            if freed >= excess:
                break
            freed += segment.texts.size
            segment.texts.path.unlink(missing_ok=True)
        return freed

    def _close_segments(self) -> None:
        for segment in (*self._segments.values(), *self._spare):
            segment.release()

    def _new_segment(self) -> Segment:
        draft = f"{next(self._drafts):06d}"
        if self._is_mapped:
            return MappedSegment(self.folder, self.origin, draft, self._segment_bytes)
        return WrittenSegment(self.folder, self.origin, draft)
