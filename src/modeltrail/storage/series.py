"""
Named reads of calls over time: sums per hour, and of both sides of a moment.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

import msgspec
from sqlalchemy import ColumnElement, Float, Integer, case, cast, func, literal_column, or_, select

from modeltrail.errors import ConfigurationError
from modeltrail.record import OutputFormat
from modeltrail.storage.dimensions import HOUR_US, TEXTS, Keys
from modeltrail.storage.queries import CALLS, Filters, Queries, conditions, one_if


class Hour(NamedTuple):
    """
    The calls of one group that started within one hour, summed up.

    Attributes:
        key: The values that they share, in the order asked for.
        hour: Hours since 1970, UTC.
        unpriced: How many of them have no known cost.
        input_tokens: None if no call reports any; so are all that follow.
        output_tokens_squared: The sum of their squares, and so below.
        latency_us: The sum over the calls whose latency is known.
        timed: How many these are.
    """

    key: tuple[str | None, ...]
    hour: int
    calls: int
    errors: int
    unpriced: int
    input_tokens: int | None
    output_tokens: int | None
    output_tokens_squared: float | None
    cost_nanousd: int | None
    cost_nanousd_squared: float | None
    latency_us: int | None
    timed: int


FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)
# What providers say of answers that were cut off, or held back.
CUT_OFF = ("length", "max_tokens")
HELD_BACK = ("content_filter", "safety", "refusal")
_COUNTS = (
    "calls",
    "errors",
    "schema_known",
    "schema_failed",
    "finish_known",
    "cut_off",
    "held_back",
)
AVERAGED = ("output_tokens", "output_chars", "latency_us")


class Sums(NamedTuple):
    """
    A number of each call, summed up over the calls that report it.

    Attributes:
        squared: The sum of the squares.
    """

    n: int
    total: float
    squared: float


class Side(NamedTuple):
    """
    The calls of one group on one side of a moment.

    Attributes:
        formats: How many answers had each format that occurs.
        schema_known: Of how many it is known whether they fit their schema.
        finish_known: Of how many it is known why they ended.
        sums: Of each of `AVERAGED`.
    """

    key: tuple[str | None, ...]
    is_after: bool
    calls: int
    errors: int
    formats: Mapping[str, int]
    schema_known: int
    schema_failed: int
    finish_known: int
    cut_off: int
    held_back: int
    sums: Mapping[str, Sums]


class Served(NamedTuple):
    """
    When one model, in one state, served a group.
    """

    key: tuple[str | None, ...]
    response_model: str | None
    system_fingerprint: str | None
    first_us: int
    calls: int


class SeriesQueries(Queries):
    """
    Reads of how calls change.
    """

    def hours(
        self,
        by: Sequence[str],
        filters: Filters = Filters(),
        only: Mapping[str, str] = MappingProxyType({}),
    ) -> list[Hour]:
        """
        Return the calls of each hour that has any, summed up by dimensions.

        Args:
            only: Values of columns of texts; only calls that have them count.

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
                (func.count() - func.count(CALLS.c.cost_nanousd)).label("unpriced"),
                func.sum(CALLS.c.input_tokens).label("input_tokens"),
                func.sum(CALLS.c.output_tokens).label("output_tokens"),
                _squares(CALLS.c.output_tokens).label("output_tokens_squared"),
                func.sum(CALLS.c.cost_nanousd).label("cost_nanousd"),
                _squares(CALLS.c.cost_nanousd).label("cost_nanousd_squared"),
                func.sum(CALLS.c.latency_us).label("latency_us"),
                func.count(CALLS.c.latency_us).label("timed"),
            )
            .where(*conditions(filters), *_only(only))
            .group_by(*keys.names, hour)
            .order_by(hour, *keys.order)
        )
        return [_hour(row, keys) for row in self._rows(query)]

    def latency_p95(
        self, filters: Filters, only: Mapping[str, str], hours: int | None
    ) -> dict[int, tuple[int, int]]:
        """
        Return the 95th percentile of the latency by the nearest rank, and of how many calls.

        Args:
            hours: Of how many hours each; None takes all in one.

        Returns:
            By number of the period since 1970, 0 for all in one.
        """
        latency = CALLS.c.latency_us
        length: ColumnElement[int] = literal_column(str(HOUR_US * (hours or 0)))
        period = CALLS.c.started_at_us.op("/")(length) if hours else literal_column("0")
        ranked = (
            select(
                period.label("period"),
                latency.label("latency_us"),
                func.row_number().over(partition_by=period, order_by=latency).label("place"),
                func.count().over(partition_by=period).label("n"),
            )
            .where(*conditions(filters), *_only(only), latency.is_not(None))
            .subquery()
        )
        # The rank is 0.95 n, rounded up.
        rank = (ranked.c.n * 95 + 99) // literal_column("100", Integer)
        query = select(ranked).where(ranked.c.place == rank)
        return {
            int(row["period"]): (int(row["latency_us"]), int(row["n"])) for row in self._rows(query)
        }

    def sides(
        self,
        by: Sequence[str],
        at_us: int,
        filters: Filters,
        key: Sequence[str | None] | None = None,
    ) -> list[Side]:
        """
        Return the answers of each group before and after a moment, summed up.

        Hits of a cache repeat old answers, and nobody saw shadow traffic: neither counts.

        Args:
            key: Only this group.
        """
        keys = Keys(by, CALLS, self._engine.dialect.name)
        is_after = one_if(CALLS.c.started_at_us >= literal_column(str(int(at_us))))
        wanted = filters if key is None else _narrowed(filters, by, key)
        query = (
            select(*keys.columns, is_after.label("is_after"), *_answers())
            .where(*conditions(wanted), *_seen())
            .group_by(*keys.names, literal_column("is_after"))
            .order_by(*keys.order)
        )
        found = [_side(row, keys) for row in self._rows(query)]
        return [side for side in found if key is None or side.key == tuple(key)]

    def served(self, by: Sequence[str], filters: Filters = Filters()) -> list[Served]:
        """
        Return which models served each group, and since when, in order of time.
        """
        keys = Keys(by, CALLS, self._engine.dialect.name)
        state = (CALLS.c.response_model, CALLS.c.system_fingerprint)
        first = func.min(CALLS.c.started_at_us)
        query = (
            select(*keys.columns, *state, first.label("first_us"), func.count().label("calls"))
            .where(*conditions(filters), *_seen(), CALLS.c.response_model.is_not(None))
            .group_by(*keys.names, *state)
            .order_by(first, *keys.order)
        )
        return [
            Served(
                keys.of(row),
                row["response_model"],
                row["system_fingerprint"],
                int(row["first_us"]),
                int(row["calls"]),
            )
            for row in self._rows(query)
        ]


