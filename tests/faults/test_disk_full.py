"""
A disk that is full, and has room again.
"""

import json
from pathlib import Path

import pytest
from mishaps import (
    Caller,
    assert_intact,
    child,
    descriptors,
    fill,
    small_disk,
    tally,
    tally_after_the_next_open,
)

import modeltrail
from modeltrail.errors import StoreUnavailableError

pytestmark = pytest.mark.fault


def assert_adds_up(url: str, caller: Caller) -> None:
    """
    Check that each call is stored once or counted as dropped, in the trail as in its health.
    """
    health = caller.trail.health()
    found = tally(url)
    assert found.calls + found.dropped_calls == caller.made
    assert dict(found.drops) == health.drops
    lost_ends = sum(number for slot, number in found.drops.items() if slot.endswith(":end"))
    assert found.statuses["incomplete"] == lost_ends
    assert set(health.problems) <= {
        "start-not-written",
        "end-not-written",
        "call-not-written",
        "keeper-failed",
        "frame-torn",
        "store-unavailable",
    }


def test_spool_on_a_full_disk(
    database: str, segments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is elsewhere: what the disk does not take is counted, all else is stored."""
    with small_disk(tmp_path / "small", "12m") as place:
        monkeypatch.setenv("MODELTRAIL_SPOOL", str(place))
        with modeltrail.open(database) as trail:
            caller = Caller(trail)
            caller.call(50)
            assert trail.flush(30)
            filler = fill(place)
            caller.call_until_some_are_dropped()
            assert caller.ask() == "Eight."
            filler.unlink()
            caller.call_until_nothing_is_dropped()
            assert caller.ask() == "Eight."
            torn = trail.health().problems.get("frame-torn", 0)
        assert_adds_up(database, caller)
        assert (torn > 0) == (segments == "written")


def test_database_and_spool_on_a_full_disk(segments: str, tmp_path: Path) -> None:
    """Nothing can be stored: what the spool took before is stored when there is room again."""
    with small_disk(tmp_path / "small", "24m") as place:
        url = f"sqlite:///{place}/calls.db"
        with modeltrail.open(url) as trail:
            caller = Caller(trail)
            caller.call(50)
            assert trail.flush(30)
            filler = fill(place)
            caller.call_until_some_are_dropped()
            assert not trail.flush(0.5)
            assert trail.health().problems["store-unavailable"]
            assert caller.ask() == "Eight."
            assert_intact(url)
            filler.unlink()
            caller.call_until_nothing_is_dropped()
        assert_adds_up(url, caller)
        assert_intact(url)


def test_process_that_ends_on_a_full_disk_leaves_what_it_has(tmp_path: Path) -> None:
    """Closed without room, the trail keeps the rest and its counts for the next to open."""
    with small_disk(tmp_path / "small", "24m") as place:
        url = f"sqlite:///{place}/calls.db"
        trail = modeltrail.open(url)
        caller = Caller(trail)
        caller.call(50)
        filler = fill(place)
        caller.call_until_some_are_dropped()
        assert not trail.close(1)
        filler.unlink()
        found = tally_after_the_next_open(url)
        assert found.calls + found.dropped_calls == caller.made
        assert dict(found.drops) == trail.health().drops
        assert_intact(url)


def test_trail_cannot_be_opened_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens it is told so; nothing is left behind."""
    with small_disk(tmp_path / "small", "1m") as place:
        monkeypatch.setenv("MODELTRAIL_SPOOL", str(place))
        filler = fill(place)
        url = f"sqlite:///{tmp_path}/calls.db"
        before = descriptors()
        for _ in range(3):
            with pytest.raises(StoreUnavailableError, match="No space left"):
                modeltrail.open(url)
        assert descriptors() == before
        assert [path for path in place.rglob("*") if path.is_file()] == [filler]


LIMITED = """
import json, resource, sys
import modeltrail
from recording import make_call

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

if sys.argv[2] == "written":
    import modeltrail.storage.spool.spool as spools
    spools.keeps_its_word = lambda _: False
trail = modeltrail.open(sys.argv[1])
made = 0
def call(times):
    global made
    for _ in range(times):
        make_call(trail.recorder, str(made))
        made += 1
call(50)
assert trail.flush(30)
limit(100 * 1024)
while not trail.health().drops:
    call(50)
call(100)
limit(resource.RLIM_INFINITY)
for _ in range(100):
    before = dict(trail.health().drops)
    call(1)
    assert trail.flush(30)
    if trail.health().drops == before:
        break
else:
    raise AssertionError("recording does not resume")
assert trail.close()
print(json.dumps([made, dict(trail.health().drops)]))
"""


@pytest.mark.parametrize("segments_are", ["mapped", "written"])
def test_files_that_may_not_grow(url: str, segments_are: str) -> None:
    """A limit on the size of files is met like a full disk, and needs no mounting."""
    with child(LIMITED, url, segments_are) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    made, drops = json.loads(out)
    found = tally(url)
    assert found.dropped_calls > 0
    assert found.calls + found.dropped_calls == made
    assert dict(found.drops) == drops
    assert_intact(url)
