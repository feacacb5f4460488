"""
Named reads of calls over time: sums per hour, and of both sides of a moment.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Float, case, cast, func, literal_column, select

from modeltrail.storage.dimensions import HOUR_US, Keys
from modeltrail.storage.queries import CALLS, Filters, Queries, conditions


class Hour(NamedTuple):
    """
    The calls of one group that started within one hour, summed up.

    Attributes:
        key: The values that they share, in the order asked for.
        hour: Hours since 1970, UTC.
        output_tokens: None if no call reports any; so are all that follow.
        output_tokens_squared: The sum of their squares, and so below.
        latency_us: The sum over the calls whose latency is known.
        timed: How many these are.
    """

    key: tuple[str | None, ...]
    hour: int
    calls: int
    errors: int
    output_tokens: int | None
    output_tokens_squared: float | None
    cost_nanousd: int | None
    cost_nanousd_squared: float | None
    latency_us: int | None
    timed: int


class SeriesQueries(Queries):
    """
    Reads of how calls change.
    """

    def hours(self, by: Sequence[str], filters: Filters = Filters()) -> list[Hour]:
        """
        Return the calls of each hour that has any, summed up by dimensions.

        Raises:
            ConfigurationError: A dimension is unknown.
        """
        keys = Keys(by, CALLS, self._engine.dialect.name)
        # Written out: PostgreSQL takes two parameters for two different groups.
        hour = CALLS.c.started_at_us.op("/")(literal_column(str(HOUR_US)))
        query = (
            select(
                *keys.columns,
                hour.label("hour"),
                func.count().label("calls"),
                func.count(case((CALLS.c.status == "error", 1))).label("errors"),
                func.sum(CALLS.c.output_tokens).label("output_tokens"),
                _squares(CALLS.c.output_tokens).label("output_tokens_squared"),
                func.sum(CALLS.c.cost_nanousd).label("cost_nanousd"),
                _squares(CALLS.c.cost_nanousd).label("cost_nanousd_squared"),
                func.sum(CALLS.c.latency_us).label("latency_us"),
                func.count(CALLS.c.latency_us).label("timed"),
            )
            .where(*conditions(filters))
            .group_by(*keys.names, hour)
            .order_by(hour)
        )
        return [_hour(row, keys) for row in self._rows(query)]


def _squares(column: ColumnElement[Any]) -> ColumnElement[Any]:
    # As floats: squares of nano-dollars leave the integers of both databases.
    return func.sum(cast(column, Float) * cast(column, Float))


def _hour(row: Mapping[str, Any], keys: Keys) -> Hour:
    figures = {name: None if row[name] is None else _NUMBERS[name](row[name]) for name in _NUMBERS}
    return Hour(key=keys.of(row), **figures)  # type: ignore[arg-type]


# A sum of BIGINT is a Decimal on PostgreSQL.
_NUMBERS: Mapping[str, Any] = {
    name: float if name.endswith("_squared") else int for name in Hour._fields[1:]
}
