"""
A power failure: of what was written last, any part may be missing.
"""

import os
import random
import shutil
import signal
import sqlite3
import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from mishaps import TESTS, child, run, tally, tally_after_the_next_open
from recording import make_call, request, response

import modeltrail
from modeltrail.record import FrameKind
from modeltrail.storage.spool import Tail, orphans
from modeltrail.storage.spool.frames import Sealer, decode, scan
from modeltrail.tell import CALLER_LIMIT_BYTES
from modeltrail.trail import Trail

pytestmark = pytest.mark.fault

SEALER = Sealer(bytes(32))  # no frame here has texts
PAGE = 4096
WAL_HEADER = 32
FRAME_HEADER = struct.Struct(">II16x")
BATCHES = 60

# --- the database -------------------------------------------------------------------------

WRITING = """
import sys
import modeltrail
from modeltrail.storage import Store
from recording import make_call

trail = modeltrail.open(sys.argv[1])
append = Store.append
def tell_and_append(store, batch):
    with open(sys.argv[2], "a") as sizes:
        print(len(batch.call), file=sizes)
    return append(store, batch)
Store.append = tell_and_append
made = 0
for batch in range(int(sys.argv[3])):
    for _ in range(1 + batch % 7):
        make_call(trail.recorder, str(made))
        made += 1
    assert trail.flush(60)
    print(made, flush=True)
input()
"""


class Snapshot(NamedTuple):
    """
    The files of a database at one moment.

    Attributes:
        acknowledged: How many calls a flush had promised.
        sums: How many calls there may be: those of whole batches.
    """

    base: bytes
    wal: bytes
    acknowledged: int
    sums: frozenset[int]


@pytest.fixture
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> list[Snapshot]:
    """
    Stop a process that writes at three moments and take what its files hold.
    """
    folder = tmp_path_factory.mktemp("power")
    path, sizes = folder / "calls.db", folder / "sizes"
    modeltrail.open(f"sqlite:///{path}").close()
    base, taken = path.read_bytes(), []
    moments = sorted(random.Random(7).sample(range(10, BATCHES), 2))
    with child(WRITING, f"sqlite:///{path}", str(sizes), str(BATCHES)) as process:
        assert process.stdout is not None
        for batch in range(BATCHES):
            acknowledged = int(process.stdout.readline())
            if batch in moments or batch == BATCHES - 1:
                process.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
                assert path.read_bytes() == base, "a checkpoint: what may be missing is less"
                wal = Path(f"{path}-wal").read_bytes()
                counts = map(int, sizes.read_text().split())
                sums = frozenset(accumulate(counts, initial=0))
                taken.append(Snapshot(base, wal, acknowledged, sums))
                process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()
    return taken


def wal_frames(wal: bytes) -> Iterator[int]:
    """
    Return where the frames of a journal begin, and where the last one ends.
    """
    yield from range(WAL_HEADER, len(wal) + 1, FRAME_HEADER.size + PAGE)


def calls_after(snapshot: Snapshot, wal: bytes, folder: Path) -> int:
    """
    Open a database with such a journal; return how many calls there are: the first ones, whole.
    """
    path = folder / "calls.db"
    path.write_bytes(snapshot.base)
    Path(f"{path}-wal").write_bytes(wal)
    Path(f"{path}-shm").unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        numbers = [n for (n,) in connection.execute("SELECT writer_seq FROM call ORDER BY seq")]
        writers = connection.execute("SELECT count(*) FROM writer").fetchone()[0]
    assert numbers == list(range(1, len(numbers) + 1))
    assert writers == bool(numbers)
    assert len(numbers) in snapshot.sums, "half a batch"
    return len(numbers)


def test_journal_that_ends_at_any_frame_holds_whole_batches(
    snapshots: list[Snapshot], tmp_path: Path
) -> None:
    """Cut at each frame, the database holds the first batches, each whole or not there."""
    last = snapshots[-1]
    seen = [calls_after(last, last.wal[:end], tmp_path) for end in wal_frames(last.wal)]
    assert all(before <= after for before, after in pairwise(seen))
    assert set(seen) == last.sums
    for snapshot in snapshots:
        assert calls_after(snapshot, snapshot.wal, tmp_path) >= snapshot.acknowledged


def test_journal_that_ends_anywhere_holds_whole_batches(
    snapshots: list[Snapshot], tmp_path: Path
) -> None:
    """Cut at any byte, or with zeros from there on, it holds no more than whole batches."""
    chance = random.Random(8)
    for snapshot in snapshots:
        for _ in range(40):
            end = chance.randrange(len(snapshot.wal))
            cut = snapshot.wal[:end]
            found = calls_after(snapshot, cut, tmp_path)
            zeros = bytes(len(snapshot.wal) - end)
            assert calls_after(snapshot, cut + zeros, tmp_path) == found


