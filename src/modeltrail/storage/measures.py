"""
What is summed up of the calls of an experiment: a total and a count, as columns of SQL.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, and_, case, func

from modeltrail.errors import ConfigurationError
from modeltrail.storage.queries import one_if


class Measure(NamedTuple):
    """
    What to sum up of the calls of a unit.

    Attributes:
        name: One of `MEASURES`.
        cap: What larger values of a call count as, in the column's own unit; None for no cap.
    """

    name: str
    cap: int | None = None


_Value = Callable[[Any], tuple[Any, Any]]


def _known(name: str) -> _Value:
    return lambda c: (c[name], c[name])


# Measure -> what a call adds to its total, and what is not NULL where the call counts.
MEASURES: Mapping[str, _Value] = {
    "cost": _known("cost_nanousd"),
    "cost_per_ok": lambda c: (
        c.cost_nanousd,
        case((and_(c.status == "ok", c.cost_nanousd.is_not(None)), 1)),
    ),
    "latency": _known("latency_us"),
    "tokens": lambda c: (c.input_tokens + c.output_tokens, c.input_tokens + c.output_tokens),
    "errors": lambda c: (one_if(c.status == "error"), 1),
}
CAPPED = frozenset({"cost", "latency", "tokens"})


def sums_of(calls: FromClause, measure: Measure) -> list[ColumnElement[Any]]:
    """
    Return the total and the count of a measure.

    Raises:
        ConfigurationError: It is unknown, or has a cap that it cannot have.
    """
    if measure.name not in MEASURES:
        raise ConfigurationError(f"no measure is named {measure.name!r}: {', '.join(MEASURES)}")
    value, counted = MEASURES[measure.name](calls.c)
    if measure.cap is not None:
        if measure.name not in CAPPED:
            raise ConfigurationError(f"{measure.name} has no cap: {', '.join(sorted(CAPPED))} have")
        value = case((value > measure.cap, measure.cap), else_=value)
    return [func.sum(value), func.count(counted)]


def in_pairs(sums: Sequence[Any]) -> tuple[tuple[int, int], ...]:
    """
    Return the totals and counts of measures as they come in a row.
    """
    # A sum of BIGINT is a Decimal on PostgreSQL, and NULL where there is nothing to sum up.
    whole = [int(each or 0) for each in sums]
    return tuple(zip(whole[::2], whole[1::2], strict=True))
