"""
What a call costs and is worth, in cells of a table and in rows for programs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from modeltrail.cli.asked import asked
from modeltrail.cli.exits import tell
from modeltrail.cli.output import write_csv, write_json, write_jsonl, write_table
from modeltrail.experiment.routing import Mean, Worth
from modeltrail.render.figures import UNKNOWN, count, decimals_for
from modeltrail.render.html import page as html
from modeltrail.render.html.page import Figure
from modeltrail.render.layout import Column
from modeltrail.render.markdown import cell, pipes
from modeltrail.render.text import clean
from modeltrail.stats.estimate import Interval, NotEstimable
from modeltrail.stats.hull import AverageQuality

# Nano-dollars a call as dollars of 1,000 calls.
PER_THOUSAND = 1e-6
FIGURES = (
    "cost_nanousd",
    "cost_nanousd_lower",
    "cost_nanousd_upper",
    "quality",
    "quality_lower",
    "quality_upper",
)

Row = dict[str, Any]
Cells = tuple[Sequence[Column], Sequence[Sequence[str]]]


@dataclass(frozen=True)
class Page:
    """
    One answer, for people and for programs.

    Attributes:
        content: Of the JSON document, beside the rows.
        names: Of the columns of the rows.
        title: What it is about.
        tables: What people see: columns and cells.
        above: Sentences before the tables.
        below: Sentences behind them.
        figures: Of a page of HTML.
        key: How to read these.
    """

    schema: str
    title: str
    content: Mapping[str, Any]
    names: Sequence[str]
    rows: Sequence[Row]
    tables: Sequence[Cells] = ()
    above: Sequence[str] = ()
    below: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    key: Sequence[str] = ()


def write_page(format: str, page: Page) -> None:
    """
    Write an answer in the format that was asked for.
    """
    if format == "json":
        write_json(page.schema, **page.content, rows=page.rows)
    elif format == "jsonl":
        write_jsonl(page.rows)
    elif format == "csv":
        write_csv(page.names, page.rows)
    elif format == "md":
        _write_markdown(page)
    elif format == "html":
        print(html.page(_report(page)), end="")
    else:
        _write_text(page)
    # Elsewhere it is part of the page, which others will read.
    for line in [] if format in {"md", "html"} else left_out_lines(page):
        tell(line)


def _write_text(page: Page) -> None:
    for line in page.above:
        print(clean(line))
    for columns, cells in page.tables:
        print()
        write_table(columns, cells)
    if page.below:
        print()
    for line in page.below:
        print(clean(line))


def _write_markdown(page: Page) -> None:
    print(f"## {cell(page.title)}")
    for line in [*page.above, asked(page.content)]:
        print(f"\n{cell(line)}")
    for columns, cells in page.tables:
        print()
        for row in pipes(columns, cells):
            print(row)
    for line in [*page.below, *left_out_lines(page)]:
        print(f"\n{cell(line)}")


def _report(page: Page) -> html.Report:
    tables = [html.Table("", columns, cells) for columns, cells in page.tables]
    sections = [
        *([html.Section("Figures", page.key, page.figures)] if page.figures else []),
        *([html.Section("Numbers", tables=tables)] if tables else []),
    ]
    notes = [*page.below, *left_out_lines(page)]
    last = [html.Section("How to read it", notes)] if notes else []
    return html.Report(page.title, page.above, [asked(page.content)], [*sections, *last])


def level_of(alpha: float) -> str:
    """
    Name the confidence level.
    """
    return f"{100 * (1 - alpha):.4g}%"


def worth_columns(level: str) -> list[Column]:
    """
    Return the columns of a cost and a quality.
    """
    return [
        Column("PER 1,000"),
        Column(f"{level} OF COST", rank=5),
        Column("QUALITY"),
        Column(f"{level} OF QUALITY", rank=2),
    ]


def scales_of(worths: Sequence[Worth]) -> tuple[int, int]:
    """
    Return the decimals of costs and of qualities: two digits of the widest interval's half.
    """
    costs = [_half(each.cost_nanousd) * PER_THOUSAND for each in worths]
    return _decimals(costs, 4), _decimals([_half(each.quality) for each in worths], 3)


def _half(mean: Mean) -> float:
    interval = mean.interval
    return (interval.upper - interval.lower) / 2 if isinstance(interval, Interval) else 0.0


def _decimals(halves: Sequence[float], otherwise: int) -> int:
    known = [half for half in halves if half > 0]
    return decimals_for(min(known)) if known else otherwise


def worth_cells(worth: Worth | NotEstimable | None, scales: tuple[int, int]) -> list[str]:
    """
    Return the cells of a cost and a quality, to so many decimals.
    """
    if not isinstance(worth, Worth):
        return [UNKNOWN] * 4
    return [
        *_mean_cells(worth.cost_nanousd, PER_THOUSAND, scales[0], "$"),
        *_mean_cells(worth.quality, 1, scales[1]),
    ]


def _mean_cells(mean: Mean, scale: float, decimals: int, before: str = "") -> list[str]:
    if math.isnan(mean.estimate):
        return [UNKNOWN, UNKNOWN]
    return [
        f"{before}{mean.estimate * scale:,.{decimals}f}",
        interval_cell(mean.interval, scale, decimals),
    ]


def interval_cell(
    interval: Interval | NotEstimable, scale: float, decimals: int, sign: str = ""
) -> str:
    """
    Show an interval, or that there is none.
    """
    if isinstance(interval, NotEstimable):
        return UNKNOWN
    lower, upper = (f"{end * scale:{sign},.{decimals}f}" for end in interval)
    return f"[{lower}, {upper}]"


def figures_of(worth: Worth | None) -> Row:
    """
    Return a cost, nano-dollars a call, and a quality with their intervals.
    """
    if worth is None:
        return dict.fromkeys(FIGURES)
    values = [*_three(worth.cost_nanousd), *_three(worth.quality)]
    return dict(zip(FIGURES, values, strict=True))


def _three(mean: Mean) -> list[float | None]:
    ends = mean.interval if isinstance(mean.interval, Interval) else (None, None)
    return [None if math.isnan(mean.estimate) else mean.estimate, *ends]


def plain(found: Any) -> Row:
    """
    Return a finding as plain data, or why there is none.
    """
    if isinstance(found, NotEstimable):
        return {"refused": found.reason}
    return dict(found._asdict()) if isinstance(found, AverageQuality) else asdict(found)


def reason_or(found: Worth | NotEstimable) -> Row:
    """
    Return the figures of a worth, or why there are none.
    """
    return plain(found) if isinstance(found, NotEstimable) else figures_of(found)


def left_out_lines(page: Page) -> list[str]:
    """
    Say what is not compared, and why.
    """
    left_out: Mapping[str, Any] = page.content["left_out"]
    told = {
        "no_arm": "calls do not tell what is chosen between",
        "no_cost": "calls have no known cost, and are in no mean of it",
        "failed_cost": "failed attempts at questions that were answered have no known cost",
        "no_question": "calls do not tell which question they answer",
        "incomplete": "questions were not answered by all, at a known cost and quality",
        "no_score": "questions have no score",
    }
    lines = [
        f"left out: {count(left_out[name])} {why}"
        for name, why in told.items()
        if left_out.get(name)
    ]
    without = left_out["no_quality"]
    by_arm = ", ".join(f"{arm} {count(n)}" for arm, n in sorted(without.items()))
    return [*lines, *([f"left out: calls without the outcome: {by_arm}"] if without else [])]