# --- the spool ----------------------------------------------------------------------------


class Written(NamedTuple):
    """
    A spool whose process is gone.

    Attributes:
        path: Its only segment.
        ends: Where each frame ends.
    """

    folder: Path
    path: Path
    data: bytes
    ends: list[int]


def spool_of(folder: Path, calls: int) -> Written:
    """
    Write the spool of some calls.
    """
    trail = modeltrail.open(f"sqlite:///{folder}/source.db")
    trail._background.writer.stop(30)
    for number in range(calls):
        make_call(trail.recorder, str(number), tags={"feature": "f" * (number % 50)})
    trail._background.spool.take_no_more(1)
    (path,) = trail._settings.folder.glob("*.spool")
    data = path.read_bytes()
    trail.close(1)
    return Written(path.parent, path, data, [found.end for found in scan(data)])


def frames_of(folder: Path) -> tuple[list[tuple[FrameKind, str]], int]:
    """
    Read all frames of a spool and how often bytes were none.
    """
    (orphan,) = orphans(folder)
    tail, found = Tail(orphan, SEALER), []
    while read := tail.read():
        found += [decode(each)[0] for _, each in read]
    orphan.release(remove=False)
    return [(frame.kind, frame.id) for frame in found], tail.torn


def pages(begin: int, end: int) -> range:
    """
    Return the pages that some bytes are in.
    """
    return range(begin // PAGE, (end - 1) // PAGE + 1)


def test_spool_that_ends_anywhere_gives_every_whole_frame(tmp_path: Path) -> None:
    """Cut at any byte, with or without zeros behind, nothing raises and no whole frame is lost."""
    written = spool_of(tmp_path, 2)
    whole, torn = frames_of(written.folder)
    assert (len(whole), torn) == (4, 0)
    for end in range(len(written.data)):
        expected = sum(each <= end for each in written.ends)
        # An end in the middle of a frame is torn; zeros alone were never used.
        is_torn = end not in (0, *written.ends)
        for rest in (b"", bytes(len(written.data) - end)):
            written.path.write_bytes(written.data[:end] + rest)
            assert frames_of(written.folder) == (whole[:expected], is_torn)


@pytest.mark.parametrize("seed", range(8))
def test_pages_of_zeros_cost_their_own_frames_only(tmp_path: Path, seed: int) -> None:
    """Pages that never came to the disk are passed over; all that is whole elsewhere is stored."""
    written = spool_of(tmp_path, 100)
    chance = random.Random(seed)
    lost = chance.sample(range(len(written.data) // PAGE), 1 + seed % 8)
    data = bytearray(written.data)
    for page in lost:
        data[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
    written.path.write_bytes(data)
    places = pairwise([0, *written.ends])
    whole = [end for begin, end in places if set(lost).isdisjoint(pages(begin, end))]
    found, torn = frames_of(written.folder)
    assert len(found) == len(whole)
    assert 0 < torn <= len(lost)
    expected = {kind: {id for each, id in found if each is kind} for kind, _ in found}
    starts, ends = expected[FrameKind.START], expected[FrameKind.END]
    url = f"sqlite:///{tmp_path}/source.db"
    with modeltrail.open(url) as trail:
        assert trail.flush(30)
        problems = trail.health().problems
    stored = tally(url)
    assert stored.statuses["ok"] == len(starts & ends)
    assert stored.statuses["incomplete"] == len(starts - ends)
    assert stored.drops.get("record-not-valid", 0) == len(ends - starts)
    assert problems["frame-torn"] == torn


def test_counts_of_drops_that_were_cut_are_no_hindrance(tmp_path: Path) -> None:
    """The lock file may have lost its content: the calls are stored all the same."""
    written = spool_of(tmp_path, 5)
    (lock,) = written.folder.glob("*.lock")
    os.truncate(lock, 5)
    assert tally_after_the_next_open(f"sqlite:///{tmp_path}/source.db").calls == 5


# --- what is promised ---------------------------------------------------------------------


class Disk:
    """
    Notes how far each file has come to the disk.
    """

    def __init__(self, trail: Trail, patch: pytest.MonkeyPatch) -> None:
        self._spool = trail._background.spool
        self._fsync = os.fsync
        # By inode: how far a file went when a sync of it that has ended began.
        self.synced: dict[int, int] = {}
        patch.setattr(os, "fsync", self._note)

    def _note(self, descriptor: int) -> None:
        inode = os.fstat(descriptor).st_ino
        extent = 0
        for segment in list(self._spool._segments.values()):
            if segment.path.exists() and segment.path.stat().st_ino == inode:
                extent = segment.end().offset
            elif segment.texts.size and segment.texts.path.stat().st_ino == inode:
                extent = segment.texts.size
        self._fsync(descriptor)
        self.synced[inode] = max(extent, self.synced.get(inode, 0))

    def has(self, segment: Any, offset: int) -> bool:
        """
        Tell whether a segment is on the disk so far, its texts and its name, too.
        """
        if not offset:
            return True  # nothing was appended yet: it need not even be there
        texts = segment.texts
        return (
            self.synced.get(segment.path.stat().st_ino, -1) >= offset
            and self._spool.folder.stat().st_ino in self.synced
            and (not texts.size or self.synced.get(texts.path.stat().st_ino, -1) >= texts.size)
        )


@pytest.mark.parametrize("long", [False, True])
def test_what_has_returned_is_on_the_disk(
    url: str, segments: str, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    """With durability="power" a call returns when its frames, texts and files are synced."""
    with modeltrail.open(url, durability="power", spool_limit_bytes=8 * 1024 * 1024) as trail:
        trail._background.writer.stop(30)
        spool = trail._background.spool
        disk = Disk(trail, monkeypatch)
        messages = (("user", "x" * (CALLER_LIMIT_BYTES + 1)),) if long else (("user", "x"),)
        numbers = set()
        for number in range(20 if long else 700):
            make_call(trail.recorder, str(number), messages=messages)
            # All of them: another thread may begin a file at any moment.
            begun = list(spool._segments.values())
            assert all(disk.has(segment, segment.end().offset) for segment in begun)
            numbers.update(segment.number for segment in begun)
        assert long or segments == "written" or len(numbers) > 1  # files were changed in between


def test_what_has_returned_on_many_threads_is_on_the_disk(
    url: str, segments: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that share a sync wait for one that began after their append."""
    with modeltrail.open(url, durability="power") as trail:
        trail._background.writer.stop(30)
        spool = trail._background.spool
        disk = Disk(trail, monkeypatch)
        missing = []

        def call(base: int) -> None:
            for number in range(50):
                call = trail.recorder.start(request(f"{base}-{number}"))
                call.stop(response())
                if not is_on_disk(call.id):
                    missing.append(call.id)

        def is_on_disk(id: str) -> bool:
            segment = spool.segment
            data = segment.path.read_bytes()
            (end,) = (
                found.end
                for found in scan(data)
                if decode(found)[0].id == id and decode(found)[0].kind is FrameKind.END
            )
            return disk.has(segment, end)

        threads = [threading.Thread(target=call, args=(base,)) for base in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert missing == []


PROMISING = """
import os, sys
import modeltrail
from recording import make_call
if sys.argv[2] == "written":
    import modeltrail.storage.spool.spool as spools
    spools.keeps_its_word = lambda _: False
trail = modeltrail.open(sys.argv[1], durability="power")
for number in range(20):
    make_call(trail.recorder, str(number))
    os.write(1, b"returned %d\\n" % number)
trail.close()
"""


@pytest.mark.parametrize("how", ["mapped", "written"])
def test_system_is_asked_before_each_return(url: str, tmp_path: Path, how: str) -> None:
    """Seen from outside: between two returns the spool's file is synced, and that has ended."""
    if shutil.which("strace") is None:
        pytest.skip("NOT TESTED, there is no strace here")
    log = tmp_path / "log"
    with child(PROMISING, url, how) as process:  # to see that it works without
        process.communicate(timeout=60)
        assert process.returncode == 0
    words = ("strace", "-f", "-y", "-e", "trace=fsync,write", "-o", str(log))
    ran = run(*words, *map(str, process.args), env={**os.environ, "PYTHONPATH": str(TESTS)})
    if "ptrace" in ran.stderr:
        pytest.skip(f"NOT TESTED, tracing is not permitted here: {ran.stderr}")
    assert ran.returncode == 0, ran.stderr
    synced, returned = 0, 0
    for line in log.read_text("utf-8", "replace").splitlines():
        if "fsync(" in line and ".spool>" in line and "= 0" in line:
            synced += 1
        elif "write(1" in line and '"returned ' in line:
            returned += 1
            assert synced >= 1, f"call {returned} returned before a sync"
            synced = 0
    assert returned == 20
