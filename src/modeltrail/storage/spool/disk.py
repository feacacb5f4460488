"""
What is asked of the disk itself.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
# Where room that was taken beforehand is there when it is used. Not so where a change is
# written to another place than what it changes (btrfs, zfs), or on a server (nfs).
KEEPING_THEIR_WORD = frozenset({"ext4", "xfs", "tmpfs"})
# With these ext4 asks its journal at the first change of a page; one that has failed, so that
# the disk is read-only, answers with SIGBUS.
ASKING_THE_JOURNAL = frozenset({"nodelalloc", "data=journal"})


def keeps_its_word(folder: Path) -> bool:
    """
    Tell whether the file system of a folder has the room that it has promised.
    """
    try:
        mounts = MOUNTS.read_text("utf-8").splitlines()
    except OSError:  # a system without such a list
        return False
    place = folder.resolve()
    around = {place, *place.parents}
    # A later mount hides an earlier one on the same place.
    found = {path: keeps for path, keeps in map(_mount, mounts) if path in around}
    return bool(found) and found[max(found, key=lambda path: len(path.parts))]


def _mount(line: str) -> tuple[Path, bool]:
    # man 5 proc: the fifth field is the place, a dash ends the optional ones, then the kind,
    # the source, and the options of the file system.
    fields = line.split(" ")
    place = fields[4].encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "replace")
    kind, _, options = fields[fields.index("-", 6) + 1 :][:3]
    keeps = kind in KEEPING_THEIR_WORD and ASKING_THE_JOURNAL.isdisjoint(options.split(","))
    return Path(place), keeps


class GroupSync:
    """
    Brings files to the disk; one thread does it for all that wait.
    """

    def __init__(self) -> None:
        # Re-entrant, since the garbage collector may let a call end while this thread syncs.
        self._lock = threading.RLock()
        self._synced_to = -1

    def __call__(self, extent: Callable[[], int], *paths: Path) -> None:
        """
        Wait until the disk has what the files held when this was called.

        Args:
            extent: Tells how far they go; what grows does not shrink.

        Raises:
            OSError: The disk did not take it.
        """
        wanted = extent()
        with self._lock:
            if self._synced_to >= wanted:
                return
            end = extent()
            if self._synced_to < 0:
                _sync(paths[0].parent)  # that the files are there
            for path in paths:
                _sync(path)
            self._synced_to = end


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # no texts, or committed and removed
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
