"""
The end of a trail while something is wrong, and the beginning in a child.
"""

import errno
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from mishaps import TESTS, child, descriptors, locked, run, tally, tally_after_the_next_open
from recording import make_call

import modeltrail
from modeltrail.integration import Recorder

pytestmark = pytest.mark.fault

LEAST_LIMIT = 4 * 1024 * 1024


def test_writer_that_hangs_at_the_end_writes_to_no_file_of_ours(url: str, tmp_path: Path) -> None:
    """A trail is closed while its database is locked: what wakes up later harms no other file.

    The thread has drops to note in the spool's lock. The number of that descriptor must not
    have become a file of the application.
    """
    trail = modeltrail.open(url, spool_limit_bytes=LEAST_LIMIT)
    lock, thread = trail._background.spool._lock, trail._background.writer._thread
    host = tmp_path / "host"
    host.write_bytes(b"H" * 1000)
    with locked(url):
        made = 0
        while not trail.health().drops:
            make_call(trail.recorder, str(made))
            made += 1
        assert not trail.close(0.5)
        opened = [os.open(host, os.O_RDWR)]
        while opened[-1] < lock:
            opened.append(os.open(host, os.O_RDWR))
        assert lock not in opened
    thread.join(30)
    os.close(os.open(host, os.O_RDWR))
    assert host.read_bytes() == b"H" * 1000
    for descriptor in opened:
        os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(lock)  # it was given back in the end
    found = tally_after_the_next_open(url)
    assert found.calls + found.dropped_calls == made


def call_until(stop: threading.Event, recorder: Recorder, made: list[str]) -> None:
    """
    Make calls and note each that has returned.
    """
    for number in range(3_000):
        if stop.is_set():
            return
        run_id = f"{threading.get_ident()}-{number}"
        make_call(recorder, run_id)
        made.append(run_id)


@pytest.mark.parametrize("round", range(6))
def test_what_ends_while_the_trail_is_closed_is_stored_or_refused(url: str, round: int) -> None:
    """Threads call on while another closes: what was accepted is stored by the next to open."""
    trail = modeltrail.open(url)
    stop = threading.Event()
    made: list[str] = []
    threads = [
        threading.Thread(target=call_until, args=(stop, trail.recorder, made)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    trail.close()
    stop.set()
    for thread in threads:
        thread.join()
    problems = trail.health().problems
    assert set(problems) <= {"start-not-written", "end-not-written", "call-not-written"}
    found = tally_after_the_next_open(url)
    assert found.drops == {}
    assert found.calls + problems.get("call-not-written", 0) == len(made)
    # Those that `close` met in flight are incomplete, and those whose end was refused.
    assert found.statuses["incomplete"] <= len(threads) + problems.get("end-not-written", 0)


def test_disk_that_removes_nothing_does_not_keep_a_trail_from_its_end(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that cannot be removed are replayed again, which adds nothing."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "read-only file system")

    before = descriptors()
    trail = modeltrail.open(url)
    make_call(trail.recorder)
    assert trail.flush(20)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        assert trail.close()
    assert descriptors() == before
    assert tally_after_the_next_open(url).calls == 1


@pytest.mark.parametrize("syncs", ["flush", "aflush"])
async def test_disk_that_cannot_sync_raises_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch, syncs: str
) -> None:
    """`flush` tells whether the database has it, and the failure is counted."""

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    with modeltrail.open(url, durability="power") as trail:
        monkeypatch.setattr(os, "fsync", refuse)
        make_call(trail.recorder)
        assert trail.flush(20) if syncs == "flush" else await trail.aflush(20)
        assert trail.health().problems["keeper-failed"] == 1
        assert len(trail.store.calls()) == 1


def test_call_after_the_end_does_not_wait_for_a_database(url: str, tmp_path: Path) -> None:
    """A program that calls in its last functions ends, though the database is locked."""
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: make_call(trail.recorder, 'late'))\n"  # runs after ours
        "import modeltrail, modeltrail.trail\n"
        "from recording import make_call\n"
        "modeltrail.trail.Trail.close.__defaults__ = (0.5,)\n"
        f"trail = modeltrail.open({url!r})\n"
        "make_call(trail.recorder, 'early')\n"
        "print('called', flush=True); input()"
    )
    with child(program) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "called\n"
        with locked(url):
            # The first call may be stored already; the late one cannot be.
            process.communicate("\n", timeout=15)
    assert process.returncode == 0
    assert set(tally_after_the_next_open(url).runs) == {"early", "late"}


FORKED = """
import errno, os, sys, threading
import modeltrail
from recording import make_call

trail = modeltrail.open(sys.argv[1])
if os.fork() == 0:
    {child}
    os._exit(0)
os.wait()
trail.close()
"""
THREADS = """
    barrier = threading.Barrier(8)
    def call(number):
        barrier.wait()
        make_call(trail.recorder, str(number))
    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert trail.flush(20)
    print(len(list(trail._settings.folder.glob("*.lock"))), trail.health().drops)
    trail.close(); sys.stdout.flush()
"""
FULL_DISK = """
    def refuse(*_): raise OSError(errno.ENOSPC, "no space")
    pwrite, os.pwrite = os.pwrite, refuse
    before = len(os.listdir("/proc/self/fd")), len(list(trail._settings.folder.iterdir()))
    for number in range(20): make_call(trail.recorder, "dropped")
    assert (len(os.listdir("/proc/self/fd")), len(list(trail._settings.folder.iterdir()))) == before
    print(trail.health().problems)
    os.pwrite = pwrite
    make_call(trail.recorder, "after")
    trail.close(); sys.stdout.flush()
"""


def forked(url: str, program: str) -> str:
    """
    Run the program in a child that inherits an open trail, and return what it says.
    """
    code = FORKED.format(child=program.strip())
    ended = run(
        sys.executable, "-c", code, url, env={**os.environ, "PYTHONPATH": str(TESTS)}, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr
    return str(ended.stdout.strip())


def test_threads_of_a_forked_child_share_one_spool(url: str) -> None:
    """However many threads make the first call of a child at once, none is lost."""
    assert forked(url, THREADS) == "2 {}"  # the parent's and the child's
    found = tally(url)
    assert (found.calls, found.statuses) == (8, {"ok": 8})


def test_forked_child_without_a_disk_costs_no_descriptors(url: str) -> None:
    """Where a child's spool cannot be made, calls are counted as problems; later all goes on."""
    assert forked(url, FULL_DISK) == "{'start-not-written': 20, 'call-not-written': 20}"
    assert set(tally(url).runs) == {"after"}
