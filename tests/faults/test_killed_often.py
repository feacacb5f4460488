"""
Killed at a random moment, again and again: nothing that was acknowledged is lost.
"""

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from postgres import new_database, postgres_server

import modeltrail
from modeltrail.storage import Store

pytestmark = pytest.mark.fault

PROGRAM = Path(__file__).with_name("killed_often.py")
TESTS = Path(__file__).parents[1]
SEED = "2026"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """
    Name an empty database.
    """
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/calls.db"
        return
    with new_database(postgres_server()) as url:
        Store.migrate(url)
        yield url


@pytest.mark.parametrize("times", [10, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost(
    database: str, times: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """What had returned is stored, once and whole; what had not is incomplete or not there."""
    modeltrail.open(database).close()
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), database, str(times), SEED],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    told = set(ran.stdout.split())
    assert len(told) > 20 * times
    with modeltrail.open(database) as trail:
        assert trail.flush(120)
        records = [each.record for each in trail.store.calls(limit=None)]
        assert trail.health().drops == {}
        folder = trail.store.spool_folder()
    assert list(folder.iterdir()) == []
    found = {record.run_id: record for record in records}
    assert len(found) == len(records)
    assert told <= found.keys()
    assert {found[run_id].status for run_id in told} == {"ok"}
    assert {found[run_id].cost_nanousd for run_id in told} == {6300}
    # Of each life at most the call that was not told of any more.
    unfinished = Counter(run_id.partition("-")[0] for run_id in found.keys() - told)
    assert max(unfinished.values(), default=0) <= 1
    if database.startswith("sqlite"):
        with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with capsys.disabled():
        kind = database.partition(":")[0]
        print(f"\n{kind}: killed {times} times, {len(told)} acknowledged, ", end="")
        print(f"{len(records)} stored ", end="")
