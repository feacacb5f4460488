"""
`modeltrail cost forecast`: what the month will cost.
"""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import CANNOT_TELL, OK, command, tell
from modeltrail.cli.output import write_json, write_rows
from modeltrail.cli.trails import reading
from modeltrail.ids import now_us
from modeltrail.render.figures import count, moment, money, usd_from

if TYPE_CHECKING:
    from modeltrail.report.outlook import Outlook

SCHEMA = "modeltrail.cost-forecast/1"
AMOUNTS = ("spent_nanousd", "estimate_nanousd", "low_nanousd", "high_nanousd")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@command
def forecast(
    context: typer.Context,
    alpha: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="One less the level of the interval.")
    ] = 0.1,
    format: options.FormatOption = "table",
) -> int:
    """
    Tell what this month (UTC) will cost, with a prediction interval.

    From the totals of the last 8 weeks, of 14 full days at least; ends with 3
    if these do not tell.
    """
    from modeltrail.report.outlook import first_day, outlook
    from modeltrail.stats.estimate import NotEstimable
    from modeltrail.storage import Filters

    now = now_us()
    at = _EPOCH + timedelta(microseconds=now)
    since_us = (first_day(at) - _EPOCH) // timedelta(microseconds=1)
    with reading(context.obj) as store:
        groups = store.sums(["day"], Filters(since_us=since_us, until_us=now))
    costs = {
        date.fromisoformat(str(group.key[0])): group.cost_nanousd
        for group in groups
        if group.cost_nanousd is not None
    }
    found = outlook(costs, at, alpha=alpha)
    if isinstance(found, NotEstimable):
        tell(f"cannot tell what the month will cost: {found.reason}")
        return CANNOT_TELL
    row = _row(found, now, alpha)
    if format == "table":
        _write_text(found, now, alpha)
    elif format == "json":
        write_json(SCHEMA, **row)
    else:
        write_rows(format, SCHEMA, list(row), [row])
    if unpriced := sum(group.unpriced for group in groups):
        tell(f"unpriced: the cost of {count(unpriced)} calls is not known, nor in these figures")
    return OK


def _row(found: "Outlook", now: int, alpha: float) -> dict[str, Any]:
    figures = found._asdict()
    dollars = {f"{name.removesuffix('_nanousd')}_usd": usd_from(figures[name]) for name in AMOUNTS}
    return {**figures, **dollars, "until_us": now, "alpha": alpha}


def _write_text(found: "Outlook", now: int, alpha: float) -> None:
    print(f"{found.month}: {money(found.spent_nanousd)} spent until {moment(now)} UTC")
    print(
        f"by its end: {money(found.estimate_nanousd)}, {100 * (1 - alpha):.4g}% interval "
        f"{money(found.low_nanousd)} to {money(found.high_nanousd)}"
    )
    print(f"method: weekday, trend and noise of the last {found.days} full days, log scale")
