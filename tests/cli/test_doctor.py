"""
`modeltrail doctor`.
"""

import json
import sqlite3
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from recording import make_call, request

import modeltrail
from modeltrail.cli import checks
from modeltrail.storage import Store
from modeltrail.storage.spool.folder import VERSION


def findings(cli: Any) -> dict[str, dict[str, Any]]:
    """Return what the doctor found, by check."""
    rows = json.loads(cli("doctor", "--format", "json").stdout)["rows"]
    return {row["check"]: row for row in rows}


def test_healthy_trail_is_0(cli: Any, url: str) -> None:
    """All is well; each check has a line."""
    with modeltrail.open(url) as trail:
        make_call(trail.recorder)
    result = cli("doctor")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"ok"}
    assert [line.split()[1] for line in lines] == [
        *("versions", "database", "key", "spool_folder", "orphaned_spools", "foreign_spools"),
        *("calls", "unpriced"),
        *("modeltrail-langchain", "modeltrail-llama-index", "modeltrail-litellm"),
    ]
    assert f"{url}, schema 0001" in lines[1]


def test_json_has_a_row_per_check(cli: Any, filled: str) -> None:
    """The same for programs."""
    envelope = json.loads(cli("doctor", "--format", "json").stdout)
    assert envelope["schema"] == "modeltrail.doctor/1"
    assert set(envelope["rows"][0]) == {"check", "status", "detail", "remedy"}


def test_missing_database_is_a_failure_and_is_not_made(
    cli: Any, folder: Callable[[], set[str]], own_home: Path
) -> None:
    """The doctor makes nothing: no database, no key, no spool."""
    result = cli("doctor")
    assert result.exit_code == 1
    assert "fail  database" in result.stdout
    assert "there is no trail at" in result.stdout
    assert folder() == set()
    assert list(own_home.iterdir()) == []


def test_other_key_is_a_failure(cli: Any, filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is not the trail's is told."""
    monkeypatch.setenv("MODELTRAIL_KEY", "ab" * 32)
    assert cli("doctor").exit_code == 1
    assert findings(cli)["key"]["status"] == "fail"
    monkeypatch.setenv("MODELTRAIL_KEY", "short")
    assert "64 hexadecimal digits" in findings(cli)["key"]["detail"]


def test_missing_key_is_a_failure(
    cli: Any, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the trail's key the application would be refused."""
    monkeypatch.setenv("HOME", str(tmp_path))
    found = findings(cli)["key"]
    assert (found["status"], "MODELTRAIL_KEY" in found["remedy"]) == ("fail", True)


def test_trail_that_was_never_used(cli: Any, url: str) -> None:
    """A trail that was only migrated has no key yet and no call."""
    Store.open(url).close()
    found = findings(cli)
    assert (found["key"]["status"], found["calls"]["status"]) == ("ok", "warn")
    assert found["spool_folder"]["detail"].endswith("made at the first use")


def test_spools_of_the_dead_and_of_others_are_told(
    cli: Any, url: str, folder: Callable[[], set[str]]
) -> None:
    """Calls that wait for the next process are counted, and left to it."""
    with modeltrail.open(url) as trail:
        place = trail.store.spool_folder()
    (place / f"0123.v{VERSION}.lock").touch()
    (place / "4567.v9.lock").touch()
    before = folder()
    found = findings(cli)
    assert found["orphaned_spools"]["detail"] == "calls of 1 ended processes wait in the spool"
    assert found["orphaned_spools"]["status"] == found["foreign_spools"]["status"] == "warn"
    assert found["foreign_spools"]["detail"] == "4567.v9.lock"
    assert folder() == before


def test_living_spool_is_no_orphan(cli: Any, url: str) -> None:
    """A process that records now is not counted."""
    with modeltrail.open(url) as trail:
        trail.recorder.start(request())
        assert findings(cli)["orphaned_spools"]["detail"] == "none"


def test_unpriced_calls_are_told(cli: Any, filled: str) -> None:
    """The share of calls without a cost, errors not counted."""
    found = findings(cli)
    assert found["unpriced"]["detail"] == (
        "1 of 2 calls that ended well have no known cost (50.0%)"
    )
    assert found["calls"]["detail"] == "3, the last one began 2026-09-21 14:15:20 UTC"


@pytest.mark.parametrize(("ahead", "status"), [(12, "ok"), (2, "warn"), (None, None)])
def test_partitions_that_run_out_are_told(
    cli: Any, filled: str, monkeypatch: pytest.MonkeyPatch, ahead: int | None, status: str | None
) -> None:
    """On a server, in time; an SQLite file has none."""
    monkeypatch.setattr(Store, "months_ahead", lambda _: ahead)
    assert findings(cli).get("partitions", {}).get("status") == status


def test_unwritable_spool_is_a_failure(
    cli: Any, filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where the folder should be cannot be written."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MODELTRAIL_SPOOL", str(tmp_path / "file"))
    assert findings(cli)["spool_folder"]["status"] == "fail"


def test_check_that_is_not_permitted_is_a_failure(
    cli: Any, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that may not be read costs one check, not the others."""

    def _forbidden(_: Store) -> checks.Finding:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checks, "STORE_CHECKS", (_forbidden, checks._calls))
    found = findings(cli)
    assert (found["forbidden"]["status"], found["calls"]["status"]) == ("fail", "ok")


def test_locked_out_database_is_a_failure(cli: Any, filled: str, tmp_path: Path) -> None:
    """A file that is no database is told, in one line."""
    (tmp_path / "calls.db").write_bytes(b"this is no database at all, " * 100)
    result = cli("doctor")
    assert result.exit_code == 1
    assert "file is not a database" in result.stdout


def test_framework_without_our_integration(
    cli: Any, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A framework that nobody listens to is worth a word; one that is absent is not."""
    installed = {"modeltrail": "1", "litellm": "1.2"}

    def version(name: str) -> str:
        if name not in installed:
            raise PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(checks, "version", version)
    found = findings(cli)
    assert found["modeltrail-litellm"]["remedy"] == "pip install modeltrail-litellm"
    assert found["modeltrail-langchain"]["status"] == "ok"
    assert "langchain-core not installed" in found["modeltrail-langchain"]["detail"]


def test_newer_schema_is_a_failure(cli: Any, filled: str, tmp_path: Path) -> None:
    """The doctor says what to do about it."""
    with sqlite3.connect(tmp_path / "calls.db") as connection:
        connection.execute("UPDATE modeltrail_version SET version_num = '9999'")
    connection.close()
    result = cli("doctor")
    assert result.exit_code == 1
    assert "upgrade modeltrail" in result.stdout
