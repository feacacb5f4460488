"""
Tokens and costs of the calls that have both.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, and_, case, func, or_, select

from modeltrail.storage.dimensions import Keys


class Spend(NamedTuple):
    """
    Calls of one group whose cost and tokens are known, summed up.

    Attributes:
        key: The values that they share, in the order asked for.
        input_tokens: Those read from a cache or written to one included.
        left_out: How many calls of the group are in none of these sums, since their
            cost or tokens are not known.
        left_out_nanousd: What of the cost of those is known.
    """

    key: tuple[str | None, ...]
    calls: int
    input_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    output_tokens: int
    cost_nanousd: int
    left_out: int = 0
    left_out_nanousd: int = 0


_SUMMED = Spend._fields[2:7]


def spend_query(keys: Keys, calls: FromClause, where: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """
    Return the query for what groups of calls have used and cost.
    """
    columns = calls.c
    known = and_(
        columns.cost_nanousd.is_not(None),
        columns.input_tokens.is_not(None),
        # An embedding has no output to count.
        or_(columns.output_tokens.is_not(None), columns.operation == "embeddings"),
    )
    counted = func.count(case((known, 1)))
    return (
        select(
            *keys.columns,
            counted.label("calls"),
            *(func.sum(case((known, columns[name]))).label(name) for name in _SUMMED),
            (func.count() - counted).label("left_out"),
            func.sum(case((known, None), else_=columns.cost_nanousd)).label("left_out_nanousd"),
        )
        .where(*where)
        .group_by(*keys.names)
    )


def spend_from(row: Mapping[str, Any], keys: Keys) -> Spend:
    """
    Return what a row of a `spend_query` says; a count that no call reports is 0.
    """
    return Spend(keys.of(row), *(int(row[name] or 0) for name in Spend._fields[1:]))
