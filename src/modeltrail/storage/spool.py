"""
The spool: one append to a local file, and a call cannot be lost any more.

Each process has its own spool: a lock that it holds as long as it lives, and
segments that it appends frames to. A frame is in the kernel's page cache when
`append` returns, so it survives any end of the process. The writer reads the
segments from the start, commits what they say and removes them. The spool of
a process that has died is taken over by whoever opens the trail next.

`append` takes no lock: the garbage collector may call us inside ourselves.
"""

import fcntl
import os
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from modeltrail.errors import StoreUnavailableError
from modeltrail.record import Frame
from modeltrail.storage import frames
from modeltrail.storage.frames import Found, Sealer

SEGMENT_BYTES = 8 * 1024 * 1024
READ_BYTES = 1024 * 1024
VERSION = 2


class Position(NamedTuple):
    """
    A place in a spool; places compare in the order of writing.
    """

    segment: int
    offset: int


class Segment:
    """
    One file of a spool, open for appending.

    Attributes:
        closed: No append that begins after this was set writes anything.
    """

    def __init__(self, path: Path, number: int) -> None:
        self.number = number
        self.closed = False
        self.size = 0
        self._descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        # One token for each append under way; a deque's ends are atomic.
        self._inside: deque[None] = deque()

    def append(self, data: bytes) -> bool:
        """
        Append, unless the segment was closed before.

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
        self.size += written  # may miss a race: it only decides when to rotate
        if written < len(data):
            raise OSError(f"the disk took {written} of {len(data)} bytes")
        return True

    @property
    def is_final(self) -> bool:
        """
        Whether nothing will be appended any more.
        """
        return self.closed and not self._inside

    def end(self) -> Position:
        """
        Return the place after the last append.
        """
        return Position(self.number, os.fstat(self._descriptor).st_size)

    def release(self) -> None:
        """
        Give back the descriptor.
        """
        os.close(self._descriptor)


class Spool:
    """
    The spool of this process.

    Attributes:
        origin: Its name, unique among all processes and times.
        segment: Where frames are appended now.

    Raises:
        StoreUnavailableError: The folder cannot be written.
    """

    def __init__(self, folder: Path, origin: str, sealer: Sealer) -> None:
        self.folder = folder
        self.origin = origin
        self._sealer = sealer
        self._retired: dict[int, Segment] = {}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _make_lock(folder, origin)
            self.segment = self._new_segment(0)
        except OSError as error:
            raise StoreUnavailableError(
                f"the spool folder {folder} cannot be written ({error.strerror}); "
                "make it writable or point MODELTRAIL_SPOOL at another folder"
            ) from error

    def append(self, frame: Frame) -> None:
        """
        Append a frame; when this returns, it survives the process.

        Raises:
            OSError: The disk did not take it.
            TypeError, ValueError, RecursionError: It holds
                something that cannot be written.
        """
        data = frames.encode(frame, self._sealer)
        while not self.segment.append(data):
            pass  # the writer has closed this segment and opened the next

    def rotate(self) -> None:
        """
        Open a new segment if this one is full. Only the writer calls this.
        """
        full = self.segment
        if full.size >= SEGMENT_BYTES:
            self._retired[full.number] = full
            self.segment = self._new_segment(full.number + 1)
            full.closed = True

    def is_final(self, number: int) -> bool:
        """
        Tell whether nothing will be appended to a segment any more.
        """
        if number == self.segment.number:
            return False
        retired = self._retired.get(number)
        if retired is None:
            return True
        if retired.is_final:
            self._retired.pop(number).release()
            return True
        return False

    def release(self, *, remove: bool) -> None:
        """
        Let go of the spool.

        Args:
            remove: All that it says is committed and its files can go.
                Otherwise whoever opens the trail next takes it over.
        """
        self._close_segments()
        if remove:
            _remove(self.folder, self.origin)
        os.close(self._lock)

    def abandon(self) -> None:
        """
        In a forked child: close the parent's files and leave them alone.

        A lock belongs to the open file, which both processes share: a child
        that kept it open would make a dead parent look alive.
        """
        self._close_segments()
        os.close(self._lock)

    def _close_segments(self) -> None:
        for segment in (*self._retired.values(), self.segment):
            segment.release()

    def _new_segment(self, number: int) -> Segment:
        return Segment(_segment_path(self.folder, self.origin, number), number)


class Orphan:
    """
    The spool of a process that has died, held so that nobody else replays it.
    """

    def __init__(self, folder: Path, origin: str, lock: int) -> None:
        self.folder = folder
        self.origin = origin
        self._lock = lock

    def is_final(self, number: int) -> bool:  # noqa: ARG002 - as a living spool is asked
        """
        Nothing is appended to an orphan.
        """
        return True

    def release(self, *, remove: bool) -> None:
        """
        Let go of it, removing its files if all that they say is committed.
        """
        if remove:
            _remove(self.folder, self.origin)
        os.close(self._lock)


class Tail:
    """
    Reads a spool from its start, in the order of writing.

    Attributes:
        position: All before it was read.
        is_behind: Whether there was more than the last `read` returned.
    """

    def __init__(self, spool: Spool | Orphan) -> None:
        self._spool = spool
        numbers = segment_numbers(spool.folder, spool.origin)
        self.position = Position(numbers[0] if numbers else 0, 0)
        self.is_behind = bool(numbers)
        self._kept_from = self.position.segment

    def read(self) -> list[tuple[Position, Found]]:
        """
        Return the next frames, about a megabyte, and where each stood.

        Nothing is returned when there is nothing yet.
        """
        segment, offset = self.position
        # Asked before reading: what a final segment holds now, it holds for good.
        final = self._spool.is_final(segment)
        found, is_all = self._read_at(segment, offset)
        self.is_behind = final or not is_all
        if found:
            self.position = Position(segment, offset + found[-1].end)
        elif final and (following := self._after(segment)) is not None:
            self.position = Position(following, 0)
            return self.read()
        elif final:
            self.is_behind = False
        return [(Position(segment, offset + each.offset), each) for each in found]

    def release(self, keep_from: int) -> None:
        """
        Remove the segments before number `keep_from`.
        """
        for number in range(self._kept_from, keep_from):
            path = _segment_path(self._spool.folder, self._spool.origin, number)
            path.unlink(missing_ok=True)
        self._kept_from = max(self._kept_from, keep_from)

    def _read_at(self, segment: int, offset: int) -> tuple[list[Found], bool]:
        """
        Return the next frames of a segment, and whether they are all that it has now.
        """
        path = _segment_path(self._spool.folder, self._spool.origin, segment)
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return [], True
        try:
            return _read_frames(descriptor, offset)
        finally:
            os.close(descriptor)

    def _after(self, segment: int) -> int | None:
        numbers = segment_numbers(self._spool.folder, self._spool.origin)
        return min((number for number in numbers if number > segment), default=None)


def _read_frames(descriptor: int, offset: int) -> tuple[list[Found], bool]:
    left = os.fstat(descriptor).st_size - offset
    wanted = READ_BYTES
    while left > 0:
        data = os.pread(descriptor, min(wanted, left), offset)
        found = list(frames.scan(data))
        if found or len(data) >= left or not data:
            return found, len(data) >= left
        wanted *= 4  # one frame is longer than this
    return [], True


def orphans(folder: Path) -> Iterator[Orphan]:
    """
    Take over, one by one, the spools whose processes have died.
    """
    for path in sorted(folder.glob(f"*.v{VERSION}.lock")):
        try:
            lock = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)  # its process lives
        else:
            yield Orphan(folder, path.name.split(".")[0], lock)


def foreign(folder: Path) -> list[str]:
    """
    Return the names of spools that another version of modeltrail has left.
    """
    ours = f".v{VERSION}."
    return sorted(path.name for path in folder.glob("*.lock") if ours not in path.name)


def segment_numbers(folder: Path, origin: str) -> list[int]:
    """
    Return the numbers of the segments that a spool has now.
    """
    pattern = re.compile(re.escape(origin) + rf"\.(\d+)\.v{VERSION}\.spool")
    matches = (pattern.fullmatch(path.name) for path in folder.glob(f"{origin}.*"))
    return sorted(int(match[1]) for match in matches if match)


def _segment_path(folder: Path, origin: str, number: int) -> Path:
    return folder / f"{origin}.{number:06d}.v{VERSION}.spool"


def _lock_path(folder: Path, origin: str) -> Path:
    return folder / f"{origin}.v{VERSION}.lock"


def _make_lock(folder: Path, origin: str) -> int:
    """
    Make a lock that nobody can find before it is held.
    """
    draft = folder / f".{origin}.lock-draft"
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    draft.rename(_lock_path(folder, origin))
    return descriptor


def _remove(folder: Path, origin: str) -> None:
    for number in segment_numbers(folder, origin):
        _segment_path(folder, origin, number).unlink(missing_ok=True)
    _lock_path(folder, origin).unlink(missing_ok=True)
