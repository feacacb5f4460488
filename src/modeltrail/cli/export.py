"""
`modeltrail export`: the trail for other programs.
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, TextIO

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import command, tell
from modeltrail.cli.trails import reading
from modeltrail.errors import ConfigurationError
from modeltrail.ids import now_us
from modeltrail.render.figures import count
from modeltrail.render.text import clean_csv

export = typer.Typer(no_args_is_help=True, help="Write the trail for other programs.")

HOUR_US = 3_600_000_000
PERIODS = {"hour": HOUR_US, "day": 24 * HOUR_US}


@export.command()
@command
def focus(
    context: typer.Context,
    by: Annotated[
        str, typer.Option(help="What becomes a tag of the charges, such as feature,variant.")
    ] = "feature",
    period: Annotated[
        Literal["hour", "day"], typer.Option(help="How long the period of a charge is.")
    ] = "day",
    account: Annotated[
        str, typer.Option(help="The BillingAccountId, which the trail does not know.")
    ] = "default",
    since: options.Since = None,
    until: options.Until = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to; by default stdout.")
    ] = None,
) -> None:
    """
    Write what the calls cost as charges of FOCUS 1.2, CSV.

    Calls without a known cost are left out; how many is told.
    """
    from modeltrail.interop.focus import Bill

    now = now_us()
    filters = options.within(since, until, now)
    names = options.names_in(by)
    bill = Bill(period_us=PERIODS[period], by=names, account=account)
    with reading(context.obj) as store:
        for call in store.billed_calls(names, filters):
            bill.add(call)
    rows = list(bill.rows())
    with _opened(output) as file:
        _write(file, rows)
    if bill.left_out:
        tell(
            f"left out: {count(bill.left_out)} calls without a known cost, "
            f"{count(bill.left_out_with_tokens)} of them with tokens"
        )
    if unknown := sum(row["ListUnitPrice"] is None for row in rows):
        tell(f"{count(unknown)} of {count(len(rows))} charges have no list price for each token")


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror})") from error


def _write(file: TextIO, rows: Iterable[dict[str, str | None]]) -> None:
    from modeltrail.interop.focus import COLUMNS, NUMBERS

    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(
            value if name in NUMBERS or value is None else clean_csv(value)
            for name, value in row.items()
        )
