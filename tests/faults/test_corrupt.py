"""
An SQLite file that is damaged or taken away while a trail is open.
"""

import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from mishaps import run, small_disk
from recording import make_call

import modeltrail
from modeltrail.cli import checks
from modeltrail.errors import CorruptStoreError
from modeltrail.storage import Store

pytestmark = pytest.mark.fault

PAGE = 4096
TESTS = Path(__file__).parents[1]


def overwrite_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"garbage!" * 64)


def overwrite_pages(path: Path) -> None:
    pages = path.stat().st_size // PAGE
    with path.open("r+b") as file:
        for page in range(1, pages):
            file.seek(page * PAGE)
            file.write(b"\xff" * PAGE)


def filled(url: str) -> Path:
    """
    Make a trail of a hundred calls, all of it in the file itself.
    """
    with modeltrail.open(url) as trail:
        for number in range(100):
            make_call(trail.recorder, f"old-{number}", tags={"feature": "f"})
    path = Path(url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def runs(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {run for (run,) in connection.execute("SELECT run_id FROM call")}


@pytest.mark.parametrize("damage", [overwrite_header, overwrite_pages])
def test_damaged_file_is_moved_aside(url: str, damage: Callable[[Path], None]) -> None:
    """What was damaged is kept, a new file goes on, and it tells so; no call is lost."""
    path = filled(url)
    with modeltrail.open(url) as trail:
        make_call(trail.recorder, "before")
        assert trail.flush(20)
        trail.store._engine.dispose()  # whatever SQLite had in its cache
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damage(path)
        damaged = path.read_bytes()
        for number in range(10):
            make_call(trail.recorder, f"after-{number}")
        assert trail.flush(20)
        assert trail.health().problems == {"store-unavailable": 1, "database-replaced": 1}
        assert trail.health().drops == {}
    assert runs(path) == {f"after-{number}" for number in range(10)}
    (moved,) = Store.open(url).quarantined()
    assert moved.read_bytes() == damaged
    with closing(sqlite3.connect(path)) as connection:
        events = dict(connection.execute("SELECT kind, detail FROM event").fetchall())
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        unknown = "SELECT count(*) FROM call WHERE writer_id NOT IN (SELECT id FROM writer)"
        assert connection.execute(unknown).fetchone() == (0,)
    assert events["database-replaced"] == f'{{"moved_to":"{moved.name}"}}'
    with modeltrail.open(url) as trail:  # under the same key, as the first event says
        make_call(trail.recorder, "later")


def test_processes_replace_a_file_once(url: str) -> None:
    """Of two processes that meet the same damage one moves the file, both go on."""
    path = filled(url)
    with modeltrail.open(url) as first, modeltrail.open(url) as second:
        for trail in (first, second):
            trail.store._engine.dispose()
        overwrite_header(path)
        make_call(first.recorder, "first")
        make_call(second.recorder, "second")
        assert first.flush(20)
        assert second.flush(20)
    assert runs(path) == {"first", "second"}
    assert len(Store.open(url).quarantined()) == 1


@pytest.mark.parametrize("another", [False, True])
def test_file_that_was_taken_away_is_made_anew(url: str, tmp_path: Path, another: bool) -> None:
    """Rows never go into a file that has no name any more."""
    path = filled(url)
    (tmp_path / "other").mkdir()
    other = filled(f"sqlite:///{tmp_path}/other/calls.db")
    with modeltrail.open(url) as trail:
        make_call(trail.recorder, "before")
        assert trail.flush(20)
        for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            name.unlink()
        if another:
            other.rename(path)
        make_call(trail.recorder, "after")
        assert trail.flush(20)
        assert trail.store.quarantined() == []
    assert runs(path) == {"after"} | ({f"old-{n}" for n in range(100)} if another else set())


def test_damage_is_an_error_at_open(url: str) -> None:
    """Whoever opens a damaged file is told; nothing is moved behind their back."""
    path = filled(url)
    overwrite_header(path)
    with pytest.raises(CorruptStoreError, match="not a database"):
        modeltrail.open(url)
    assert path.read_bytes().startswith(b"garbage!")


def test_doctor_names_what_was_moved_aside(url: str) -> None:
    """Nobody must find such a file by chance."""
    path = filled(url)
    path.with_name(f"{path.name}.corrupt-20260101T000000.000000Z").touch()
    found = {finding.check: finding for finding in checks.examine(url)}
    assert found["replaced"].status == "warn"
    assert "calls.db.corrupt-2026" in found["replaced"].detail


def test_trail_is_read_where_nothing_can_be_written(url: str, tmp_path: Path) -> None:
    """A copy on a read-only disk is read as it is; with a journal beside it, only the remedy."""
    path = filled(url)
    with small_disk(tmp_path / "frozen", "8m") as place:
        command = (sys.executable, "-m", "modeltrail", "--db", f"{place}/calls.db", "cost")
        (place / "calls.db").write_bytes(path.read_bytes())
        run("mount", "-o", "remount,ro", str(place))
        read = run(*command, "--format", "json")
        run("mount", "-o", "remount,rw", str(place))
        (place / "calls.db-wal").write_bytes(b"x" * 100)
        run("mount", "-o", "remount,ro", str(place))
        refused = run(*command)
    assert read.returncode == 0, read.stderr
    assert json.loads(read.stdout)["rows"][0]["calls"] == 100
    assert (refused.returncode, "copy both files" in refused.stderr) == (4, True), refused.stderr
