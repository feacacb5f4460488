"""
The store: the one class through which the rest of modeltrail reaches SQL.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from modeltrail.errors import StoreUnavailableError
from modeltrail.storage import migrations
from modeltrail.storage.engine import WRITES, make_engine, parse_url
from modeltrail.storage.migrations.postgres import create_partitions
from modeltrail.storage.queries import Queries
from modeltrail.storage.rows import COLUMNS, Batch, Row

# The row itself is at fault, so that waiting would not help.
_ROW_FAULTS = (DataError, IntegrityError, ValueError, TypeError, OverflowError)


class Migrated(NamedTuple):
    """
    What a migration did.

    Attributes:
        before: The schema revision before, None if there was none.
        partitions: The names of the partitions made.
    """

    before: str | None
    after: str
    partitions: list[str]


class Store(Queries):
    """
    A trail's database, open for reading and appending.

    Attributes:
        url: The database, its driver named.
    """

    def __init__(self, url: URL, engine: Engine) -> None:
        super().__init__(engine)
        self.url = url
        self._inserts = {table: _insert(table, engine) for table in COLUMNS}

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Self:
        """
        Open a trail's database.

        An SQLite file is made and brought to the current schema; a server's
        schema is changed only by `modeltrail migrate`.

        Args:
            create: Whether an SQLite file may be made, or brought to the
                current schema.

        Raises:
            ConfigurationError: The URL cannot be used.
            StoreUnavailableError: The database cannot be reached.
            SchemaError: Its schema does not fit this version.
        """
        parsed = parse_url(url)
        engine = make_engine(parsed, reads_only=not create)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        if is_sqlite and not create and not Path(str(parsed.database)).exists():
            raise StoreUnavailableError(
                f"there is no trail at {parsed.database}; name another with --db or MODELTRAIL_URL"
            )
        try:
            with engine.connect() as connection:
                found = migrations.revision(connection)
            if is_sqlite and create and found in (None, *migrations.REVISIONS[:-1]):
                migrations.upgrade(engine)
            else:
                migrations.check(found)
        except SQLAlchemyError as error:
            raise _unavailable(parsed, error) from error
        return cls(parsed, engine)

    @staticmethod
    def migrate(url: str) -> Migrated:
        """
        Bring a database to the current schema, making it if it is an SQLite file.

        Raises:
            ConfigurationError: The URL cannot be used.
            StoreUnavailableError: The database cannot be reached or changed.
            SchemaError: It is newer than this version.
        """
        parsed = parse_url(url)
        engine = make_engine(parsed)
        try:
            before, after = migrations.upgrade(engine)
            if parsed.get_backend_name() != "postgresql":
                return Migrated(before, after, [])
            with engine.begin() as connection:
                return Migrated(before, after, create_partitions(connection))
        except SQLAlchemyError as error:
            raise _unavailable(parsed, error) from error
        finally:
            engine.dispose()

    def append(self, batch: Batch) -> list[tuple[str, Row]]:
        """
        Store a batch in one transaction; rows already stored are passed over.

        Returns:
            The rows that the database refuses whatever the circumstances,
            with their tables; all others are stored.

        Raises:
            StoreUnavailableError: Nothing was stored; try again later.
        """
        try:
            with self._write() as connection:
                self._insert_all(connection, batch)
        except _ROW_FAULTS:
            return self._append_singly(batch)
        except SQLAlchemyError as error:
            raise _unavailable(self.url, error) from error
        return []

    def spool_folder(self, environ: Mapping[str, str] = os.environ) -> Path:
        """
        Return the folder of this database's spools.

        Below `MODELTRAIL_SPOOL` if that is set, else beside an SQLite file,
        else in the XDG state folder.
        """
        if base := environ.get("MODELTRAIL_SPOOL"):
            return Path(base) / self._name()
        if self.url.get_backend_name() == "sqlite":
            return Path(f"{self.url.database}.spool")
        home = Path(environ.get("HOME", "~")).expanduser()
        state = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state")
        return state / "modeltrail" / "spool" / self._name()

    def close(self) -> None:
        """
        Close all connections.
        """
        self._engine.dispose()

    def abandon(self) -> None:
        """
        In a forked child: leave the parent's connections alone.
        """
        self._engine.dispose(close=False)

    def _name(self) -> str:
        url = self.url.set(password=None).render_as_string()
        return hashlib.sha256(url.encode()).hexdigest()[:16]

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._engine.connect().execution_options(**WRITES) as connection, connection.begin():
            yield connection

    def _insert_all(self, connection: Connection, batch: Batch) -> None:
        for table, rows in zip(Batch._fields, batch, strict=True):
            if rows:
                connection.exec_driver_sql(self._inserts[table], rows)

    def _append_singly(self, batch: Batch) -> list[tuple[str, Row]]:
        refused = []
        for table, rows in zip(Batch._fields, batch, strict=True):
            for row in rows:
                try:
                    with self._write() as connection:
                        connection.exec_driver_sql(self._inserts[table], row)
                except _ROW_FAULTS:
                    refused.append((table, row))
                except SQLAlchemyError as error:
                    raise _unavailable(self.url, error) from error
        return refused


def _insert(table: str, engine: Engine) -> str:
    names = COLUMNS[table]
    mark = "?" if engine.dialect.name == "sqlite" else "%s"
    marks = ", ".join([mark] * len(names))
    # "call" and the columns need no quotes in either database.
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) ON CONFLICT DO NOTHING"


def _unavailable(url: URL, error: SQLAlchemyError) -> StoreUnavailableError:
    # The first line only: the rest repeats the statement.
    reason = str(error.__cause__ or error).partition("\n")[0]
    plain = url.set(drivername=url.get_backend_name())
    shown = plain.render_as_string(hide_password=True)
    return StoreUnavailableError(f"the database {shown} cannot be used now: {reason}")
