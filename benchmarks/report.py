"""
The table: one row for each promise of cost.
"""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Literal, NamedTuple

from benchmarks.figures import Interval, differences, median_interval, ratio_interval
from benchmarks.timing import Costs

DISTRIBUTIONS = (
    "modeltrail",
    "langchain-core",
    "llama-index-core",
    "litellm",
    "structlog",
    "sqlalchemy",
)
HEADS = ("measured", "ours", "reference", "ratio", "gate", "verdict", "of limit")
NOTES = """\
CPU time on one CPU: median and 95 % interval of rounds in which all take turns in one process.
"extra" is beyond the same call without a handler; "process" is all threads until everything is
stored. no-op: hears what ours hears and does nothing; limit: the least that a handler can do, a row
of metadata into a queue and raw sqlite3 behind it; durable: the least that loses no call when the
process is killed, a line into a file when a call starts and another when it ends, and the same
behind them. These keep metadata alone, and so does ours in the rows with a gate; "with digests" is
ours when nobody asks for anything else. ratio: ours to the first reference, in pairs; of limit: to
the limit. A gate holds for the upper bound; not resolved: an interval encloses the gate, or zero.\
"""


Clock = Literal["caller", "process"]


class Row(NamedTuple):
    """
    One line of the table.

    Attributes:
        what: What was measured.
        unit: Of `ours` and `references`.
        references: What stands beside it; the ratio is to the first.
        ratio: None if the gate is a time, or the reference is not resolved.
        gate: None if nothing was promised.
        is_ratio: Whether the gate is a ratio.
        of_limit: The ratio to the limit, None if that was not measured or resolved.
    """

    name: str
    what: str
    unit: str
    ours: Interval
    references: dict[str, Interval]
    ratio: Interval | None
    gate: float | None
    is_ratio: bool
    of_limit: Interval | None = None

    @property
    def verdict(self) -> str:
        """
        Tell whether the gate is kept, and if not, by how much it is missed.
        """
        bounds = self.ratio if self.is_ratio else self.ours
        if self.gate is None:
            return "no gate"
        if bounds is None or self.ours.low <= 0:
            return "not resolved"
        if bounds.high <= self.gate:
            return "ok"
        if bounds.low > self.gate:
            return f"over ({bounds.estimate / self.gate:.2f} x gate)"
        return "not resolved"


def extra_rows(
    name: str, what: str, costs: Mapping[str, Costs], clock: Clock, gate: float
) -> list[Row]:
    """
    Compare what our handler takes with what the limits take, all beyond none.

    The gate is held against the durable limit: the other one loses calls when
    the process is killed, and what it takes to lose none is by itself more than
    most gates would allow. And it is held by what keeps the same, metadata alone;
    what the digests add is in a row of its own.
    """
    times: dict[str, list[float]] = {each: getattr(costs[each], clock) for each in costs}
    none = times.pop("none")
    extras = {subject: differences(values, none) for subject, values in times.items()}
    return [
        _extra_row(name, what, extras, "ours", gate),
        _extra_row(name, f"{what}, with digests", extras, "ours, digests", None),
    ]


def _extra_row(
    name: str, what: str, extras: Mapping[str, list[float]], subject: str, gate: float | None
) -> Row:
    shown = {each: median_interval(extras[each]) for each in ("durable", "limit", "no-op")}
    ratio = ratio_interval(extras[subject], extras["durable"])
    of_limit = ratio_interval(extras[subject], extras["limit"])
    ours = median_interval(extras[subject])
    return Row(name, what, "us", ours, shown, ratio, gate, is_ratio=True, of_limit=of_limit)


def total_row(
    name: str, what: str, ours: Costs, reference: Costs, gate: float | None, *, beside: str
) -> Row:
    """
    Compare what two subjects take in all.

    Args:
        beside: What the reference is called.
    """
    shown = {beside: median_interval(reference.process)}
    ratio = ratio_interval(ours.process, reference.process)
    return Row(name, what, "us", median_interval(ours.process), shown, ratio, gate, is_ratio=True)


def time_row(
    name: str,
    what: str,
    values: Sequence[float],
    gate: float,
    *,
    unit: str = "us",
    **references: Sequence[float],
) -> Row:
    """
    Hold a time against a time.
    """
    shown = {each: median_interval(found) for each, found in references.items()}
    return Row(name, what, unit, median_interval(values), shown, None, gate, is_ratio=False)


def as_table(rows: Sequence[Row], surroundings: str) -> str:
    """
    Return the rows as a Markdown table that can be read as it is.
    """
    cells = [HEADS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [" | ".join(map(str.ljust, line, widths)) for line in cells]
    lines.insert(1, " | ".join("-" * width for width in widths))
    table = "\n".join(f"| {line} |" for line in lines)
    return f"{table}\n\n{NOTES}\n\n{surroundings}"


def as_json(rows: Sequence[Row], surroundings: str) -> str:
    """
    Return the rows as JSON.
    """
    found = [
        row._asdict()
        | {"ours": row.ours._asdict(), "ratio": row.ratio and row.ratio._asdict()}
        | {"of_limit": row.of_limit and row.of_limit._asdict()}
        | {"references": {name: each._asdict() for name, each in row.references.items()}}
        | {"verdict": row.verdict}
        for row in rows
    ]
    return json.dumps({"rows": found, "surroundings": surroundings}, indent=2)


def surroundings() -> str:
    """
    Return what the figures depend on.
    """
    known = ", ".join(f"{name} {version(name)}" for name in DISTRIBUTIONS)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    cpus = f"one of {os.cpu_count()} CPUs ({platform.machine()})"
    return f"Python {platform.python_version()} on {cpus}; {known}; load average {load}"


def _cells(row: Row) -> tuple[str, ...]:
    references = (f"{name} {_time(each, row.unit)}" for name, each in row.references.items())
    gate = "-" if row.gate is None else f"{row.gate:g} {'x' if row.is_ratio else row.unit}"
    ratio, of_limit = (
        "-" if each is None else _bounded(each, 2) for each in (row.ratio, row.of_limit)
    )
    shown = _time(row.ours, row.unit), "; ".join(references) or "-"
    return f"{row.what} ({row.name})", *shown, ratio, gate, row.verdict, of_limit


def _time(interval: Interval, unit: str) -> str:
    digits = 3 if unit == "s" else 1 if abs(interval.estimate) < 100 else 0
    return f"{_bounded(interval, digits)} {unit}"


def _bounded(interval: Interval, digits: int) -> str:
    estimate, low, high = (f"{each:.{digits}f}" for each in interval)
    return f"{estimate} [{low} .. {high}]"
