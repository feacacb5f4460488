"""
The counts of what a spool could not take.
"""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeltrail.record import FrameKind
from modeltrail.storage.spool.drops import DISK, EMPTY, Drops

SLOT = f"{DISK}:call"


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[int]:
    """
    Make a lock file.
    """
    descriptor = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
    os.pwrite(descriptor, EMPTY, 0)
    yield descriptor
    os.close(descriptor)


def test_a_count_that_is_late_does_not_undo_another(
    lock: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads count at once: whichever writes last, the file says two."""
    writing, counted = threading.Event(), threading.Event()
    pwrite = os.pwrite

    def slow_pwrite(descriptor: int, data: bytes, place: int) -> int:
        if not writing.is_set():
            writing.set()
            counted.wait(0.2)  # the other thread counts meanwhile, if it can
        return pwrite(descriptor, data, place)

    drops = Drops(lock, "origin")
    monkeypatch.setattr(os, "pwrite", slow_pwrite)
    first = threading.Thread(target=drops.add, args=(DISK, FrameKind.CALL))
    first.start()
    writing.wait()
    drops.add(DISK, FrameKind.CALL)
    counted.set()
    first.join()
    assert drops.counts() == {SLOT: 2}
    assert Drops(lock, "origin").counts() == {SLOT: 2}


def test_counts_are_not_written_to_a_file_of_another(lock: int) -> None:
    """Once the descriptor is given back nothing is written to its number."""
    drops = Drops(lock, "origin")
    drops.add(DISK, FrameKind.CALL)
    drops.detach()
    drops.add(DISK, FrameKind.CALL)
    assert drops.unreported() is not None
    drops.note_reported()
    assert drops.counts() == {SLOT: 2}
    assert Drops(lock, "origin").counts() == {SLOT: 1}


def test_report_that_may_be_in_the_trail_is_not_changed(lock: int) -> None:
    """What is dropped after a report that was committed, and not noted, has one of its own."""
    drops = Drops(lock, "origin")
    drops.add(DISK, FrameKind.CALL)
    report = drops.unreported()
    assert report is not None and report[1] == {SLOT: 1}
    for _ in range(2):
        drops.add(DISK, FrameKind.CALL)
    after = Drops(lock, "origin")
    assert after.unreported() == report
    after.note_reported()
    later = after.unreported()
    assert later is not None and later[1] == {SLOT: 2}
    assert later[0] != report[0]
    after.note_reported()
    assert Drops(lock, "origin").unreported() is None
