"""
From a URL to an engine, with the settings each database needs.
"""

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from modeltrail.errors import ConfigurationError, MissingExtraError, StoreUnavailableError

# SQLite lets those who wait for a lock try again and again, in no order: of many processes one may
# be unlucky for seconds.
BUSY_TIMEOUT_MS = 20_000
# What the URL does not say: a server that has gone must be noticed.
SERVER_SETTINGS = {
    "application_name": "modeltrail",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
# A connection that will write says so before it begins: a deferred transaction
# that reads first is refused at once when another process writes.
WRITES = {"modeltrail_writes": True}


def parse_url(url: str) -> URL:
    """
    Check a database URL and name its driver.

    Raises:
        ConfigurationError: It is no URL of a database that this can use.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            f"{_without_password(url)!r} is no database URL; "
            "use sqlite:///calls.db or postgresql://user@host/name"
        ) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _parse_sqlite(parsed)
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigurationError(
        f"databases of kind {backend!r} are not supported; use sqlite:/// or postgresql://"
    )


def make_engine(url: URL, *, reads_only: bool = False) -> Engine:
    """
    Make an engine.

    Args:
        reads_only: Change nothing, not even the journal mode of an SQLite
            file, which is kept in the file itself.

    Raises:
        MissingExtraError: The driver is not installed.
        StoreUnavailableError: The folder of an SQLite file does not exist or
            cannot be written.
    """
    # hide_parameters: an error message must never carry a row's content.
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database))
        _check_folder(path)
        if reads_only:
            engine = create_engine(url, hide_parameters=True, creator=lambda: _read_sqlite(path))
        else:
            engine = create_engine(url, hide_parameters=True)
            event.listen(engine, "connect", _make_durable)
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _on_sqlite_begin)
        return engine
    given = {name: value for name, value in SERVER_SETTINGS.items() if name not in url.query}
    try:
        engine = create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=given)
    except ModuleNotFoundError as error:
        raise MissingExtraError("postgres", "a PostgreSQL trail") from error
    event.listen(engine, "begin", _on_postgres_begin)
    return engine


def _parse_sqlite(url: URL) -> URL:
    if not url.database or url.database == ":memory:":
        raise ConfigurationError(
            "a trail must outlive its process: give SQLite a file, such as sqlite:///calls.db"
        )
    path = Path(url.database).expanduser().absolute()
    return url.set(drivername="sqlite+pysqlite", database=str(path))


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise StoreUnavailableError(f"the folder {path.parent} does not exist; make it first")


def _read_sqlite(path: Path) -> sqlite3.Connection:
    """
    Connect for reading, on a disk that cannot be written if need be.

    A database in WAL mode asks for a shared file even to be read. Without a
    journal to apply it can be read as a file that nobody changes.
    """
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode != sqlite3.SQLITE_CANTOPEN or not path.exists():
            raise
    else:
        return connection
    journal = Path(f"{path}-wal")
    if journal.exists() and journal.stat().st_size:
        raise StoreUnavailableError(
            f"{journal} holds rows that cannot be read where nothing can be written; "
            f"copy both files to a folder that can be, and read them there"
        )
    frozen = f"file:{quote(str(path))}?mode=ro&immutable=1"
    return sqlite3.connect(frozen, uri=True, check_same_thread=False)


def _on_sqlite_connect(connection: Any, _: Any) -> None:
    # The driver's own transaction handling is off: we begin ourselves.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")


def _make_durable(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # A segment of the spool goes once its rows are committed, so the commit
    # must be on the disk and not just in the cache.
    connection.execute("PRAGMA synchronous = FULL")


def _on_sqlite_begin(connection: Any) -> None:
    writes = connection.get_execution_options().get("modeltrail_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _on_postgres_begin(connection: Any) -> None:
    # A segment of the spool goes once its rows are committed, so the commit must be on the
    # server's disk, whatever its configuration says; a stronger setting stays. For this
    # transaction only, since a pooler may give the session to others.
    if connection.get_execution_options().get("modeltrail_writes"):
        connection.exec_driver_sql(
            "SELECT set_config('synchronous_commit', 'on', true) "
            "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
        )


def _without_password(url: str) -> str:
    head, separator, tail = url.rpartition("@")
    return f"...@{tail}" if separator and head else url
