"""
The spool.
"""

import errno
import os
import stat
import threading
from mmap import PAGESIZE, mmap
from pathlib import Path
from resource import RUSAGE_THREAD, getrusage
from typing import Any

import pytest
from msgspec.structs import replace

from modeltrail.errors import KeyMismatchError, StoreUnavailableError
from modeltrail.problems import Problems
from modeltrail.record import Frame, FrameKind
from modeltrail.storage.spool import Position, Spool, Tail, foreign, orphans
from modeltrail.storage.spool import segment as segments
from modeltrail.storage.spool import spool as spools
from modeltrail.storage.spool.drops import EMPTY
from modeltrail.storage.spool.folder import segment_numbers
from modeltrail.storage.spool.frames import Sealer, decode
from modeltrail.storage.spool.segment import POPULATE_WRITE, MappedSegment
from modeltrail.storage.spool.spool import RESERVED, SEGMENT_BYTES, SpoolFullError

SEALER = Sealer(bytes(32))


def frame(number: int, size: int = 10, kind: FrameKind = FrameKind.END) -> Frame:
    """
    Return a numbered frame of about a size.
    """
    return Frame(kind, str(number), number, {}, {"text": "x" * size})


def with_text(number: int, size: int) -> Frame:
    """
    Return a numbered frame with a text of a size.
    """
    return replace(frame(number), texts={"input": b"x" * size})


def read_all(tail: Tail) -> list[int]:
    """
    Return the numbers of all frames that can be read now.
    """
    found: list[int] = []
    while read := tail.read():
        found += [int(decode(each)[0].id) for _, each in read]
    return found


def texts(tail: Tail) -> dict[int, int | None]:
    """
    Return the length of the text of each frame that can be read now, None if it has gone.
    """
    found: dict[int, int | None] = {}
    while read := tail.read():
        for position, each in read:
            given, place = decode(each)
            opened = place and tail.texts(place, position.segment, given.id)
            found[int(given.id)] = len(opened["input"]) if opened else None
    return found


def tail_of(spool: Any) -> Tail:
    """
    Return a reader of a spool.
    """
    return Tail(spool, SEALER)


@pytest.fixture
def problems() -> Problems:
    """
    Count problems.
    """
    return Problems()


