"""
The groups that matter most, found by the database.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, Subquery, case, func, select

from modeltrail.storage.dimensions import Keys

Order = Literal["cost", "tokens", "latency", "errors", "calls"]


class TopGroup(NamedTuple):
    """
    Calls of one group, summed up, and how long they took.

    Attributes:
        key: The values that they share, in the order asked for; empty for all calls.
        unpriced: How many of them have no known cost.
        timed: How many of them have a known latency.
        latency_us: The sum of these latencies.
        max_latency_us: The longest.
    """

    key: tuple[str | None, ...]
    calls: int
    errors: int
    unpriced: int
    input_tokens: int | None
    output_tokens: int | None
    cost_nanousd: int | None
    timed: int
    latency_us: int | None
    max_latency_us: int | None


class Top(NamedTuple):
    """
    The groups that come first in an order, and what all calls sum up to.

    Attributes:
        groups: How many groups there are in all.
    """

    shown: list[TopGroup]
    everything: TopGroup
    groups: int


_FIGURES = TopGroup._fields[1:]
# What is not known comes last, behind zero.
_ORDERS: Mapping[Order, Any] = {
    "cost": lambda group: func.coalesce(group.cost_nanousd, -1),
    "tokens": lambda group: func.coalesce(
        func.coalesce(group.input_tokens, 0) + func.coalesce(group.output_tokens, 0), -1
    ),
    "latency": lambda group: func.coalesce(group.latency_us * 1.0 / group.timed, -1.0),
    "errors": lambda group: group.errors,
    "calls": lambda group: group.calls,
}


def top_query(
    keys: Keys,
    calls: FromClause,
    where: Sequence[ColumnElement[bool]],
    order: Order,
    limit: int,
) -> Select[Any]:
    """
    Return the query for the first groups of an order, with the totals in each row.

    In one statement: totals that are asked for later would include later calls.
    """
    summed = select(*keys.columns, *_figures(calls)).where(*where).group_by(*keys.names)
    groups = summed.subquery("sums")
    totals = [_total(groups, name).label(f"all_{name}") for name in _FIGURES]
    return (
        select(groups, *totals, func.count().over().label("groups"))
        .order_by(
            _ORDERS[order](groups.c).desc(),
            groups.c.calls.desc(),
            *(groups.c[column.name].nulls_first() for column in keys.columns),
        )
        .limit(limit)
    )


def top_from(rows: Sequence[Mapping[str, Any]], keys: Keys) -> Top:
    """
    Return what the rows of a `top_query` say.
    """
    if not rows:
        return Top([], TopGroup((), 0, 0, 0, None, None, None, 0, None, None), 0)
    shown = [TopGroup(keys.of(row), *_read(row, "")) for row in rows]
    everything = TopGroup((), *_read(rows[0], "all_"))
    return Top(shown, everything, rows[0]["groups"])


def _figures(calls: FromClause) -> list[ColumnElement[Any]]:
    columns = calls.c
    found = {
        "calls": func.count(),
        "errors": func.count(case((columns.status == "error", 1))),
        "unpriced": func.count() - func.count(columns.cost_nanousd),
        "input_tokens": func.sum(columns.input_tokens),
        "output_tokens": func.sum(columns.output_tokens),
        "cost_nanousd": func.sum(columns.cost_nanousd),
        "timed": func.count(columns.latency_us),
        "latency_us": func.sum(columns.latency_us),
        "max_latency_us": func.max(columns.latency_us),
    }
    return [found[name].label(name) for name in _FIGURES]


def _total(groups: Subquery, name: str) -> ColumnElement[Any]:
    joined = func.max if name == "max_latency_us" else func.sum
    return joined(groups.c[name]).over()


def _read(row: Mapping[str, Any], before: str) -> Any:
    # A sum of BIGINT is a Decimal on PostgreSQL.
    found = (row[before + name] for name in _FIGURES)
    return [None if value is None else int(value) for value in found]
