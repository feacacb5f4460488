"""
How rows get into each database: rows that are there already are passed over.
"""

from typing import Any, NoReturn, Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from modeltrail.storage.migrations import HEAD
from modeltrail.storage.rows import COLUMNS, Row

# The row itself is at fault, so that waiting would not help.
ROW_FAULTS = (DataError, IntegrityError, ValueError, TypeError, OverflowError)


class Inserter(Protocol):
    """
    Inserts rows of one table within a transaction.
    """

    def __call__(self, connection: Connection, table: str, rows: list[Row]) -> None:
        """
        Insert rows.

        Raises:
            One of `ROW_FAULTS`: The database takes one of them under no
                circumstances.
            SQLAlchemyError: The database cannot take them now.
        """


def inserter_for(engine: Engine) -> Inserter:
    """
    Return what inserts into a database of this kind.
    """
    return _execute_many if engine.dialect.name == "sqlite" else _Copy()


def _execute_many(connection: Connection, table: str, rows: list[Row]) -> None:
    # Half of a call's columns are mostly empty, and Python's sqlite3 looks for an adapter of each
    # None: to name these columns, too, would take longer than all else that an insert does.
    filled = {
        name: values
        for name, values in zip(COLUMNS[table], zip(*rows, strict=True), strict=True)
        if values[0] is not None or values.count(None) < len(values)
    }
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    marks = ", ".join([mark] * len(filled))
    # "call" and the columns need no quotes in either database.
    insert = f"INSERT INTO {table} ({', '.join(filled)}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    connection.exec_driver_sql(insert, list(zip(*filled.values(), strict=True)))


class _Copy:
    """
    Copies rows into a temporary table and inserts them from there.

    COPY is the cheapest way into PostgreSQL, but knows no ON CONFLICT. A role
    that may make no temporary tables inserts them one by one.
    """

    def __init__(self) -> None:
        self._allowed: bool | None = None

    def __call__(self, connection: Connection, table: str, rows: list[Row]) -> None:
        if self._allowed is None:
            asked = connection.exec_driver_sql(
                "SELECT has_database_privilege(current_database(), 'TEMP')"
            )
            self._allowed = bool(asked.scalar())
        if self._allowed:
            _copy(connection, table, rows)
        else:
            _execute_many(connection, table, rows)


def _copy(connection: Connection, table: str, rows: list[Row]) -> None:
    import psycopg

    names = ", ".join(COLUMNS[table])
    # Of this schema: a pooled session may still have that of an older one.
    incoming = f"modeltrail_{HEAD}_{table}"
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {incoming} ON COMMIT DELETE ROWS "
        f"AS SELECT {names} FROM {table} WITH NO DATA"
    )
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor:
            with cursor.copy(f"COPY {incoming} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(
                f"INSERT INTO {table} ({names}) SELECT {names} FROM {incoming} "
                "ON CONFLICT DO NOTHING"
            )
    except psycopg.Error as error:
        _raise_as_sqlalchemy(error)


def _raise_as_sqlalchemy(error: Any) -> NoReturn:
    import psycopg

    kinds = {psycopg.DataError: DataError, psycopg.IntegrityError: IntegrityError}
    known = next((kinds[kind] for kind in kinds if isinstance(error, kind)), OperationalError)
    raise known("COPY", None, error, hide_parameters=True) from error
