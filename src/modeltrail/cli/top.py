"""
`modeltrail top`: the few groups of calls that matter most.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from modeltrail.cli import options
from modeltrail.cli.cost import tell_window
from modeltrail.cli.exits import command, tell
from modeltrail.cli.output import write_json, write_rows, write_table
from modeltrail.cli.trails import reading
from modeltrail.ids import now_us
from modeltrail.render.figures import UNKNOWN, count, money, percent, seconds, usd_from
from modeltrail.render.layout import Column
from modeltrail.render.text import clean

if TYPE_CHECKING:
    from modeltrail.storage import Top, TopGroup

SCHEMA = "modeltrail.top/1"
FIGURES = (
    Column("CALLS"),
    Column("ERRORS", rank=4),
    Column("ERROR SHARE", rank=3),
    Column("TOKENS", rank=5),
    Column("COST"),
    Column("COST SHARE"),
    Column("MEAN LATENCY", rank=1),
    Column("MAX LATENCY", rank=2),
)
NAMES = (
    "calls",
    "errors",
    "error_share",
    "unpriced",
    "tokens",
    "cost_nanousd",
    "cost_usd",
    "cost_share",
    "mean_latency_us",
    "max_latency_us",
)


@command
def top(
    context: typer.Context,
    by: options.By = "feature,response_model",
    order: Annotated[
        Literal["cost", "tokens", "latency", "errors", "calls"],
        typer.Option(help="What puts a group first; of latency it is the mean."),
    ] = "cost",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many groups.")] = 10,
    since: options.Since = "7d",
    until: options.Until = None,
    format: options.FormatOption = "table",
) -> None:
    """
    Show the few groups of calls that matter most; the total is of all calls.

    A single prompt that eats the budget comes first by prompt_digest.
    """
    now = now_us()
    dimensions = options.names_in(by)
    filters = options.within(since, until, now)
    with reading(context.obj) as store:
        found = store.top(dimensions, filters, order=order, limit=limit)
    rows = [_row(dimensions, group, found) for group in found.shown]
    window = {"since_us": filters.since_us, "until_us": filters.until_us or now}
    if format == "table":
        _write_table(dimensions, found)
    elif format == "json":
        total = _row([], found.everything, found)
        about = {"by": dimensions, "order": order, **window, "groups": found.groups}
        write_json(SCHEMA, **about, rows=rows, total=total)
    else:
        write_rows(format, SCHEMA, [*dimensions, *NAMES], rows)
    if found.groups > len(rows):
        tell(f"the first {count(len(rows))} of {count(found.groups)} groups, by {order}")
    everything = found.everything
    tell_window(filters.since_us, filters.until_us or now, everything.calls, everything.unpriced)


def _row(dimensions: Sequence[str], group: "TopGroup", found: "Top") -> dict[str, Any]:
    from modeltrail.report.top import mean_latency_us, share, tokens

    return {
        **dict(zip(dimensions, group.key, strict=True)),
        "calls": group.calls,
        "errors": group.errors,
        "error_share": share(group.errors, group.calls),
        "unpriced": group.unpriced,
        "tokens": tokens(group),
        "cost_nanousd": group.cost_nanousd,
        "cost_usd": None if group.cost_nanousd is None else usd_from(group.cost_nanousd),
        "cost_share": share(group.cost_nanousd, found.everything.cost_nanousd),
        "mean_latency_us": mean_latency_us(group),
        "max_latency_us": group.max_latency_us,
    }


def _write_table(dimensions: Sequence[str], found: "Top") -> None:
    labels = [Column(clean(name).upper(), "label") for name in dimensions]
    rows = [
        [
            *(UNKNOWN if value is None else clean(value) for value in group.key),
            *_figures(group, found),
        ]
        for group in found.shown
    ]
    heads = ["TOTAL", *[""] * len(labels)][: len(labels)]
    write_table([*labels, *FIGURES], rows, footer=[*heads, *_figures(found.everything, found)])


def _figures(group: "TopGroup", found: "Top") -> tuple[str, ...]:
    row = _row([], group._replace(key=()), found)
    return (
        count(row["calls"]),
        count(row["errors"]),
        percent(row["error_share"]),
        count(row["tokens"]),
        money(row["cost_nanousd"]),
        percent(row["cost_share"]),
        seconds(row["mean_latency_us"]),
        seconds(row["max_latency_us"]),
    )
