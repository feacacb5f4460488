"""
A segment: one file of a spool that frames are appended to, and beside it one of their texts.

There are two kinds. A mapped segment is a file of fixed size in memory: an
append is one copy, done while this thread has the interpreter to itself, so
that it is whole or not there, needs no lock, calls no system and waits for
nothing. A written segment asks the system for each append, and gives the
interpreter to other threads meanwhile, which may keep it for milliseconds; it
is for file systems on which a mapped page may turn out to have no room.
"""

import contextlib
import mmap
import os
import threading
from abc import ABC, abstractmethod
from collections import deque
from pathlib import Path

from modeltrail.storage.spool.disk import GroupSync
from modeltrail.storage.spool.folder import End, draft_path, segment_path, texts_path
from modeltrail.storage.spool.texts import Texts

# Of Linux 5.14 and later; Python 3.11 has no name for it.
POPULATE_WRITE = 23
# So much is made ready in one step, while the interpreter is held.
STEP_BYTES = max(16 * 1024, mmap.PAGESIZE)
LEAST_AHEAD_BYTES = 2 * mmap.PAGESIZE
# What a thousand calls a second write within a turn of the keeper's.
MOST_AHEAD_BYTES = 256 * 1024


class Segment(ABC):
    """
    A segment, open for appending.

    Attributes:
        number: Its place among the segments of the spool, -1 before it has one.
        texts: Where the texts of its frames go.

    Args:
        draft: Names it before it has a number.
    """

    def __init__(self, folder: Path, origin: str, draft: str) -> None:
        self.number = -1
        self.path = draft_path(folder, origin, draft)
        self.texts = Texts(self.path.with_suffix(".texts"))
        self._folder, self._origin = folder, origin
        self._sync = GroupSync()

    @abstractmethod
    def append(self, data: bytes) -> bool:
        """
        Append a frame; False if the segment is full or closed.

        Raises:
            OSError: The disk did not take all of it.
        """

    @abstractmethod
    def end(self) -> End:
        """
        Return how far it goes now.
        """

    @property
    @abstractmethod
    def unused_bytes(self) -> int:
        """
        How much of its file holds nothing yet.
        """

    def prepare(self) -> None:  # noqa: B027 - most have nothing to do
        """
        Make ready what the next appends will fill, so that none of them waits for it.
        """

    @abstractmethod
    def close(self) -> None:
        """
        Let no append begin any more.
        """

    @abstractmethod
    def release(self) -> None:
        """
        Give back what it has of the system; in a forked child, too, where the file is the parent's.
        """

    def become(self, number: int) -> None:
        """
        Take a place among the segments of the spool.

        Raises:
            OSError: It cannot be named so.
        """
        path = segment_path(self._folder, self._origin, number)
        self.path.rename(path)
        self.number, self.path = number, path
        self.texts = Texts(texts_path(self._folder, self._origin, number))

    def sync(self) -> None:
        """
        Wait until the disk has all appends that have returned.

        Raises:
            OSError: The disk did not take it.
        """
        self._sync(lambda: self.end().offset, self.texts.path, self.path)


class MappedSegment(Segment):
    """
    A segment in memory that the system keeps for the file.

    All of its room is taken from the disk before it is used: what is copied
    into a mapped page that has no room on the disk ends the process.

    Raises:
        OSError: There is no room for it.
    """

    def __init__(self, folder: Path, origin: str, draft: str, size: int) -> None:
        super().__init__(folder, origin, draft)
        self._size = size
        self._end = size
        self._closing = threading.RLock()
        # How far it was filled at the last `prepare`, and how far it was made ready.
        self._filled = self._ready = 0
        descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
            self._map = mmap.mmap(descriptor, size)
        except OSError:
            self.path.unlink()
            raise
        finally:
            os.close(descriptor)

    def append(self, data: bytes) -> bool:
        """
        Append a frame; False if the segment is full or closed.
        """
        try:
            self._map.write(data)
        except ValueError:
            return False
        return True

    def end(self) -> End:
        """
        Return how far it goes now.
        """
        try:
            return End(self._map.tell(), is_whole=True, is_final=False)
        except ValueError:  # closed
            return End(self._end, is_whole=True, is_final=True)

    @property
    def unused_bytes(self) -> int:
        """
        How much of its file holds nothing yet.
        """
        end = self.end()
        return 0 if end.is_final else self._size - end.offset

    def prepare(self) -> None:
        """
        Let the system find the memory that the next appends will fill.

        It does so page by page, and each time whoever appends waits for the file system:
        tenths of a millisecond, where the append itself takes a thousandth. As much is made
        ready as was filled of late, since what is not used soon is written to the disk in vain.
        """
        with contextlib.suppress(ValueError, OSError):  # closed, or a system that cannot
            filled = self._map.tell()
            ahead = max(LEAST_AHEAD_BYTES, min(2 * (filled - self._filled), MOST_AHEAD_BYTES))
            self._filled = filled
            self._ready = max(self._ready, filled - filled % mmap.PAGESIZE)
            while self._ready < min(filled + ahead, self._size):
                self._map.madvise(POPULATE_WRITE, self._ready, STEP_BYTES)
                self._ready += STEP_BYTES

    def close(self) -> None:
        """
        Let no append begin any more, and give back the room that was not used.
        """
        # Of two threads that close it the second would find nothing used.
        with self._closing, contextlib.suppress(ValueError):  # closed before
            while not self._fill():
                pass  # somebody has appended
            self._map.close()
            with contextlib.suppress(OSError):
                os.truncate(self.path, self._end)

    def _fill(self) -> bool:
        """
        Take the rest of the room in one step, so that what was appended ends where it ends.
        """
        self._end = self._map.tell()
        return self.append(bytes(self._size - self._end))

    def release(self) -> None:
        """
        Let go of the memory; the file, which may be another process's, is left as it is.
        """
        self._map.close()


class WrittenSegment(Segment):
    """
    A segment that the system is asked to write.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, folder: Path, origin: str, draft: str) -> None:
        super().__init__(folder, origin, draft)
        self._closed = False
        self._descriptor = os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        # Whoever takes it closes it; to take is atomic.
        self._to_close = [self._descriptor]
        # One token for each append under way; a deque's ends are atomic.
        self._inside: deque[None] = deque()

    def append(self, data: bytes) -> bool:
        """
        Append a frame; False if the segment was closed before.
        """
        self._inside.append(None)
        try:
            if self._closed:
                return False
            written = os.write(self._descriptor, data)
        finally:
            self._inside.pop()
        if written < len(data):
            raise OSError(f"the disk took {written} of {len(data)} bytes")
        return True

    def end(self) -> End:
        """
        Return how far it goes now.
        """
        # In this order: what is final is asked before its size, what is whole after it.
        is_final = self._closed and not self._inside
        size = _size(self.path)
        # An append that was measured half-way may be over by now; then there is more.
        is_whole = not self._inside and _size(self.path) == size
        return End(size, is_whole=is_whole, is_final=is_final)

    @property
    def unused_bytes(self) -> int:
        """
        Its file grows as it is used.
        """
        return 0

    def close(self) -> None:
        """
        Let no append begin any more, and give back the descriptor if none is under way.
        """
        self._closed = True
        if not self._inside:
            self.release()

    def release(self) -> None:
        """
        Give back the descriptor.
        """
        self._closed = True
        with contextlib.suppress(IndexError):
            os.close(self._to_close.pop())


def _size(path: Path) -> int:
    return path.stat().st_size
