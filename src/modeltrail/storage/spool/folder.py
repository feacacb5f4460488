"""
The folder of spools: names of files, locks, and what the dead have left.

A process's spool is a lock, held as long as the process lives, and segments;
each segment is a file of frames and, if any frame has texts, a file of these.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from modeltrail.storage.spool.drops import Drops

VERSION = 3
DRAFT = ".draft"

Note = Callable[[str, Exception], None]


def ignore(kind: str, error: Exception) -> None:
    """
    Count nothing.
    """


class End(NamedTuple):
    """
    How far a segment goes.

    Attributes:
        offset: Behind the last byte.
        is_whole: No append of anything before it is still under way.
        is_final: Nothing will be appended behind it.
    """

    offset: int
    is_whole: bool
    is_final: bool


class Orphan:
    """
    The spool of a process that has died, held so that nobody else replays it.
    """

    def __init__(self, folder: Path, origin: str, lock: int) -> None:
        self.folder = folder
        self.origin = origin
        self.drops = Drops(lock, origin)
        self._lock = lock

    def end_of(self, number: int) -> End:
        """
        Return how far a segment goes; nothing is appended to an orphan.
        """
        return end_of_file(self.folder, self.origin, number)

    def remove(self, number: int) -> None:
        """
        Remove a segment.
        """
        remove_segment(self.folder, self.origin, number)

    def release(self, *, remove: bool) -> None:
        """
        Let go of it, removing its files if all that they say is committed.
        """
        try:
            if remove:
                remove_files(self.folder, self.origin)
        finally:
            os.close(self._lock)


def orphans(folder: Path, note: Note = ignore) -> Iterator[Orphan]:
    """
    Take over, one by one, the spools whose processes have died.

    Args:
        note: Counts a spool that cannot be opened: another user's, or on a
            disk that cannot be written now.
    """
    for path in sorted(folder.glob(f"*.v{VERSION}.lock")):
        try:
            lock = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        except OSError as error:
            note("spool-not-openable", error)
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)  # its process lives
            continue
        if os.fstat(lock).st_nlink:
            yield Orphan(folder, path.name.split(".")[0], lock)
        else:
            os.close(lock)  # somebody has just replayed and removed it


def foreign(folder: Path) -> list[str]:
    """
    Return the names of spools that another version of modeltrail has left.
    """
    ours = f".v{VERSION}."
    return sorted(path.name for path in folder.glob("*.lock") if ours not in path.name)


def draft_path(folder: Path, origin: str, draft: str) -> Path:
    """
    Return where a segment is before it has a number.
    """
    return folder / f"{origin}.{draft}{DRAFT}"


def segment_path(folder: Path, origin: str, number: int) -> Path:
    """
    Return where a segment's frames are.
    """
    return folder / f"{origin}.{number:06d}.v{VERSION}.spool"


def texts_path(folder: Path, origin: str, number: int) -> Path:
    """
    Return where the sealed texts of a segment's frames are.
    """
    return folder / f"{origin}.{number:06d}.v{VERSION}.texts"


def end_of_file(folder: Path, origin: str, number: int) -> End:
    """
    Return how far a segment goes that nobody appends to.
    """
    try:
        size = segment_path(folder, origin, number).stat().st_size
    except FileNotFoundError:
        size = 0
    return End(size, is_whole=True, is_final=True)


def used_bytes(folder: Path, origin: str) -> int:
    """
    Return the size of all files of a spool, but for segments that have no place in it yet.
    """
    used = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(origin) and not entry.name.endswith(DRAFT):
                with contextlib.suppress(FileNotFoundError):
                    used += entry.stat().st_size
    return used


def segment_numbers(folder: Path, origin: str) -> list[int]:
    """
    Return the numbers of the segments that a spool has now.
    """
    pattern = re.compile(re.escape(origin) + rf"\.(\d+)\.v{VERSION}\.spool")
    matches = (pattern.fullmatch(path.name) for path in folder.glob(f"{origin}.*"))
    return sorted(int(match[1]) for match in matches if match)


def remove_segment(folder: Path, origin: str, number: int) -> None:
    """
    Remove a segment, its texts first: frames without texts are whole, the reverse is litter.
    """
    texts_path(folder, origin, number).unlink(missing_ok=True)
    segment_path(folder, origin, number).unlink(missing_ok=True)


def make_lock(folder: Path, origin: str, content: bytes) -> int:
    """
    Make a lock that nobody can find before it is held.

    Returns:
        Its descriptor.

    Raises:
        OSError: The folder cannot be written.
    """
    draft = folder / f".{origin}.lock-draft"
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.pwrite(descriptor, content, 0)
        draft.rename(_lock_path(folder, origin))
    except OSError:
        os.close(descriptor)
        draft.unlink(missing_ok=True)
        raise
    return descriptor


def remove_files(folder: Path, origin: str) -> None:
    """
    Remove all files of a spool, the lock last.
    """
    for number in segment_numbers(folder, origin):
        remove_segment(folder, origin, number)
    for draft in folder.glob(f"{origin}.*{DRAFT}"):
        draft.unlink(missing_ok=True)
    _lock_path(folder, origin).unlink(missing_ok=True)


def _lock_path(folder: Path, origin: str) -> Path:
    return folder / f"{origin}.v{VERSION}.lock"
