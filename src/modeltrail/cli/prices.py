"""
`modeltrail prices`: what a call of a model costs, and which models have no price.
"""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from modeltrail.cli import options
from modeltrail.cli.exits import FINDING, OK, command, tell
from modeltrail.cli.output import write_json, write_rows, write_table
from modeltrail.cli.trails import reading
from modeltrail.ids import now_us
from modeltrail.prices import HOUR_WRITES, Subject, price, read_book
from modeltrail.record import Operation, Usage
from modeltrail.render.figures import UNKNOWN, count, moment, money, usd_from
from modeltrail.render.layout import Column
from modeltrail.render.text import clean

if TYPE_CHECKING:
    from modeltrail.storage import Group

prices = typer.Typer(no_args_is_help=True, help="Ask for prices, and for what has none.")

QUOTE = "modeltrail.price-quote/1"
MISSING = "modeltrail.prices-missing/1"
MODELS = ("provider", "request_model", "response_model", "service_tier")
COLUMNS = (
    Column("PROVIDER", "label"),
    Column("ASKED FOR", "label"),
    Column("ANSWERED", "label"),
    Column("TIER", "label", rank=1),
    Column("CALLS"),
    Column("INPUT TOKENS"),
    Column("OUTPUT TOKENS"),
)

PriceFile = Annotated[
    str | None,
    typer.Option(
        "--prices", metavar="FILE", envvar="MODELTRAIL_PRICES", help="Prices of your own, in TOML."
    ),
]


@prices.command()
@command
def quote(
    model: Annotated[str, typer.Option(help="The model, as its provider names it.")],
    input_tokens: Annotated[
        int, typer.Option(min=0, help="All input tokens, those of caches included.")
    ],
    provider: Annotated[
        str | None, typer.Option(help="Who serves it; without it the name alone decides.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When the call is made; by default now.")
    ] = None,
    output_tokens: Annotated[
        int | None, typer.Option(min=0, help="All output tokens, those of reasoning included.")
    ] = None,
    cache_read_tokens: Annotated[
        int | None, typer.Option(min=0, help="Input tokens that are read from a cache.")
    ] = None,
    cache_write_tokens: Annotated[
        int | None, typer.Option(min=0, help="Input tokens that are written to a cache.")
    ] = None,
    cache_write_1h_tokens: Annotated[
        int | None, typer.Option(min=0, help="Those of them that are kept for an hour.")
    ] = None,
    operation: Annotated[Operation, typer.Option(help="What is asked of it.")] = "chat",
    service_tier: Annotated[
        str | None, typer.Option(help="The tier that serves it, such as flex, priority or batch.")
    ] = None,
    price_file: PriceFile = None,
    format: options.PageFormatOption = "table",
) -> int:
    """
    Tell what a call would cost, at the price of its time.

    Ends with 1 if no price is known.
    """
    now = now_us()
    at_us = options.moment_us(at, now)
    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_input_tokens=cache_read_tokens,
        cache_creation_input_tokens=cache_write_tokens,
        detail={HOUR_WRITES: cache_write_1h_tokens} if cache_write_1h_tokens else None,
        source="provider",
    )
    asked_us = now if at_us is None else at_us
    subject = Subject(provider, model, asked_us, service_tier)
    cost = price(usage, subject, operation=operation, book=read_book(price_file))
    if format == "json":
        write_json(
            QUOTE,
            provider=provider,
            model=model,
            service_tier=service_tier,
            at_us=asked_us,
            cost_nanousd=cost.nanousd,
            cost_usd=None if cost.nanousd is None else usd_from(cost.nanousd),
            cost_source=cost.source,
            price_id=cost.price_id,
        )
    elif cost.nanousd is not None:
        typer.echo(f"{money(cost.nanousd)} at {moment(asked_us)} UTC, by {cost.price_id}")
    if cost.nanousd is not None:
        return OK
    of = f" of {provider}" if provider else ""
    at_tier = f" at {service_tier}" if service_tier else ""
    tell(f"no price is known for {model}{of}{at_tier} and these tokens")
    return FINDING


@prices.command()
@command
def missing(
    context: typer.Context,
    since: options.Since = None,
    until: options.Until = None,
    format: options.FormatOption = "table",
) -> int:
    """
    List the models, and the tiers that served them, whose calls have tokens and no cost.

    The figures are of these calls alone. Ends with 1 if there are any.
    """
    filters = options.within(since, until, now_us())
    with reading(context.obj) as store:
        groups = store.sums(MODELS, msgspec.structs.replace(filters, lacks_price=True))
    found = sorted(groups, key=lambda group: -group.calls)
    if format == "table":
        write_table(COLUMNS, [_cells(group) for group in found])
    else:
        names = [*MODELS, "calls", "input_tokens", "output_tokens"]
        write_rows(format, MISSING, names, [_row(group) for group in found])
    return FINDING if found else OK


def _row(group: "Group") -> dict[str, Any]:
    figures = {
        "calls": group.calls,
        "input_tokens": group.input_tokens,
        "output_tokens": group.output_tokens,
    }
    return {**dict(zip(MODELS, group.key, strict=True)), **figures}


def _cells(group: "Group") -> list[str]:
    names = [UNKNOWN if name is None else clean(name) for name in group.key]
    return [*names, count(group.calls), count(group.input_tokens), count(group.output_tokens)]