@pytest.fixture(params=["mapped", "written"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """
    Choose a kind of segment, whatever the file system.
    """
    monkeypatch.setattr(spools, "keeps_its_word", lambda _: request.param == "mapped")
    return str(request.param)


@pytest.fixture
def spool(tmp_path: Path, problems: Problems, kind: str) -> Spool:
    """
    Make a spool.
    """
    return Spool(tmp_path / "spool", "origin", SEALER, problems.note)


def test_what_is_appended_is_read_in_order(spool: Spool) -> None:
    """The tail gives every frame once, also those appended while it reads."""
    tail = tail_of(spool)
    for number in range(3):
        spool.append(frame(number))
    assert read_all(tail) == [0, 1, 2]
    spool.append(frame(3))
    assert read_all(tail) == [3]
    assert tail.position == spool.end()


def test_files_are_private(spool: Spool) -> None:
    """Only the owner may read the spool."""
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in spool.folder.iterdir()} == {0o600}


def test_segments_rotate_and_go(spool: Spool) -> None:
    """A full segment is followed by the next; committed ones are removed, the needed kept."""
    spool._segment_bytes = 30_000
    tail = tail_of(spool)
    for number in range(12):
        spool.append(frame(number, size=10_000))
        spool.make_room()
    assert len(segment_numbers(spool.folder, spool.origin)) >= 4
    assert read_all(tail) == list(range(12))
    tail.release(3)
    assert segment_numbers(spool.folder, spool.origin)[0] == 3


def test_appends_of_many_threads_survive_rotation(spool: Spool) -> None:
    """While segments rotate and go, no append of any thread is lost or doubled."""
    tail, found, done = tail_of(spool), [], threading.Event()

    def append(base: int) -> None:
        for number in range(500):
            spool.append(frame(base + number))

    def drain() -> None:
        while not done.is_set():
            spool._follow(spool.segment)
            found.extend(int(decode(each)[0].id) for _, each in tail.read())
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


def test_frame_longer_than_a_read_is_found(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One frame may be longer than the reader's buffer."""
    monkeypatch.setattr("modeltrail.storage.spool.tail.READ_BYTES", 100)
    for number, size in ((0, 10), (1, 3000), (2, 10)):
        spool.append(frame(number, size))
    assert read_all(tail_of(spool)) == [0, 1, 2]


def test_torn_frame_does_not_hide_later_ones(spool: Spool) -> None:
    """A frame cut by a full disk is passed over once another stands behind it."""
    spool.append(frame(0))
    spool.segment.append(spool.segment.path.read_bytes()[:20])
    tail = tail_of(spool)
    assert read_all(tail) == [0]
    spool.append(frame(1))
    assert read_all(tail) == [1]


def test_living_spool_is_no_orphan(spool: Spool) -> None:
    """A spool is taken over only when its process has let go."""
    spool.append(frame(1))
    assert list(orphans(spool.folder)) == []
    spool.release(remove=False)
    (orphan,) = orphans(spool.folder)
    assert read_all(tail_of(orphan)) == [1]
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
        Spool(blocked / "spool", "origin", SEALER, print)


@pytest.mark.parametrize("place", ["pwrite", "segment"])
def test_spool_that_cannot_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A full disk costs no descriptor and gets no litter, however often one tries."""

    def refuse(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "no space")

    if place == "pwrite":
        monkeypatch.setattr(os, "pwrite", refuse)
    else:
        monkeypatch.setattr(Spool, "_new_segment", refuse)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(StoreUnavailableError, match="no space"):
            Spool(tmp_path / "spool", "origin", SEALER, print)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert list((tmp_path / "spool").iterdir()) == []


def test_spool_that_cannot_be_opened_hides_no_other(
    spool: Spool, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another user has left is counted and passed over."""
    (spool.folder / "another.v3.lock").touch()
    spool.release(remove=False)
    open_file = os.open

    def refuse(path: Any, *more: Any) -> int:
        if Path(path).name.startswith("another"):
            raise PermissionError(errno.EACCES, "not yours")
        return open_file(path, *more)

    monkeypatch.setattr(os, "open", refuse)
    assert [orphan.origin for orphan in orphans(spool.folder, problems.note)] == ["origin"]
    assert problems.counts() == {"spool-not-openable": 1}


@pytest.mark.parametrize("kind", ["written"], indirect=True)
def test_disk_that_takes_half_a_frame_raises(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short write is an error for the caller of append, and no frame for the reader."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:20]))
    with pytest.raises(OSError, match="20 of"):
        spool.append(frame(0))
    monkeypatch.undo()
    spool.append(frame(1))
    assert read_all(tail_of(spool)) == [1]


@pytest.mark.parametrize("kind", ["written"], indirect=True)
def test_append_that_is_read_half_way_is_not_torn(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may be measured in the middle of an append that is over when that is asked."""
    half, measured = threading.Event(), threading.Event()
    write, size_of = os.write, segments._size

    def write_slowly(descriptor: int, data: bytes) -> int:
        written = write(descriptor, data[:20])
        half.set()
        measured.wait(10)
        return written + write(descriptor, data[20:])

    def measure(path: Path) -> int:
        half.wait(10)
        size = size_of(path)
        measured.set()
        writer.join(10)
        return size

    monkeypatch.setattr(os, "write", write_slowly)
    monkeypatch.setattr(segments, "_size", measure)
    writer = threading.Thread(target=spool.append, args=(frame(1),))
    writer.start()
    tail = tail_of(spool)
    assert [*read_all(tail), *read_all(tail)] == [1]
    assert tail.torn == 0


def test_segments_that_wait_cost_no_descriptors(spool: Spool) -> None:
    """However much waits for the database, few files are open."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(50):
        spool.append(frame(number))
        spool._follow(spool.segment)
        spool._close_followed()
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= 1
    assert read_all(tail_of(spool)) == list(range(50))


def test_positions_compare_in_the_order_of_writing() -> None:
    """A later segment is later, whatever the offset."""
    assert Position(0, 999) < Position(1, 0) < Position(1, 5)


def small(tmp_path: Path, problems: Problems, limit: int) -> Spool:
    """
    Return a spool that may hold little.
    """
    return Spool(tmp_path / "small", "origin", SEALER, problems.note, limit_bytes=limit)


def fill(spool: Spool, kind: FrameKind, first: int = 0) -> int:
    """
    Append frames until one is refused, and return how many were not.
    """
    for number in range(first, first + 100_000):
        try:
            spool.append(frame(number, 200, kind))
        except SpoolFullError:
            return number - first
    raise AssertionError("no limit")


def test_limit_is_kept_and_drops_are_counted(tmp_path: Path, problems: Problems) -> None:
    """Beyond the limit nothing is written; ends of calls in flight have a reserve."""
    spool = small(tmp_path, problems, 160_000)
    started = fill(spool, FrameKind.START)
    assert spool.drops.counts() == {}  # a start that is refused is not lost yet
    assert fill(spool, FrameKind.OUTCOME) == 0
    ended = fill(spool, FrameKind.END, started)
    assert ended == pytest.approx(started / (RESERVED - 1), abs=2)
    assert 150_000 < spool.used_bytes <= 160_000 + len(EMPTY)
    fill(spool, FrameKind.CALL)
    assert spool.drops.counts() == {
        "spool-full:outcome": 1,
        "spool-full:end": 1,
        "spool-full:call": 1,
    }
    assert read_all(tail_of(spool)) == list(range(started + ended))


def test_room_comes_back(tmp_path: Path, problems: Problems) -> None:
    """When the database has taken what there was, the spool takes frames again."""
    spool = small(tmp_path, problems, 160_000)
    tail = tail_of(spool)
    first = fill(spool, FrameKind.START)
    spool.make_room()
    first += fill(spool, FrameKind.START)
    assert fill(spool, FrameKind.START) == 0
    assert len(read_all(tail)) == first
    tail.release(tail.position.segment)
    spool.make_room()
    assert fill(spool, FrameKind.START) > first // 2


def test_oldest_texts_go_first(tmp_path: Path, problems: Problems) -> None:
    """When room runs out, old texts make room for new ones; the frames stay."""
    spool = small(tmp_path, problems, 4_000_000)
    for number in range(60):
        spool.append(with_text(number, 100_000))
        spool.make_room()
    assert spool.used_bytes < 4_000_000
    found = texts(tail_of(spool))
    assert sorted(found) == list(range(60))
    kept = [number for number, length in found.items() if length is not None]
    assert kept == list(range(60 - len(kept), 60))
    assert len(kept) >= 30
    assert spool.drops.counts() == {}  # who reads misses them, and counts


def test_text_without_room_is_dropped_and_counted(tmp_path: Path, problems: Problems) -> None:
    """A text that does not fit is left out; its frame is written."""
    spool = small(tmp_path, problems, 100_000)
    spool.append(with_text(1, 200_000))
    assert texts(tail_of(spool)) == {1: None}
    assert spool.drops.counts() == {"spool-full:text": 1}


def test_texts_are_sealed_and_cut_texts_are_missing(spool: Spool) -> None:
    """Texts open with their key only; what a power failure cut is missing, not wrong."""
    spool.append(with_text(1, 1000))
    spool.append(with_text(2, 1000))
    (path,) = spool.folder.glob("*.texts")
    assert b"xxx" not in path.read_bytes()
    assert texts(tail_of(spool)) == {1: 1000, 2: 1000}
    os.truncate(path, path.stat().st_size - 1)
    assert texts(tail_of(spool)) == {1: 1000, 2: None}
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(KeyMismatchError):
        texts(tail_of(spool))


def test_texts_of_many_threads_are_their_own(spool: Spool) -> None:
    """Each frame finds its own texts, whoever appended at the same time."""

    def append(base: int) -> None:
        for number in range(100):
            spool.append(with_text(base + number, base + number))

    threads = [threading.Thread(target=append, args=(base,)) for base in (1000, 2000, 3000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = texts(tail_of(spool))
    assert found == {number: number for number in found}
    assert len(found) == 300


def test_drops_survive_the_process(spool: Spool) -> None:
    """Counts of what was dropped are found by whoever takes over the spool."""
    for _ in range(3):
        spool.drops.add("disk-failed", FrameKind.CALL)
    first = spool.drops.unreported()
    assert first is not None
    spool.drops.note_reported()
    spool.drops.add("disk-failed", FrameKind.AMEND)
    spool.release(remove=False)
    (orphan,) = orphans(spool.folder)
    assert orphan.drops.counts() == {"disk-failed:call": 3, "disk-failed:amendment": 1}
    second = orphan.drops.unreported()
    assert second is not None
    assert (first[1], second[1]) == ({"disk-failed:call": 3}, {"disk-failed:amendment": 1})
    assert first[0] != second[0]
    assert orphan.drops.unreported() == second
    orphan.drops.note_reported()
    assert orphan.drops.unreported() is None


def test_synced_spool_is_on_the_disk(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sync covers all appends before it, in closed segments and texts as well."""
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    spool.append(frame(0))
    spool._follow(spool.segment)
    spool.append(with_text(1, 10))
    spool.sync()
    name = "origin.00000{}.v3.{}".format
    assert synced == ["spool", name(0, "spool"), "spool", name(1, "texts"), name(1, "spool")]
    spool.sync()
    assert len(synced) == 5  # nothing new


def test_many_that_wait_for_the_disk_share_a_sync(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers that come while one syncs are served by the next sync together."""
    syncs, first, go = [], threading.Event(), threading.Event()
    fsync = os.fsync

    def slow(descriptor: int) -> None:
        syncs.append(descriptor)
        first.set()
        assert go.wait(10)
        fsync(descriptor)

    spool.append(frame(0))
    spool.sync()
    monkeypatch.setattr(os, "fsync", slow)

    def call(number: int) -> None:
        spool.append(frame(number))
        spool.sync()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(20)]
    threads[0].start()
    assert first.wait(10)
    for thread in threads[1:]:
        thread.start()
    while spool.appended < 21:
        pass
    go.set()
    for thread in threads:
        thread.join()
    assert len(syncs) == 2


def test_frames_that_do_not_fit_go_to_the_next_segment(spool: Spool, kind: str) -> None:
    """Without any turn of the keeper appends go on, a few hundred thousand bytes a file."""
    numbers = list(range(3 * SEGMENT_BYTES // 20_000))
    for number in numbers:
        spool.append(frame(number, size=20_000))
    assert read_all(tail_of(spool)) == numbers
    files = [path.stat().st_size for path in sorted(spool.folder.glob("*.spool"))]
    if kind == "mapped":
        assert len(files) == 4
        assert all(SEGMENT_BYTES - 30_000 < size <= SEGMENT_BYTES for size in files)


def test_room_that_was_not_used_is_given_back(tmp_path: Path, monkeypatch: Any) -> None:
    """A mapped segment that is followed early takes no more than it holds."""
    segment = MappedSegment(tmp_path, "origin", "0", SEGMENT_BYTES)
    segment.become(0)
    assert segment.path.stat().st_size == SEGMENT_BYTES == segment.unused_bytes
    segment.append(b"12345")
    assert segment.end() == (5, True, False)
    segment.close()
    segment.close()
    assert segment.end() == (5, True, True)
    assert segment.path.read_bytes() == b"12345"
    assert segment.unused_bytes == 0
    assert segment.append(b"6") is False


def can_prepare() -> bool:
    """Tell whether this system makes memory ready when it is asked."""
    try:
        mmap(-1, PAGESIZE).madvise(POPULATE_WRITE)
    except OSError:
        return False
    return True


@pytest.mark.skipif(not can_prepare(), reason="before Linux 5.14")
def test_no_append_waits_for_memory_that_was_made_ready(tmp_path: Path) -> None:
    """What the keeper has made ready costs no page fault; as much as was used lies ahead."""

    def faults(segment: MappedSegment) -> int:
        before = getrusage(RUSAGE_THREAD).ru_minflt
        for _ in range(100):
            segment.append(data)
        return getrusage(RUSAGE_THREAD).ru_minflt - before

    data = b"x" * 1000
    segment = MappedSegment(tmp_path, "origin", "0", 1024 * 1024)
    unprepared = faults(segment)
    segment.prepare()
    assert faults(segment) < unprepared / 4
    assert unprepared > 20
    while segment.append(data):
        segment.prepare()  # to the end of the file, and no further
    segment.close()
    segment.prepare()
    assert segment.path.read_bytes().rstrip(b"x") == b""


@pytest.mark.parametrize("kind", ["mapped"], indirect=True)
def test_room_is_taken_before_it_is_used(
    tmp_path: Path, kind: str, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk without room refuses a segment: a mapped page without room would be the end."""
    spool = small(tmp_path, problems, 10_000_000)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    appended = 0
    with pytest.raises(OSError, match="No space"):
        for number in range(1000):
            spool.append(frame(number, 20_000))
            appended += 1
    assert len(list(spool.folder.glob("*.draft"))) == 0
    assert appended > 10
    with pytest.raises(OSError, match="No space"):
        spool.append(frame(2000, 20_000))
    monkeypatch.undo()
    spool.append(frame(3000, 20_000))
    assert read_all(tail_of(spool)) == [*range(appended), 3000]
    assert spool.drops.counts() == {"disk-failed:end": 2}


def test_call_that_the_garbage_collector_ends_does_not_disturb(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of following, an append of the same thread may follow, too: all is read."""
    place = spool._place
    spool.append(frame(0))

    def interrupted(segment: Any) -> Any:
        monkeypatch.setattr(spool, "_place", place)
        placed = place(segment)
        spool._follow(spool.segment)
        spool.append(frame(1))
        return placed

    monkeypatch.setattr(spool, "_place", interrupted)
    tail = tail_of(spool)
    spool._follow(spool.segment)
    spool.append(frame(2))
    assert read_all(tail) == [0, 1, 2]
    assert tail.torn == 0


def test_abandoned_spool_is_left_as_it_is(spool: Spool) -> None:
    """What a forked child lets go of is still its parent's: not a byte of it changes."""
    spool.append(with_text(1, 10))
    spool.make_room()
    before = {path.name: path.read_bytes() for path in spool.folder.iterdir()}
    spool.abandon()
    assert {path.name: path.read_bytes() for path in spool.folder.iterdir()} == before
