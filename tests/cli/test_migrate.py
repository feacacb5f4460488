"""
`modeltrail migrate`, and the other commands on PostgreSQL.
"""

import json
import sqlite3
from pathlib import Path
from typing import Any

from postgres import new_database, postgres_server
from recording import make_call

import modeltrail


def test_missing_file_is_made(cli: Any, url: str) -> None:
    """The first run makes the schema, the second has nothing to do."""
    assert cli("migrate").stdout == f"{url}: schema none -> 0001\n"
    assert cli("migrate").stdout == f"{url}: schema 0001 -> 0001\n"
    assert cli("calls", "list").exit_code == 0


def test_newer_schema_is_4(cli: Any, filled: str, tmp_path: Path) -> None:
    """What a later version has made is left alone."""
    with sqlite3.connect(tmp_path / "calls.db") as connection:
        connection.execute("UPDATE modeltrail_version SET version_num = '9999'")
    connection.close()
    result = cli("migrate")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "upgrade modeltrail" in result.stderr


def test_missing_folder_is_4(cli: Any) -> None:
    """Folders are not made."""
    result = cli("migrate", db="sqlite:////nowhere/calls.db")
    assert (result.exit_code, result.stderr) == (
        4,
        "error: the folder /nowhere does not exist; make it first\n",
    )


def test_file_that_is_no_database_is_4(cli: Any, tmp_path: Path) -> None:
    """A failure of the driver is one line, too."""
    (tmp_path / "calls.db").write_bytes(b"this is no database at all, " * 100)
    result = cli("migrate")
    assert result.exit_code == 4
    assert "cannot be used now: file is not a database" in result.stderr


def test_server_that_is_not_there_is_4(cli: Any) -> None:
    """An unreachable server is told without its password."""
    db = "postgresql://me:secret@127.0.0.1:1/x"
    for words in (["migrate"], ["calls", "list"]):
        result = cli(*words, db=db)
        assert (result.exit_code, result.stdout) == (4, "")
        assert "me:***@127.0.0.1" in result.stderr
        assert "secret" not in result.stderr


def test_postgresql(cli: Any) -> None:
    """A server's schema is made by `migrate` alone; then every command works."""
    with new_database(postgres_server()) as url:
        missing = cli("calls", "list", db=url)
        assert (missing.exit_code, "migrate" in missing.stderr) == (4, True)
        assert "schema none -> 0001\n" in cli("migrate", db=url).stdout
        again = cli("migrate", db=url).stdout
        assert again.endswith("schema 0001 -> 0001\n")
        tags = {"experiment": "e", "variant": "control", "unit": "u", "propensity_ppm": 500_000}
        with modeltrail.open(url) as trail:
            make_call(trail.recorder, "run-1", tags=tags)
        assert json.loads(cli("calls", "list", "--format", "jsonl", db=url).stdout)["seq"] == 1
        assert "$0.0000063" in cli("cost", db=url).stdout
        assert cli("compare", "e", db=url).exit_code == 3
        assert cli("doctor", db=url).exit_code == 0
