"""
Monthly partitions of the large tables on PostgreSQL.

A row whose month has no partition lands in the default one, so that no row is
ever refused for its date.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection, text

PARTITIONED = ("call", "amendment", "outcome")
MONTHS_AHEAD = 12


def create_partitions(connection: Connection, now: datetime | None = None) -> list[str]:
    """
    Make the partitions of this month and the next twelve that are missing.

    A month of which the default partition already holds rows stays there.

    Returns:
        The names of those made.
    """
    first = now or datetime.now(UTC)
    made: list[str | None] = []
    for table in PARTITIONED:
        connection.execute(
            text(f"CREATE TABLE IF NOT EXISTS {table}_default PARTITION OF {table} DEFAULT")
        )
        made += [
            _create_month(connection, table, first, ahead) for ahead in range(MONTHS_AHEAD + 1)
        ]
    return [name for name in made if name]


def months_ahead(connection: Connection, now: datetime | None = None) -> int:
    """
    Return for how many of the next twelve months all partitions are there, in a row.
    """
    first = now or datetime.now(UTC)
    for ahead in range(1, MONTHS_AHEAD + 1):
        names = [_partition(table, _month(first, ahead)) for table in PARTITIONED]
        if not all(_exists(connection, name) for name in names):
            return ahead - 1
    return MONTHS_AHEAD


def _create_month(connection: Connection, table: str, first: datetime, ahead: int) -> str | None:
    start, end = _month(first, ahead), _month(first, ahead + 1)
    name = _partition(table, start)
    column = "at_us" if table == "outcome" else "started_at_us"
    bounds = {"low": _us(start), "high": _us(end)}
    strays = text(
        f"SELECT 1 FROM {table}_default WHERE {column} >= :low AND {column} < :high LIMIT 1"
    )
    if _exists(connection, name) or connection.execute(strays, bounds).first():
        return None
    connection.execute(
        text(
            f"CREATE TABLE {name} PARTITION OF {table} "
            f"FOR VALUES FROM ({bounds['low']}) TO ({bounds['high']})"
        )
    )
    return name


def _partition(table: str, start: datetime) -> str:
    return f"{table}_y{start:%Y}m{start:%m}"


def _exists(connection: Connection, name: str) -> bool:
    found = connection.execute(text("SELECT to_regclass(:name)"), {"name": name})
    return found.scalar() is not None


def _month(first: datetime, ahead: int) -> datetime:
    months = first.year * 12 + first.month - 1 + ahead
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def _us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000
