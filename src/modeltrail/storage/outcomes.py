"""
Which outcomes count: of a call, a trace or a session the one that was known last, of a unit all.

A judgement of an answer that is told again is a correction. Of a user, what is told is seldom
one thing: each sale, each rating is an observation of its own.
"""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, String, cast, column, func, select, table

from modeltrail.storage.tables import Outcome

# What an outcome can belong to.
LINKS = ("call_id", "trace_id", "session_ref", "unit_ref")
_MICROS = 1_000_000
_COLUMNS = Outcome.metadata.tables["outcome"].c
# The view that other tools read as well, with the types of the table.
OUTCOMES = table(
    "outcomes",
    column("value"),
    *(column(name, _COLUMNS[name].type) for name in ("id", "at_us", "name", *LINKS)),
)


def counting(link: str, *wanted: ColumnElement[bool]) -> FromClause:
    """
    Return the outcomes that count, of those that belong to one kind of thing.

    Args:
        link: One of `LINKS`.
        wanted: Only those whose columns of `OUTCOMES` are like this.
    """
    c = OUTCOMES.c
    if link == "unit_ref":
        return select(c.name, c.value, c.at_us, c.unit_ref).where(*wanted).subquery("told")
    # By id, too, which tells when it was recorded: two may have been known at once.
    newest = (c.at_us.desc(), cast(c.id, String).desc())
    place = func.row_number().over(partition_by=(c.name, c[link]), order_by=newest)
    ranked = select(c.name, c.value, c.at_us, c[link], place.label("place")).where(
        c[link].is_not(None), *wanted
    )
    placed = ranked.subquery("placed")
    known = (placed.c.name, placed.c.value, placed.c.at_us, placed.c[link])
    return select(*known).where(placed.c.place == 1).subquery("last")


def in_micros(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """
    Return values in millionths, as they are stored: sums of whole numbers depend on no order.
    """
    return func.round(value * _MICROS)
