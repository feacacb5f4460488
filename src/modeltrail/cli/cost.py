"""
`modeltrail cost`: what the calls cost.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import command, tell
from modeltrail.cli.output import write_json, write_rows, write_table
from modeltrail.cli.trails import reading
from modeltrail.errors import ConfigurationError
from modeltrail.ids import now_us
from modeltrail.render.figures import UNKNOWN, count, moment, money, usd_from
from modeltrail.render.layout import Column
from modeltrail.render.text import clean

if TYPE_CHECKING:
    from modeltrail.storage import Group

SCHEMA = "modeltrail.cost/1"
FIGURES = (
    Column("CALLS"),
    Column("ERRORS", rank=3),
    Column("UNPRICED", rank=2),
    Column("INPUT TOKENS", rank=5),
    Column("OUTPUT TOKENS", rank=4),
    Column("COST"),
    Column("PER 1,000 CALLS", rank=1),
)
NAMES = (
    "calls",
    "errors",
    "unpriced",
    "input_tokens",
    "output_tokens",
    "cost_nanousd",
    "cost_usd",
    "per_1000_calls_nanousd",
    "per_1000_calls_usd",
)


cost = typer.Typer(invoke_without_command=True)


@cost.callback()
def sum_up(
    context: typer.Context,
    by: options.By = "feature",
    since: options.Since = None,
    until: options.Until = None,
    format: options.FormatOption = "table",
) -> None:
    """
    Sum up what the calls cost, dearest first; or tell more about it.
    """
    if context.invoked_subcommand is None:
        command(_sum_up)(context.obj, options.names_in(by), since, until, format)
    elif given := _given(context):
        command(_refuse)(f"say {', '.join(given)} behind {context.invoked_subcommand}")


def _sum_up(
    db: str | None, by: Sequence[str], since: str | None, until: str | None, format: options.Format
) -> None:
    from modeltrail.report.cost import total

    now = now_us()
    filters = options.within(since, until, now)
    with reading(db) as store:
        groups = store.sums(by, filters)
    everything = total(groups)
    rows = [_row(by, group) for group in groups]
    if format == "table":
        _write_table(by, groups, everything)
    elif format == "json":
        window = {"since_us": filters.since_us, "until_us": filters.until_us or now}
        write_json(SCHEMA, by=by, **window, rows=rows, total=_row([], everything))
    else:
        write_rows(format, SCHEMA, [*by, *NAMES], rows)
    tell_window(filters.since_us, filters.until_us or now, everything.calls, everything.unpriced)


def _given(context: typer.Context) -> list[str]:
    """
    Return the options that were typed before a subcommand, which would not hear of them.
    """
    return [
        f"--{name}"
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name == "COMMANDLINE"
    ]


def _refuse(reason: str) -> None:
    raise ConfigurationError(reason)


def _row(dimensions: Sequence[str], group: "Group") -> dict[str, Any]:
    from modeltrail.report.cost import cost_per_thousand_calls

    each = cost_per_thousand_calls(group)
    figures = group._asdict()
    del figures["key"]
    return {
        **dict(zip(dimensions, group.key, strict=True)),
        **figures,
        "cost_usd": _usd(group.cost_nanousd),
        "per_1000_calls_nanousd": each,
        "per_1000_calls_usd": _usd(each),
    }


def _usd(nanousd: int | None) -> str | None:
    return None if nanousd is None else usd_from(nanousd)


def _write_table(dimensions: Sequence[str], groups: "Sequence[Group]", everything: "Group") -> None:
    labels = [Column(clean(name).upper(), "label") for name in dimensions]
    rows = [
        [*(UNKNOWN if value is None else clean(value) for value in group.key), *_figures(group)]
        for group in groups
    ]
    footer = [*["TOTAL", *[""] * len(labels)][: len(labels)], *_figures(everything)]
    write_table([*labels, *FIGURES], rows, footer=footer)


def _figures(group: "Group") -> tuple[str, ...]:
    from modeltrail.report.cost import cost_per_thousand_calls

    return (
        count(group.calls),
        count(group.errors),
        count(group.unpriced),
        count(group.input_tokens),
        count(group.output_tokens),
        money(group.cost_nanousd),
        money(cost_per_thousand_calls(group)),
    )


def tell_window(since_us: int | None, until_us: int, calls: int, unpriced: int) -> None:
    """
    Tell of what time the figures are, and how many calls are in no sum of costs.
    """
    start = "the first call" if since_us is None else moment(since_us)
    tell(f"from {start} to {moment(until_us)} UTC, the end excluded")
    if unpriced:
        tell(
            f"unpriced: the cost of {count(unpriced)} of {count(calls)} "
            "calls is not known and in none of these figures"
        )
