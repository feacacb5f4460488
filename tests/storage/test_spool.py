"""
The spool.
"""

import os
import stat
import threading
from pathlib import Path

import pytest

from modeltrail.errors import StoreUnavailableError
from modeltrail.record import Frame, FrameKind
from modeltrail.storage import spool as spools
from modeltrail.storage.frames import Sealer, decode
from modeltrail.storage.spool import Position, Spool, Tail, foreign, orphans, segment_numbers

SEALER = Sealer(bytes(32))


def frame(number: int, size: int = 10) -> Frame:
    """
    Return a numbered frame of about a size.
    """
    return Frame(FrameKind.END, str(number), number, {}, {}, {"text": b"x" * size})


def read_all(tail: Tail) -> list[int]:
    """
    Return the numbers of all frames that can be read now.
    """
    found: list[int] = []
    while read := tail.read():
        found += [int(decode(each, SEALER).id) for _, each in read]
    return found


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """
    Make a spool.
    """
    return Spool(tmp_path / "spool", "origin", SEALER)


def test_what_is_appended_is_read_in_order(spool: Spool) -> None:
    """The tail gives every frame once, also those appended while it reads."""
    tail = Tail(spool)
    for number in range(3):
        spool.append(frame(number))
    assert read_all(tail) == [0, 1, 2]
    spool.append(frame(3))
    assert read_all(tail) == [3]
    assert tail.position == spool.segment.end()


def test_files_are_private(spool: Spool) -> None:
    """Only the owner may read the spool."""
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in spool.folder.iterdir()} == {0o600}


def test_segments_rotate_and_go(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full segment is followed by the next; committed ones are removed, the needed kept."""
    monkeypatch.setattr(spools, "SEGMENT_BYTES", 400)
    tail = Tail(spool)
    for number in range(12):
        spool.append(frame(number, size=100))
        spool.rotate()
    assert segment_numbers(spool.folder, spool.origin) == [0, 1, 2, 3, 4]
    assert read_all(tail) == list(range(12))
    tail.release(3)
    assert segment_numbers(spool.folder, spool.origin) == [3, 4]


def test_appends_of_many_threads_survive_rotation(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While segments rotate and go, no append of any thread is lost or doubled."""
    monkeypatch.setattr(spools, "SEGMENT_BYTES", 2_000)
    tail, found, done = Tail(spool), [], threading.Event()

    def append(base: int) -> None:
        for number in range(500):
            spool.append(frame(base + number))

    def drain() -> None:
        while not done.is_set():
            spool.rotate()
            found.extend(int(decode(each, SEALER).id) for _, each in tail.read())
            tail.release(tail.position.segment)

    reader = threading.Thread(target=drain)
    writers = [threading.Thread(target=append, args=(base * 1000,)) for base in range(4)]
    reader.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    reader.join()
    found.extend(read_all(tail))
    assert sorted(found) == sorted(base * 1000 + n for base in range(4) for n in range(500))


def test_frame_longer_than_a_read_is_found(spool: Spool) -> None:
    """One frame may be longer than the reader's buffer."""
    for number, size in ((0, 10), (1, 5 * spools.READ_BYTES), (2, 10)):
        spool.append(frame(number, size))
    assert read_all(Tail(spool)) == [0, 1, 2]


def test_torn_frame_does_not_hide_later_ones(spool: Spool) -> None:
    """A frame cut by a full disk is passed over once another stands behind it."""
    spool.append(frame(0))
    path = next(spool.folder.glob("*.spool"))
    with path.open("ab") as file:
        file.write(path.read_bytes()[:20])
    tail = Tail(spool)
    assert read_all(tail) == [0]
    spool.append(frame(1))
    assert read_all(tail) == [1]


def test_living_spool_is_no_orphan(spool: Spool) -> None:
    """A spool is taken over only when its process has let go."""
    spool.append(frame(1))
    assert list(orphans(spool.folder)) == []
    spool.release(remove=False)
    (orphan,) = orphans(spool.folder)
    assert read_all(Tail(orphan)) == [1]
    assert list(orphans(spool.folder)) == []  # it is held by the one who took it
    orphan.release(remove=True)
    assert list(spool.folder.iterdir()) == []


def test_committed_spool_leaves_nothing(spool: Spool) -> None:
    """After a clean end no file is left."""
    spool.append(frame(1))
    spool.release(remove=True)
    assert list(spool.folder.iterdir()) == []


def test_spool_of_another_version_is_left_alone(spool: Spool) -> None:
    """What a newer version left is reported and not touched."""
    (spool.folder / "other.v9.lock").touch()
    (spool.folder / "other.000000.v9.spool").write_bytes(b"future")
    assert list(orphans(spool.folder)) == []
    assert foreign(spool.folder) == ["other.v9.lock"]


def test_unwritable_folder_fails_with_the_remedy(tmp_path: Path) -> None:
    """A spool that cannot be made says so, and how to help."""
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(StoreUnavailableError, match="MODELTRAIL_SPOOL"):
        Spool(blocked / "spool", "origin", SEALER)


def test_disk_that_takes_half_a_frame_raises(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short write is an error for the caller of append, and no frame for the reader."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:20]))
    with pytest.raises(OSError, match="20 of"):
        spool.append(frame(0))
    monkeypatch.undo()
    spool.append(frame(1))
    assert read_all(Tail(spool)) == [1]


def test_positions_compare_in_the_order_of_writing() -> None:
    """A later segment is later, whatever the offset."""
    assert Position(0, 999) < Position(1, 0) < Position(1, 5)
