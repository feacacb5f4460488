"""
A disk that cannot be written, or cannot be written any more.
"""

import gc
import json
import re
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from mishaps import (
    Caller,
    assert_intact,
    child,
    descriptors,
    locked,
    mounted,
    run,
    small_disk,
    tally_after_the_next_open,
)

import modeltrail
from modeltrail.errors import StoreUnavailableError

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("holds", ["spool", "both"])
def test_read_only_disk_is_refused_at_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holds: str
) -> None:
    """Whoever opens the trail is told; once it can be written all that waited is stored."""
    with small_disk(tmp_path / "small", "24m") as place:
        if holds == "spool":
            monkeypatch.setenv("MODELTRAIL_SPOOL", str(place))
        database = (tmp_path if holds == "spool" else place) / "calls.db"
        url = f"sqlite:///{database}"
        trail = modeltrail.open(url)
        caller = Caller(trail)
        with locked(url):
            caller.call(100)
            assert not trail.close(0.5)
        trail._background.writer._thread.join(60)
        gc.collect()  # the connection that it used
        assert run("mount", "-o", "remount,ro", str(place)).returncode == 0
        before = descriptors()
        for _ in range(3):
            with pytest.raises(StoreUnavailableError):
                modeltrail.open(url)
        assert descriptors() == before
        assert run("mount", "-o", "remount,rw", str(place)).returncode == 0
        found = tally_after_the_next_open(url)
        assert (found.calls, found.drops) == (100, {})


def fragile_disk(folder: Path) -> AbstractContextManager[Path]:
    """
    Mount a small ext4 that turns read-only at the first error.
    """
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    run("mkfs.ext4", "-q", str(image))
    return mounted(folder / "fragile", "-o", "loop,errors=remount-ro", str(image))


def break_disk(place: Path) -> None:
    """
    Let the file system meet an error.
    """
    device = run("findmnt", "--noheadings", "--output", "SOURCE", str(place)).stdout.strip()
    Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error").write_text("1")


def repair_disk(place: Path) -> None:
    """
    Do what an administrator does: unmount, check, mount.
    """
    image = place.with_name("image")
    assert run("umount", str(place)).returncode == 0
    assert run("e2fsck", "-fy", str(image)).returncode <= 1
    assert run("mount", "-o", "loop", str(image), str(place)).returncode == 0


CHILD = """
import json, sys
from mishaps import Caller
import modeltrail

trail, patience = modeltrail.open(sys.argv[1]), float(sys.argv[2])
caller = Caller(trail)
caller.call(50)
assert trail.flush(30)
trail._background.spool.sync()
print("ready", flush=True)
input()
caller.call(4000)
assert caller.ask() == "Eight."
stored = trail.flush(patience)
closed = trail.close(patience)
health = trail.health()
print(json.dumps([caller.made, stored, closed, health.drops, health.problems]))
"""


@pytest.mark.parametrize("holds", ["spool", "database", "both"])
def test_disk_that_turns_read_only(tmp_path: Path, holds: str) -> None:
    """The application goes on; one warning of each kind is logged, every loss is counted."""
    with fragile_disk(tmp_path) as place:
        url = f"sqlite:///{tmp_path if holds == 'spool' else place}/calls.db"
        spool = tmp_path / "spool" if holds == "database" else place / "spool"
        patience = "30" if holds == "spool" else "1"  # nothing else can be stored
        with child(CHILD, url, patience, MODELTRAIL_SPOOL=str(spool)) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            break_disk(place)
            out, err = process.communicate("\n", timeout=60)
        assert process.returncode == 0, err
        made, stored, closed, drops, problems = json.loads(out)
        assert stored is closed is (holds == "spool")
        warned = re.findall("^modeltrail: ([a-z-]+)", err, re.MULTILINE)
        assert sorted(warned) == sorted(problems)
        repair_disk(place)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MODELTRAIL_SPOOL", str(spool))
            found = tally_after_the_next_open(url)
        assert_intact(url)
    dropped = drops.get("disk-failed:call", 0)
    if holds == "both":  # what was not on the disk is gone with it, as in a power failure
        assert 50 <= found.calls <= made - dropped
    else:
        assert found.calls + dropped == made
        assert (dropped > 0) == (holds == "spool")
