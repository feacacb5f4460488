"""
The store: the one class through which the rest of modeltrail reaches SQL.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from modeltrail.errors import CorruptStoreError, StoreUnavailableError
from modeltrail.storage import migrations
from modeltrail.storage.answers import AnswerQueries
from modeltrail.storage.arrivals import ArrivalQueries
from modeltrail.storage.before import BeforeQueries
from modeltrail.storage.engine import WRITES, make_engine, parse_url
from modeltrail.storage.inserts import ROW_FAULTS, inserter_for
from modeltrail.storage.metered import Metered
from modeltrail.storage.migrations.postgres import create_partitions, months_ahead
from modeltrail.storage.observed import ObservedQueries
from modeltrail.storage.quarantine import identity, is_corrupt, move_aside, quarantined
from modeltrail.storage.rows import Batch, Row
from modeltrail.storage.series import SeriesQueries
from modeltrail.storage.trials_over_time import TrialsOverTime


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


class Store(
    SeriesQueries,
    TrialsOverTime,
    ObservedQueries,
    BeforeQueries,
    ArrivalQueries,
    AnswerQueries,
    Metered,
):
    """
    A trail's database, open for reading and appending.

    Attributes:
        url: The database, its driver named.
    """

    def __init__(self, url: URL, engine: Engine) -> None:
        super().__init__(engine)
        self.url = url
        self._insert = inserter_for(engine)
        # Of an SQLite file.
        self._path = Path(str(url.database)) if url.get_backend_name() == "sqlite" else None
        self._identity = identity(self._path) if self._path else None

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
        with ExitStack() as on_failure:
            on_failure.callback(engine.dispose)
            try:
                with engine.connect() as connection:
                    found = migrations.revision(connection)
                if is_sqlite and create and found in (None, *migrations.REVISIONS[:-1]):
                    migrations.upgrade(engine)
                else:
                    migrations.check(found)
            except SQLAlchemyError as error:
                raise _unavailable(parsed, error) from error
            on_failure.pop_all()
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
            with their tables; all others are stored, in smaller transactions.

        Raises:
            CorruptStoreError: The file is damaged or gone; `replace` it.
            StoreUnavailableError: Some of it was not stored; give all of it
                again later.
        """
        if self._path and identity(self._path) != self._identity:
            # What is written to a file that was removed is gone with its last connection.
            raise CorruptStoreError(f"the database {self._path} was taken away or replaced")
        try:
            with self._write() as connection:
                for table, rows in batch.tables():
                    self._insert(connection, table, rows)
        except ROW_FAULTS:
            if len(batch) == 1:
                return [(table, row) for table, rows in batch.tables() for row in rows]
            return [refused for half in batch.halves() for refused in self.append(half)]
        except SQLAlchemyError as error:
            raise _unavailable(self.url, error) from error
        return []

    def replace(self) -> Path | None:
        """
        Move a damaged SQLite file aside and go on with a new one.

        Returns:
            Where the damaged file is now, None if there is another file already,
            or none at all.

        Raises:
            StoreUnavailableError: That cannot be done now.
        """
        assert self._path is not None
        try:
            self._engine.dispose()
            moved = move_aside(self._path, self._identity)
            migrations.upgrade(self._engine)
            self._identity = identity(self._path)
        except SQLAlchemyError as error:
            raise _unavailable(self.url, error) from error
        except OSError as error:
            raise StoreUnavailableError(
                f"the damaged database {self._path} cannot be moved aside ({error.strerror})"
            ) from error
        return moved

    def quarantined(self) -> list[Path]:
        """
        Return the damaged databases that were moved aside.
        """
        return quarantined(self._path) if self._path else []

    def months_ahead(self) -> int | None:
        """
        Return for how many months to come a server has partitions, None if it needs none.

        Raises:
            StoreUnavailableError: The database cannot be read.
        """
        if self.url.get_backend_name() != "postgresql":
            return None
        try:
            with self._engine.connect() as connection:
                return months_ahead(connection)
        except SQLAlchemyError as error:
            raise _unavailable(self.url, error) from error

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


def _unavailable(url: URL, error: SQLAlchemyError) -> StoreUnavailableError:
    # The first line only: the rest repeats the statement.
    reason = str(error.__cause__ or error).partition("\n")[0]
    plain = url.set(drivername=url.get_backend_name())
    shown = plain.render_as_string(hide_password=True)
    kind = CorruptStoreError if is_corrupt(error) else StoreUnavailableError
    return kind(f"the database {shown} cannot be used now: {reason}")
