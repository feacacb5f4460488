"""
`modeltrail spikes`: which hours stand out.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modeltrail.cli import options
from modeltrail.cli.budgets import excess_row, read_budgets, tell_spent, write_excesses
from modeltrail.cli.exits import CANNOT_TELL, FINDING, OK, command, tell
from modeltrail.cli.output import write_json, write_rows, write_table
from modeltrail.cli.trails import reading
from modeltrail.errors import ConfigurationError
from modeltrail.ids import now_us
from modeltrail.render.figures import UNKNOWN, count, moment, money, seconds
from modeltrail.render.layout import Column
from modeltrail.render.text import clean

if TYPE_CHECKING:
    from modeltrail.report.spikes import Finding, Refusal, Watch

SCHEMA = "modeltrail.spikes/1"
NAMES = ("start_us", "metric", "value", "expected", "ratio", "score")
FIGURES = (
    Column("METRIC", "text"),
    Column("VALUE"),
    Column("EXPECTED", rank=1),
    Column("RATIO"),
    Column("SCORE", rank=2),
)
# What the option calls it -> what it is, with its unit.
UNITS: Mapping[str, str] = {
    "calls": "calls",
    "errors": "errors",
    "output_tokens": "output_tokens",
    "cost": "cost_nanousd",
    "latency": "latency_us",
}
SHOWN: Mapping[str, Callable[[int], str]] = {"cost_nanousd": money, "latency_us": seconds}
MOST_REFUSALS = 10


@command
def spikes(
    context: typer.Context,
    by: Annotated[
        str, typer.Option(help="What makes a series, such as feature,variant or response_model.")
    ] = "feature",
    metric: Annotated[
        str, typer.Option(help="What to judge, such as cost,errors. By default everything.")
    ] = "calls,errors,output_tokens,cost,latency",
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Where the history begins: as ISO 8601 or an age.")
    ] = "8w",
    until: options.Until = None,
    recent: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only tell of hours from then on, such as 24h."),
    ] = None,
    budgets: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also tell of periods that exceed these budgets (TOML)."),
    ] = None,
    format: options.FormatOption = "table",
) -> int:
    """
    Find the hours of more calls, errors, tokens, cost or latency than their week lets expect.

    Ends with 1 if there are any, or a budget is exceeded; with 3 if no series
    has the four weeks of history that it takes, and no budget is given.
    """
    from modeltrail.report.budgets import judge
    from modeltrail.report.spikes import watch, window
    from modeltrail.storage import HOUR_US, Filters

    now = now_us()
    until_us = min(options.moment_us(until, now) or now, now)
    within = window(options.moment_us(since, now) or 0, until_us, options.moment_us(recent, now))
    dimensions = options.names_in(by)
    metrics = [_metric(name) for name in options.names_in(metric)]
    limits = None if budgets is None else read_budgets(budgets, format)
    filters = Filters(since_us=within.first * HOUR_US, until_us=within.end * HOUR_US)
    with reading(context.obj) as store:
        found = watch(store.hours(dimensions, filters), metrics, within)
        spent = judge(
            store,
            limits or (),
            filters.since_us or 0,
            until_us,
            None if recent is None else within.recent * HOUR_US,
        )
    if format == "table":
        _write_table(dimensions, found)
        if spent.excesses:
            print()
            write_excesses(spent.excesses)
    elif format == "json":
        write_json(
            SCHEMA,
            by=dimensions,
            metrics=metrics,
            since_us=filters.since_us,
            until_us=filters.until_us,
            recent_us=within.recent * HOUR_US,
            rows=[_row(dimensions, each) for each in found.findings],
            over_budget=[excess_row(each) for each in spent.excesses],
            judged=found.judged,
            refused=[_refused(dimensions, each) for each in found.refusals],
        )
    else:
        rows = [_row(dimensions, each) for each in found.findings]
        rows += [excess_row(each) for each in spent.excesses]
        write_rows(format, SCHEMA, [*dimensions, *NAMES], rows)
    _tell(found, within.first * HOUR_US, within.end * HOUR_US)
    if limits is not None:
        tell_spent(limits, spent)
    if found.findings or spent.excesses:
        return FINDING
    return OK if found.judged or limits else CANNOT_TELL


def _metric(name: str) -> str:
    if name not in UNITS:
        raise ConfigurationError(f"{name!r} is no metric; choose from {', '.join(UNITS)}")
    return UNITS[name]


def _row(dimensions: Sequence[str], finding: "Finding") -> dict[str, Any]:
    return {
        **dict(zip(dimensions, finding.key, strict=True)),
        "start_us": finding.start_us,
        "metric": finding.metric,
        "value": finding.value,
        "expected": finding.expected,
        "ratio": None if finding.ratio is None else round(finding.ratio, 3),
        "score": round(finding.score, 3),
    }


def _refused(dimensions: Sequence[str], refusal: "Refusal") -> dict[str, Any]:
    key = dict(zip(dimensions, refusal.key, strict=True))
    return {**key, "metric": refusal.metric, "reason": refusal.reason}


def _write_table(dimensions: Sequence[str], found: "Watch") -> None:
    labels = [Column(clean(name).upper(), "label") for name in dimensions]
    columns = [Column("HOUR (UTC)", "text"), *labels, *FIGURES]
    write_table(columns, [_cells(each) for each in found.findings])


def _cells(finding: "Finding") -> list[str]:
    show = SHOWN.get(finding.metric, count)
    ratio = UNKNOWN if finding.ratio is None else f"{finding.ratio:.1f}x"
    return [
        moment(finding.start_us)[:16],
        *(UNKNOWN if value is None else clean(value) for value in finding.key),
        finding.metric.removesuffix("_nanousd").removesuffix("_us"),
        show(finding.value),
        show(finding.expected),
        ratio,
        f"{finding.score:.1f}",
    ]


def _tell(found: "Watch", since_us: int, until_us: int) -> None:
    tell(
        f"judged: {count(found.judged)} series of whole hours, "
        f"from {moment(since_us)} to {moment(until_us)} UTC, the end excluded"
    )
    if not found.judged and not found.refusals:
        tell("not judged: there are no calls in this time")
    for refusal in found.refusals[:MOST_REFUSALS]:
        name = ", ".join(UNKNOWN if value is None else value for value in refusal.key)
        tell(f"not judged: {refusal.metric} of {name or 'all calls'}: {refusal.reason}")
    if (more := len(found.refusals) - MOST_REFUSALS) > 0:
        tell(f"not judged: {count(more)} more series; --format json lists them")
