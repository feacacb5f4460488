"""
URLs and settings.
"""

from pathlib import Path

import pytest
from sqlalchemy import text

from modeltrail.errors import ConfigurationError, StoreUnavailableError
from modeltrail.storage import Store
from modeltrail.storage.engine import make_engine, parse_url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("calls.db", "no database URL"),
        ("", "no database URL"),
        ("mysql://host/db", "not supported"),
        ("nonsense://host/db", "not supported"),
        ("sqlite://", "give SQLite a file"),
        ("sqlite:///:memory:", "give SQLite a file"),
    ],
)
def test_wrong_url_says_what_is_right(url: str, says: str) -> None:
    """A URL that cannot work is refused with an example of one that can."""
    with pytest.raises(ConfigurationError, match=says):
        parse_url(url)


def test_password_is_not_in_messages() -> None:
    """A malformed URL is shown without what may be a password."""
    with pytest.raises(ConfigurationError) as caught:
        parse_url("user:hunter2@host")
    assert "hunter2" not in str(caught.value)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """SQLite makes a file, not folders."""
    with pytest.raises(StoreUnavailableError, match="does not exist"):
        Store.open(f"sqlite:///{tmp_path}/missing/calls.db")


def test_file_that_is_no_database(tmp_path: Path) -> None:
    """A file of another kind is refused, not overwritten."""
    path = tmp_path / "calls.db"
    path.write_bytes(b"this is no database, " * 100)
    with pytest.raises(StoreUnavailableError, match="not a database"):
        Store.open(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"this is no")


def test_missing_file_is_not_made_for_a_reader(tmp_path: Path) -> None:
    """Reading never makes a database."""
    with pytest.raises(StoreUnavailableError, match="no trail at"):
        Store.open(f"sqlite:///{tmp_path}/calls.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_unreachable_server_is_unavailable() -> None:
    """A server that does not answer is named, without its password."""
    with pytest.raises(StoreUnavailableError) as caught:
        Store.open("postgresql://user:hunter2@127.0.0.1:1/trail")
    assert "127.0.0.1" in str(caught.value) and "hunter2" not in str(caught.value)


def test_sqlite_is_set_for_durability(url: str) -> None:
    """WAL, and every commit on the disk before the spool lets go of it."""
    Store.open(url).close()
    with make_engine(parse_url(url)).connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
