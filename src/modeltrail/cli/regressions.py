"""
`modeltrail regressions`: what answers have become since a moment.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import CANNOT_TELL, FINDING, OK, command, tell
from modeltrail.cli.output import write_json, write_rows, write_table
from modeltrail.cli.trails import reading
from modeltrail.ids import now_us
from modeltrail.render.figures import UNKNOWN, count, moment, seconds
from modeltrail.render.layout import Column
from modeltrail.render.text import clean

if TYPE_CHECKING:
    from modeltrail.report.drift import Change, Comparison, Refusal
    from modeltrail.storage import Store

SCHEMA = "modeltrail.regressions/1"
NAMES = (
    "at_us",
    "model_before",
    "model_after",
    "figure",
    "kind",
    "before",
    "after",
    "change",
    "lower",
    "upper",
    "p",
    "calls_before",
    "calls_after",
)
FIGURES = (
    Column("FIGURE", "text"),
    Column("BEFORE"),
    Column("AFTER"),
    Column("CHANGE"),
    Column("95% INTERVAL", rank=2),
    Column("CALLS", rank=1),
    Column("MODEL", "label", rank=3),
)
SHOWN: Mapping[str, Callable[[float], str]] = {
    "output_tokens": lambda mean: f"{mean:,.1f}",
    "output_chars": lambda mean: f"{mean:,.1f}",
    "latency_us": lambda mean: seconds(round(mean)),
}
MOST_REFUSALS = 10


@command
def regressions(
    context: typer.Context,
    by: Annotated[
        str, typer.Option(help="What makes a group, such as feature or feature,request_model.")
    ] = "feature",
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Compare before and after this moment; by default every moment at which "
            "another model or system fingerprint began to serve a group.",
        ),
    ] = None,
    window: Annotated[
        str, typer.Option(metavar="AGE", help="How much to compare on each side, such as 24h.")
    ] = "7d",
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Without --at: since when to look for changes.")
    ] = "4w",
    at_least: Annotated[
        float, typer.Option(min=0, max=100, help="Points by which a share must differ.")
    ] = 2.0,
    at_least_percent: Annotated[
        float, typer.Option(min=0, help="Percent by which a mean must change.")
    ] = 10.0,
    format: options.FormatOption = "table",
) -> int:
    """
    Find answers of another format, length, fate or latency than before a change.

    Ends with 1 if there are any, with 3 if no group has a hundred calls on both sides.
    """
    from modeltrail.report.drift import Refusal, believed

    now = now_us()
    dimensions = options.names_in(by)
    window_us = options.length_us(window)
    at_us = options.moment_us(at, now)
    with reading(context.obj) as store:
        if at_us is None:
            results = _at_changes(store, dimensions, options.moment_us(since, now) or 0, window_us)
        else:
            results = _at_moment(store, dimensions, at_us, window_us)
    refusals = [each for each in results if isinstance(each, Refusal)]
    compared = [each for each in results if not isinstance(each, Refusal)]
    comparisons = [each for found in compared for each in found]
    findings = believed(
        comparisons, least_share=at_least / 100, least_change=at_least_percent / 100
    )
    if format == "table":
        _write_table(dimensions, findings)
    elif format == "json":
        write_json(
            SCHEMA,
            by=dimensions,
            at_us=at_us,
            window_us=window_us,
            rows=[_row(dimensions, each) for each in findings],
            comparisons=len(comparisons),
            refused=[_refused(dimensions, each) for each in refusals],
        )
    else:
        write_rows(
            format, SCHEMA, [*dimensions, *NAMES], [_row(dimensions, each) for each in findings]
        )
    _tell(len(compared), len(comparisons), refusals)
    if findings:
        return FINDING
    # Where no model changed there is nothing to compare, which is good news.
    return OK if compared or (at_us is None and not refusals) else CANNOT_TELL


def _at_changes(
    store: "Store", dimensions: Sequence[str], since_us: int, window_us: int
) -> "list[list[Comparison] | Refusal]":
    from modeltrail.report.drift import changes, compare
    from modeltrail.storage import Filters

    # What served before the time in question is no news in it.
    found = changes(store.served(dimensions, Filters(since_us=max(since_us - window_us, 0))))
    results = []
    for change in found:
        if change.at_us < since_us:
            continue
        filters = Filters(
            since_us=max(change.at_us - window_us, change.since_us or 0),
            until_us=min(change.at_us + window_us, change.until_us or change.at_us + window_us),
        )
        sides = store.sides(dimensions, change.at_us, filters, change.key)
        results.append(compare(change, sides))
    return results


def _at_moment(
    store: "Store", dimensions: Sequence[str], at_us: int, window_us: int
) -> "list[list[Comparison] | Refusal]":
    from modeltrail.report.drift import Change, compare
    from modeltrail.storage import Filters

    filters = Filters(since_us=max(at_us - window_us, 0), until_us=at_us + window_us)
    sides = store.sides(dimensions, at_us, filters)
    keys = dict.fromkeys(side.key for side in sides)
    return [
        compare(Change(key, at_us, None, None), [side for side in sides if side.key == key])
        for key in keys
    ]


def _row(dimensions: Sequence[str], each: "Comparison") -> dict[str, Any]:
    return {
        **_change(dimensions, each.change_of),
        "figure": each.figure,
        "kind": each.kind,
        "before": each.before,
        "after": each.after,
        "change": each.change,
        "lower": each.interval.lower,
        "upper": each.interval.upper,
        "p": each.p,
        "calls_before": each.calls[0],
        "calls_after": each.calls[1],
    }


def _change(dimensions: Sequence[str], change: "Change") -> dict[str, Any]:
    return {
        **dict(zip(dimensions, change.key, strict=True)),
        "at_us": change.at_us,
        "model_before": change.before,
        "model_after": change.after,
    }


def _refused(dimensions: Sequence[str], refusal: "Refusal") -> dict[str, Any]:
    return {**_change(dimensions, refusal.change_of), "reason": refusal.reason}


def _write_table(dimensions: Sequence[str], findings: "Sequence[Comparison]") -> None:
    labels = [Column(clean(name).upper(), "label") for name in dimensions]
    columns = [Column("SINCE (UTC)", "text"), *labels, *FIGURES]
    write_table(columns, [_cells(each) for each in findings])


def _cells(each: "Comparison") -> list[str]:
    unit, show = ("pt", _percent) if each.kind == "share" else ("%", SHOWN[each.figure])
    return [
        moment(each.change_of.at_us)[:16],
        *(UNKNOWN if value is None else clean(value) for value in each.change_of.key),
        each.figure.removesuffix("_us"),
        show(each.before),
        show(each.after),
        f"{100 * each.change:+.1f}{unit}",
        f"[{100 * each.interval.lower:+.1f}, {100 * each.interval.upper:+.1f}]",
        f"{count(each.calls[0])}/{count(each.calls[1])}",
        _models(each.change_of),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _models(change: "Change") -> str:
    if change.after is None and change.before is None:
        return UNKNOWN
    return f"{clean(change.before or UNKNOWN)} → {clean(change.after or UNKNOWN)}"


def _tell(compared: int, comparisons: int, refusals: "Sequence[Refusal]") -> None:
    tell(f"compared: {count(comparisons)} figures at {count(compared)} changes")
    if not compared and not refusals:
        tell("no other model began to serve; to compare before and after a moment use --at")
    for refusal in refusals[:MOST_REFUSALS]:
        name = ", ".join(UNKNOWN if value is None else value for value in refusal.change_of.key)
        at = moment(refusal.change_of.at_us)
        tell(f"not compared: {name or 'all calls'} at {at} UTC: {refusal.reason}")
    if (more := len(refusals) - MOST_REFUSALS) > 0:
        tell(f"not compared: {count(more)} more; --format json lists them")