def _only(values: Mapping[str, str]) -> list[ColumnElement[bool]]:
    if unknown := values.keys() - set(TEXTS):
        names = ", ".join(map(repr, sorted(unknown)))
        raise ConfigurationError(f"calls cannot be told by {names}; use {', '.join(TEXTS)}")
    return [CALLS.c[name] == value for name, value in values.items()]


def _seen() -> tuple[ColumnElement[bool], ...]:
    return tuple(
        func.coalesce(column, False).is_(False) for column in (CALLS.c.shadow, CALLS.c.cache_hit)
    )


def _narrowed(filters: Filters, by: Sequence[str], key: Sequence[str | None]) -> Filters:
    # What a filter can say finds the group by an index; the rest is told from what was found.
    known = {
        name: value
        for name, value in zip(by, key, strict=True)
        if name in Filters.__struct_fields__ and value is not None
    }
    return msgspec.structs.replace(filters, **known)


def _answers() -> list[ColumnElement[Any]]:
    reasons = func.lower(CALLS.c.finish_reasons)
    found: list[ColumnElement[Any]] = [
        func.count().label("calls"),
        func.sum(one_if(CALLS.c.status == "error")).label("errors"),
        func.count(CALLS.c.schema_ok).label("schema_known"),
        func.sum(one_if(CALLS.c.schema_ok.is_(False))).label("schema_failed"),
        func.count(CALLS.c.finish_reasons).label("finish_known"),
        func.sum(one_if(_one_of(reasons, CUT_OFF))).label("cut_off"),
        func.sum(one_if(_one_of(reasons, HELD_BACK))).label("held_back"),
    ]
    found += [
        func.sum(one_if(CALLS.c.output_format == name)).label(f"format_{name}") for name in FORMATS
    ]
    for name in AVERAGED:
        column = CALLS.c[name]
        found += [
            func.count(column).label(f"{name}_n"),
            func.sum(column).label(f"{name}_total"),
            _squares(column).label(f"{name}_squared"),
        ]
    return found


def _one_of(reasons: ColumnElement[Any], words: Sequence[str]) -> ColumnElement[bool]:
    # The column is a JSON list; a word in it stands between quotes.
    return or_(*(reasons.contains(f'"{word}"', autoescape=True) for word in words))


def _side(row: Mapping[str, Any], keys: Keys) -> Side:
    return Side(
        key=keys.of(row),
        is_after=bool(row["is_after"]),
        formats={name: number for name in FORMATS if (number := int(row[f"format_{name}"]))},
        sums={
            name: Sums(
                int(row[f"{name}_n"]),
                float(row[f"{name}_total"] or 0),
                float(row[f"{name}_squared"] or 0),
            )
            for name in AVERAGED
        },
        **{name: int(row[name]) for name in _COUNTS},
    )


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
