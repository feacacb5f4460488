"""
What calls can be grouped by.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    JSON,
    ColumnElement,
    FromClause,
    Text,
    case,
    cast,
    func,
    literal,
    literal_column,
)

from modeltrail.errors import ConfigurationError

# Columns of the record; those of booleans are read as `true` and `false`.
COLUMNS = (
    "feature",
    "segment",
    "experiment",
    "phase",
    "variant",
    "environment",
    "unit_type",
    "unit_ref",
    "user_ref",
    "session_ref",
    "framework",
    "framework_version",
    "operation",
    "provider",
    "request_model",
    "response_model",
    "deployment",
    "service_tier",
    "streaming",
    "is_fallback",
    "cache_hit",
    "shadow",
    "status",
    "error_type",
    "error_code",
    "finish_reasons",
    "usage_source",
    "cost_source",
    "output_format",
    "prompt_digest",
)
# Those of them that hold texts.
TEXTS = tuple(
    name for name in COLUMNS if name not in {"streaming", "is_fallback", "cache_hit", "shadow"}
)
TAG = "tag."
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What a JSON path of SQLite cannot name.
_UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')


class Dimension(NamedTuple):
    """
    One thing that calls are grouped by.

    Attributes:
        value: What the database groups by.
        as_text: Turns a value that is known into the text that people read.
    """

    value: Callable[[FromClause], ColumnElement[Any]]
    as_text: Callable[[Any], str] = str


class Keys:
    """
    The dimensions of one query: what it selects, groups by and reads.

    Attributes:
        columns: What is selected.
        names: What is grouped by. By name, since PostgreSQL does not see that
            two expressions with parameters are the same.
        order: What puts groups that are else alike into one order, on every database.

    Raises:
        ConfigurationError: A dimension is unknown.
    """

    def __init__(self, names: Sequence[str], calls: FromClause, dialect: str) -> None:
        self._dimensions = [_dimension(name, dialect) for name in names]
        self.columns = [
            each.value(calls).label(f"key_{place}") for place, each in enumerate(self._dimensions)
        ]
        self.names: list[ColumnElement[Any]] = [
            literal_column(column.name) for column in self.columns
        ]
        self.order = [name.nulls_first() for name in self.names]

    def of(self, row: Mapping[str, Any]) -> tuple[str | None, ...]:
        """
        Return the values that a row's calls share, in the order asked for.
        """
        return self.read([row[column.name] for column in self.columns])

    def read(self, values: Sequence[Any]) -> tuple[str | None, ...]:
        """
        Return the values of `columns` as people read them.
        """
        return tuple(
            None if value is None else each.as_text(value)
            for each, value in zip(self._dimensions, values, strict=True)
        )


def _dimension(name: str, dialect: str) -> Dimension:
    if name in DIMENSIONS:
        return DIMENSIONS[name]
    if (kept := f"{name}_ref") in DIMENSIONS:
        raise ConfigurationError(
            f"calls cannot be grouped by {name!r}, of which only a keyed reference is kept: {kept}"
        )
    tag = name.removeprefix(TAG)
    if tag in {name, ""}:
        raise ConfigurationError(
            f"calls cannot be grouped by {name!r}; choose from {', '.join(DIMENSIONS)}, {TAG}NAME"
        )
    if _UNNAMEABLE.search(tag):
        raise ConfigurationError(
            f"calls cannot be grouped by the tag {tag!r}: its name has a quote, a backslash or a "
            "control character"
        )
    return Dimension(lambda calls: free_tag(calls, tag, dialect))


def free_tag(calls: FromClause, name: str, dialect: str) -> ColumnElement[Any]:
    """
    Return a free tag as text; NULL where a call has none of that name.
    """
    return _TAGS[dialect](calls.c.tags, name)


def _column(name: str) -> Dimension:
    return Dimension(lambda calls: calls.c[name], _text)


def _text(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value


def _bucket(width_us: int, form: str) -> Dimension:
    # An integer division takes a tenth of what a date function of SQLite takes.
    return Dimension(
        lambda calls: calls.c.started_at_us // width_us,
        lambda bucket: (_EPOCH + timedelta(microseconds=bucket * width_us)).strftime(form),
    )


def _month(calls: FromClause) -> ColumnElement[Any]:
    """
    Return the number of a month: 12 times the year, counted from March 1968, and the month in it.

    A year that begins in March has its odd day at the end: so four years from
    March 1968 have 1461 days, and five months of it have 153, until February
    of 2100 is the first to break the rule.
    """
    days = calls.c.started_at_us // DAY_US + 671
    year = (days * 4 + 3) // 1461
    day = days - year * 1461 // 4
    return year * 12 + (day * 5 + 2) // 153


def _month_text(number: int) -> str:
    year, month = divmod(number + 2, 12)
    return f"{1968 + year:04}-{month + 1:02}"


def _tag_on_sqlite(tags: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    path = literal(f'$."{name}"', Text())
    kind = func.json_type(tags, path)
    # It reads booleans as 1 and 0.
    plain = cast(func.json_extract(tags, path), Text())
    return case((kind.in_(("true", "false")), kind), else_=plain)


def _tag_on_postgresql(tags: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    return cast(tags, JSON).op("->>", return_type=Text())(literal(name, Text()))


_TAGS = {"sqlite": _tag_on_sqlite, "postgresql": _tag_on_postgresql}

DIMENSIONS: Mapping[str, Dimension] = {
    **{name: _column(name) for name in COLUMNS},
    # The model that answered, or else the one that was asked for.
    "model": Dimension(lambda calls: func.coalesce(calls.c.response_model, calls.c.request_model)),
    "hour": _bucket(HOUR_US, "%Y-%m-%dT%H"),
    "day": _bucket(DAY_US, "%Y-%m-%d"),
    "month": Dimension(_month, _month_text),
}
