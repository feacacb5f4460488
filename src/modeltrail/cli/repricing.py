"""
`modeltrail prices refresh | show | diff | recompute`: which prices hold, and making calls follow.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import asdict

from modeltrail.cli import options
from modeltrail.cli.exits import FINDING, OK, command, tell
from modeltrail.cli.output import write_json, write_rows, write_table
from modeltrail.cli.prices import PriceFile
from modeltrail.cli.trails import amending, reading
from modeltrail.ids import now_us
from modeltrail.prices import Subject, data, rates_of, read_book
from modeltrail.render.figures import UNKNOWN, count, moment, money
from modeltrail.render.layout import Column
from modeltrail.render.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modeltrail.report.repricing import Change, ModelChange
    from modeltrail.storage import Filters, Store

SHOW = "modeltrail.price/1"
DIFF = "modeltrail.prices-diff/1"
MILLION = 1_000_000
COLUMNS = (
    Column("PROVIDER", "label"),
    Column("MODEL", "label"),
    Column("CALLS"),
    Column("NEWLY PRICED", rank=1),
    Column("BEFORE"),
    Column("AFTER"),
    Column("DIFFERENCE"),
)
NAMES = ("provider", "model", "calls", "newly_priced", "before_nanousd", "after_nanousd")


@command
def refresh(
    url: Annotated[str, typer.Option(help="Where prices are published.")] = data.URL,
) -> None:
    """
    Fetch the newest published prices, for this machine.

    Trails that are opened from now on use them. Calls that are stored keep
    their cost; see `prices recompute`.
    """
    file = data.path()
    raw = data.fetch(url)
    data.keep(raw, file)
    typer.echo(f"{file}: prices {data.use().name}")


@command
def show(
    model: Annotated[str, typer.Option(help="The model, as its provider names it.")],
    provider: Annotated[
        str | None, typer.Option(help="Who serves it; without it the name alone decides.")
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="When; by default now.")] = None,
    service_tier: Annotated[
        str | None, typer.Option(help="The tier that serves it, such as flex, priority or batch.")
    ] = None,
    price_file: PriceFile = None,
    format: options.PageFormatOption = "table",
) -> int:
    """
    Show what a million tokens of a model cost.

    Ends with 1 if no price is known, or it is not one rate per kind of token;
    `prices quote` knows those, too.
    """
    now = now_us()
    at_us = options.moment_us(at, now)
    subject = Subject(provider, model, now if at_us is None else at_us, service_tier)
    found = rates_of(subject, read_book(price_file))
    if found is None:
        tell(f"no plain rates are known for {model}; try `modeltrail prices quote`")
        return FINDING
    rates, source, price_id = found
    per_million = {
        name: None if rate is None else format_rate(rate) for name, rate in rates._asdict().items()
    }
    if format == "json":
        shown = {"cost_source": source, "price_id": price_id, "usd_per_million": per_million}
        write_json(SHOW, **asdict(subject), **shown)
    else:
        for name, rate in per_million.items():
            typer.echo(f"{name:<15} {UNKNOWN if rate is None else f'${rate}'}")
        tell(f"US dollars for a million tokens at {moment(subject.at_us)} UTC, by {price_id}")
    return OK


@command
def diff(
    context: typer.Context,
    since: options.Since = None,
    until: options.Until = None,
    price_file: PriceFile = None,
    format: options.FormatOption = "table",
) -> int:
    """
    List the models whose calls would cost something else by the prices known now.

    Ends with 1 if there are any. Nothing is changed.
    """
    with reading(context.obj) as store:
        found = _changes(store, options.within(since, until, now_us()), price_file)
    return _write(found, format)


@command
def recompute(
    context: typer.Context,
    since: options.Since = None,
    until: options.Until = None,
    price_file: PriceFile = None,
    format: options.FormatOption = "table",
) -> int:
    """
    Price stored calls anew, by the prices known now for the time of each call.

    What was stored stays: the new costs are amendments, and an event tells
    how many there are and by which prices.
    """
    from modeltrail.report.repricing import amendments

    filters = options.within(since, until, now_us())
    with amending(context.obj) as store:
        found = _changes(store, filters, price_file)
        if found:
            window = f"{filters.since_us or ''}..{filters.until_us or ''}"
            known = data.in_force().name
            for batch in amendments(found, prices=f"genai-prices:{known}", window=window):
                store.append(batch)
    _write(found, format)
    return OK


def format_rate(per_token: Decimal) -> str:
    """
    Show what a million tokens cost, without trailing zeros.
    """
    return f"{(per_token * MILLION).normalize():f}"


def _changes(store: "Store", filters: "Filters", price_file: str | None) -> "Sequence[Change]":
    from modeltrail.report.repricing import changes

    return list(changes(store.each_call(filters), read_book(price_file)))


def _write(found: "Sequence[Change]", format: str) -> int:
    from modeltrail.report.repricing import by_model

    models = by_model(found)
    if format == "table":
        write_table(COLUMNS, [_cells(each) for each in models])
        before = sum(each.before_nanousd for each in models)
        after = sum(each.after_nanousd for each in models)
        tell(f"{count(len(found))} calls: {money(before)} -> {money(after)}")
    else:
        write_rows(format, DIFF, NAMES, [each._asdict() for each in models])
    return FINDING if found else OK


def _cells(each: "ModelChange") -> list[str]:
    names = [UNKNOWN if name is None else clean(name) for name in (each.provider, each.model)]
    difference = each.after_nanousd - each.before_nanousd
    figures = [count(each.calls), count(each.newly_priced)]
    amounts = [money(each.before_nanousd), money(each.after_nanousd), money(difference)]
    return [*names, *figures, *amounts]
