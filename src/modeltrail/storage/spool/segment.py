"""
A segment: one file of a spool that frames are appended to, and beside it one of their texts.
"""

import os
import threading
from collections import deque
from pathlib import Path

from modeltrail.storage.spool.folder import End, segment_path, texts_path
from modeltrail.storage.spool.frames import Place


class Segment:
    """
    A segment, open for appending. No method but `sync` takes a lock.

    Attributes:
        closed: No append that begins after this was set writes anything.
        size: Its bytes so far, those of its texts included; about, while
            several threads append.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, folder: Path, origin: str, number: int) -> None:
        self.number = number
        self.closed = False
        self.size = 0
        self._path = segment_path(folder, origin, number)
        self._texts_path = texts_path(folder, origin, number)
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        # One token for each append under way; a deque's ends are atomic.
        self._inside: deque[None] = deque()
        # Re-entrant, since the garbage collector may let a call end while this thread syncs.
        self._syncing = threading.RLock()
        self._synced_to = -1

    def append(self, data: bytes) -> bool:
        """
        Append a frame, unless the segment was closed before.

        Raises:
            OSError: The disk did not take all of it.
        """
        self._inside.append(None)
        try:
            if self.closed:
                return False
            written = os.write(self._descriptor, data)
        finally:
            self._inside.pop()
        self.size += written
        if written < len(data):
            raise OSError(f"the disk took {written} of {len(data)} bytes")
        return True

    def put(self, sealed: bytes) -> Place:
        """
        Append the sealed texts of a frame that will be appended to this segment.

        Raises:
            OSError: The disk did not take all of them.
        """
        # A descriptor of its own: its position after the write is the end of what
        # this write appended, whoever else is appending.
        descriptor = os.open(self._texts_path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        try:
            written = os.write(descriptor, sealed)
            end = os.lseek(descriptor, 0, os.SEEK_CUR)
        finally:
            os.close(descriptor)
        self.size += written
        if written < len(sealed):
            raise OSError(f"the disk took {written} of {len(sealed)} bytes")
        return Place(end - written, written)

    def end(self) -> End:
        """
        Return how far it goes now.
        """
        # In this order: what is final is asked before its size, what is whole after it.
        is_final = self.closed and not self._inside
        size = os.fstat(self._descriptor).st_size
        return End(size, is_whole=not self._inside, is_final=is_final)

    @property
    def has_texts(self) -> bool:
        """
        Whether a frame of it has texts.
        """
        return self._texts_path.exists()

    def sync(self) -> None:
        """
        Wait until the disk has all appends that have returned.

        One thread syncs for all that wait, so that many calls share one.

        Raises:
            OSError: The disk did not take it.
        """
        wanted = _size(self._path)
        with self._syncing:
            if self._synced_to >= wanted:
                return
            end = _size(self._path)
            if self._synced_to < 0:
                _sync_path(self._path.parent)  # that the file is there
            _sync_path(self._texts_path)
            _sync_path(self._path)
            self._synced_to = end

    def release(self) -> None:
        """
        Give back the descriptor.
        """
        os.close(self._descriptor)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # removed, since all of it is committed
        return -1


def _sync_path(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # no texts, or they have gone to make room
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
