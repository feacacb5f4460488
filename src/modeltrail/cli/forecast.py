"""
`modeltrail cost forecast`: what the month will cost.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import CANNOT_TELL, OK, command, tell
from modeltrail.cli.output import write_json, write_rows, write_table
from modeltrail.cli.trails import reading
from modeltrail.errors import ConfigurationError
from modeltrail.ids import now_us
from modeltrail.render.figures import UNKNOWN, count, moment, money, usd_from
from modeltrail.render.layout import Column
from modeltrail.render.text import clean

if TYPE_CHECKING:
    from modeltrail.report.outlook import GroupOutlook, Outlook

SCHEMA = "modeltrail.cost-forecast/1"
BY_SCHEMA = "modeltrail.cost-forecast-by/1"
AMOUNTS = ("spent_nanousd", "estimate_nanousd", "low_nanousd", "high_nanousd")
NAMES = (*AMOUNTS, *(name.replace("_nanousd", "_usd") for name in AMOUNTS), "days", "refused")
FIGURES = (Column("SPENT"), Column("BY ITS END"), Column("LOW", rank=2), Column("HIGH", rank=1))
# A forecast is made from days: they are no groups of it.
TIMES = frozenset({"hour", "day", "month"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@command
def forecast(
    context: typer.Context,
    by: Annotated[
        str,
        typer.Option(
            help="Forecast each group by itself, too, such as feature, model or tag.NAME; the "
            "words of cost, but for hour, day and month."
        ),
    ] = "",
    alpha: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="One less the level of each interval.")
    ] = 0.1,
    format: options.FormatOption = "table",
) -> int:
    """
    Tell what this month (UTC) will cost, with a prediction interval.

    From the totals of the last 8 weeks, of 14 full days at least; ends with 3
    if these do not tell. Groups that do not tell are listed with the reason.
    """
    from modeltrail.report.outlook import first_day, joint_outlook, outlooks
    from modeltrail.stats.estimate import NotEstimable
    from modeltrail.storage import Filters

    dimensions = _dimensions(by)
    now = now_us()
    at = _EPOCH + timedelta(microseconds=now)
    since_us = (first_day(at) - _EPOCH) // timedelta(microseconds=1)
    with reading(context.obj) as store:
        days = store.sums([*dimensions, "day"], Filters(since_us=since_us, until_us=now))
    total = joint_outlook(days, at, alpha=alpha)
    if dimensions:
        groups = outlooks(days, at, alpha=alpha)
        _write_groups(dimensions, groups, total, f"{at:%Y-%m}", now, alpha, format)
    elif not isinstance(total.found, NotEstimable):
        _write_month(total.found, now, alpha, format)
    if isinstance(total.found, NotEstimable):
        tell(f"cannot tell what the month will cost: {total.found.reason}")
        return CANNOT_TELL
    if unpriced := sum(day.unpriced for day in days):
        tell(f"unpriced: the cost of {count(unpriced)} calls is not known, nor in these figures")
    return OK


def _dimensions(by: str) -> list[str]:
    names = options.names_in(by)
    if times := [name for name in names if name in TIMES]:
        raise ConfigurationError(
            f"a forecast is of the whole month: leave {', '.join(times)} out of --by"
        )
    return names


def _write_month(found: "Outlook", now: int, alpha: float, format: options.Format) -> None:
    row = {**found._asdict(), **_dollars(found._asdict()), "until_us": now, "alpha": alpha}
    if format == "table":
        _write_text(found, now, alpha)
    elif format == "json":
        write_json(SCHEMA, **row)
    else:
        write_rows(format, SCHEMA, list(row), [row])


def _write_text(found: "Outlook", now: int, alpha: float) -> None:
    print(f"{found.month}: {money(found.spent_nanousd)} spent until {moment(now)} UTC")
    print(
        f"by its end: {money(found.estimate_nanousd)}, {_level(alpha)} interval "
        f"{money(found.low_nanousd)} to {money(found.high_nanousd)}"
    )
    print(f"method: weekday, trend and noise of the last {found.days} full days, log scale")


def _write_groups(
    by: Sequence[str],
    groups: "Sequence[GroupOutlook]",
    total: "GroupOutlook",
    month: str,
    now: int,
    alpha: float,
    format: options.Format,
) -> None:
    rows = [_row(by, each) for each in groups]
    if format == "table":
        _write_table(by, groups, total)
        tell(f"{month} until {moment(now)} UTC; {_level(alpha)} intervals, each by itself:")
        tell("neither estimates nor bounds of groups add up to those of the total")
        _tell_refused(groups)
    elif format == "json":
        known = {"month": month, "until_us": now, "alpha": alpha}
        write_json(BY_SCHEMA, by=by, **known, rows=rows, total=_row([], total))
    else:
        write_rows(format, BY_SCHEMA, [*by, *NAMES], rows)


def _row(by: Sequence[str], group: "GroupOutlook") -> dict[str, Any]:
    told = _told(group)
    return {**dict(zip(by, group.key, strict=True)), **told, **_dollars(told)}


def _told(group: "GroupOutlook") -> dict[str, Any]:
    from modeltrail.report.outlook import Outlook

    found = group.found
    if isinstance(found, Outlook):
        told = found._asdict() | {"refused": None}
    else:
        told = {"refused": found.reason}
    figures = {name: told.get(name) for name in (*AMOUNTS, "days", "refused")}
    return figures | {"spent_nanousd": group.spent_nanousd}


def _dollars(amounts: Mapping[str, Any]) -> dict[str, str | None]:
    return {
        name.replace("_nanousd", "_usd"): None if amounts[name] is None else usd_from(amounts[name])
        for name in AMOUNTS
    }


def _write_table(
    by: Sequence[str], groups: "Sequence[GroupOutlook]", total: "GroupOutlook"
) -> None:
    labels = [Column(clean(name).upper(), "label") for name in by]
    rows = [
        [*(UNKNOWN if value is None else clean(value) for value in each.key), *_figures(each)]
        for each in groups
    ]
    footer = [*["TOTAL", *[""] * len(labels)][: len(labels)], *_figures(total)]
    write_table([*labels, *FIGURES], rows, footer=footer)


def _figures(group: "GroupOutlook") -> list[str]:
    told = _told(group)
    return [money(told[name]) for name in AMOUNTS]


def _tell_refused(groups: "Sequence[GroupOutlook]") -> None:
    from modeltrail.stats.estimate import NotEstimable

    reasons = Counter(each.found.reason for each in groups if isinstance(each.found, NotEstimable))
    for reason, many in reasons.most_common():
        tell(f"no forecast of {count(many)} of {count(len(groups))} groups: {reason}")


def _level(alpha: float) -> str:
    return f"{100 * (1 - alpha):.4g}%"
