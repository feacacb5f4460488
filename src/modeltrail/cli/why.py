"""
`modeltrail cost why`: why a bill has changed.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import CANNOT_TELL, OK, command, tell
from modeltrail.cli.output import write_json, write_rows, write_table
from modeltrail.cli.trails import reading
from modeltrail.ids import now_us
from modeltrail.render.figures import UNKNOWN, count, difference, moment, money, usd_from
from modeltrail.render.layout import Column
from modeltrail.render.text import clean

if TYPE_CHECKING:
    from modeltrail.report.change import CellChange
    from modeltrail.report.why import Side, Why

SCHEMA = "modeltrail.cost-change/1"
MEANINGS = {
    "volume": "the number of calls",
    "mix": "which calls: their shares of models and the like",
    "tokens": "tokens per call",
    "cache": "the share of input in the provider's cache",
    "price": "the price of a token",
}
FACTORS = (Column("FACTOR", "text"), Column("ADDS"), Column("WHAT IT IS", "label"))
COSTS = (Column("BEFORE", rank=2), Column("AFTER", rank=1), Column("CHANGE"))
PARTS = tuple(Column(name.upper(), rank=3) for name in MEANINGS)
NAMES = (
    "before_nanousd",
    "after_nanousd",
    "change_nanousd",
    *(f"{name}_nanousd" for name in MEANINGS),
)
Window = Annotated[
    str, typer.Option(metavar="TIME..TIME", help="Two moments, told as for --since of cost.")
]


@command
def why(
    context: typer.Context,
    before: Window,
    after: Window,
    by: Annotated[
        str,
        typer.Option(
            help="What tells calls apart besides provider and model, such as feature or tag.NAME."
        ),
    ] = "",
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="How many rows of the table.")
    ] = 10,
    format: options.FormatOption = "table",
) -> int:
    """
    Tell why the bill of one window is not that of another.

    Divides the change among volume, mix, tokens per call, caching and price,
    to the nano-dollar. Ends with 3 if that cannot be told.
    """
    from modeltrail.report.why import why as explain
    from modeltrail.stats.estimate import NotEstimable

    now = now_us()
    windows = options.window_us(before, now), options.window_us(after, now)
    with reading(context.obj) as store:
        found = explain(store, *windows, options.names_in(by))
    if isinstance(found, NotEstimable):
        tell(f"cannot tell why: {found.reason}")
        return CANNOT_TELL
    rows = [_row(found.by, cell) for cell in found.change.cells]
    if format == "table":
        _write_text(found, limit)
    elif format == "json":
        write_json(SCHEMA, **_summary(found), rows=rows)
    else:
        write_rows(format, SCHEMA, [*found.by, *NAMES], rows)
    _tell_left_out("before", found.before)
    _tell_left_out("after", found.after)
    return OK


def _row(by: Sequence[str], cell: "CellChange") -> dict[str, Any]:
    return {
        **dict(zip(by, cell.key, strict=True)),
        "before_nanousd": cell.before_nanousd,
        "after_nanousd": cell.after_nanousd,
        "change_nanousd": cell.after_nanousd - cell.before_nanousd,
        **{f"{name}_nanousd": part for name, part in cell.parts._asdict().items()},
    }


def _summary(found: "Why") -> dict[str, Any]:
    parts = found.change.parts._asdict()
    total = found.change.after_nanousd - found.change.before_nanousd
    return {
        "by": found.by,
        "before": found.before._asdict(),
        "after": found.after._asdict(),
        "change_nanousd": total,
        "change_usd": usd_from(total),
        "parts": {name: {"nanousd": part, "usd": usd_from(part)} for name, part in parts.items()},
    }


def _write_text(found: "Why", limit: int) -> None:
    change = found.change
    total = change.after_nanousd - change.before_nanousd
    for name, side in (("before", found.before), ("after", found.after)):
        window = f"{moment(side.since_us)} to {moment(side.until_us)} UTC"
        print(f"{name:<6}  {window}  {count(side.calls)} calls  {money(side.cost_nanousd)}")
    print()
    parts = change.parts._asdict()
    rows = [(name, difference(part), MEANINGS[name]) for name, part in parts.items()]
    write_table(FACTORS, rows, footer=("change", difference(total), ""))
    print()
    _write_cells(found, limit)


def _write_cells(found: "Why", limit: int) -> None:
    change = found.change
    labels = [Column(clean(name).upper(), "label") for name in found.by]
    rows = [
        [
            *(UNKNOWN if value is None else clean(value) for value in cell.key),
            *_amounts(cell.before_nanousd, cell.after_nanousd, cell.parts),
        ]
        for cell in change.cells[:limit]
    ]
    heads = ["TOTAL", *[""] * (len(labels) - 1)]
    total = _amounts(change.before_nanousd, change.after_nanousd, change.parts)
    write_table([*labels, *COSTS, *PARTS], rows, footer=[*heads, *total])
    if len(change.cells) > limit:
        tell(f"the {count(limit)} of {count(len(change.cells))} rows that have changed most")


def _amounts(before: int, after: int, parts: Sequence[int]) -> list[str]:
    return [money(before), money(after), difference(after - before), *map(difference, parts)]


def _tell_left_out(name: str, side: "Side") -> None:
    if side.left_out:
        tell(
            f"{name}: {count(side.left_out)} calls whose cost or tokens are not known are in none "
            f"of these figures; what is known of their cost is {money(side.left_out_nanousd)}"
        )
