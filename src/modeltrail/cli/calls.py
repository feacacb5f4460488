"""
`modeltrail calls`: look at calls.
"""

import time
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import command, tell
from modeltrail.cli.follow import Tally, follow
from modeltrail.cli.output import write_json, write_jsonl, write_rows, write_table
from modeltrail.cli.trails import reading, ref_of
from modeltrail.ids import now_us
from modeltrail.record import CallRecord
from modeltrail.render.call import COLUMNS, cells, line, page
from modeltrail.render.figures import usd_from

if TYPE_CHECKING:
    from modeltrail.storage import Numbered

LIST_SCHEMA = "modeltrail.calls/1"
SHOW_SCHEMA = "modeltrail.call/1"
RECORD_NAMES = (*CallRecord.__struct_fields__, "cost_usd")
ROW_NAMES = ("seq", *RECORD_NAMES)

calls = typer.Typer(help="Look at single calls.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(help="The call's id, or its beginning.")]


@calls.command("list")
@command
def list_calls(
    context: typer.Context,
    number: Annotated[
        int, typer.Option("-n", "--number", min=0, help="How many at most; 0 lists all.")
    ] = 50,
    feature: options.Feature = None,
    experiment: options.Experiment = None,
    variant: options.Variant = None,
    framework: options.Framework = None,
    status: options.Status = None,
    user: options.User = None,
    trace: options.Trace = None,
    since: options.Since = None,
    until: options.Until = None,
    format: options.FormatOption = "table",
) -> None:
    """
    List calls, the newest first.
    """
    from modeltrail.storage import Filters

    now = now_us()
    with reading(context.obj) as store:
        filters = Filters(
            feature=feature,
            experiment=experiment,
            variant=variant,
            framework=framework,
            status=status,
            trace_id=trace,
            user_ref=ref_of(store, user),
            since_us=options.moment_us(since, now),
            until_us=options.moment_us(until, now),
        )
        found = store.calls(filters, limit=number or None)
    if format != "table":
        write_rows(format, LIST_SCHEMA, ROW_NAMES, [row(each) for each in found])
        return
    write_table(COLUMNS, [cells(each.record) for each in found])
    if number and len(found) == number:
        tell(f"at most {number} are listed, the newest; -n 0 lists all")


@calls.command("show")
@command
def show_call(context: typer.Context, id: Id, format: options.PageFormatOption = "table") -> None:
    """
    Show all that is known of one call.
    """
    with reading(context.obj) as store:
        record = store.call(id)
    if format == "json":
        write_json(SHOW_SCHEMA, call=columns_of(record))
    else:
        print("\n".join(page(record)))


@calls.command("tail")
@command
def tail_calls(
    context: typer.Context,
    feature: options.Feature = None,
    experiment: options.Experiment = None,
    variant: options.Variant = None,
    framework: options.Framework = None,
    status: options.Status = None,
    interval: Annotated[
        float, typer.Option(min=0.05, help="How many seconds to wait between looks.")
    ] = 1.0,
    limit: Annotated[int | None, typer.Option(min=1, help="End after so many calls.")] = None,
    format: options.LineFormatOption = "table",
) -> None:
    """
    Follow new calls, one line each, until Ctrl-C.
    """
    from modeltrail.storage import Filters

    filters = Filters(
        feature=feature, experiment=experiment, variant=variant, framework=framework, status=status
    )
    tally = Tally()
    with reading(context.obj) as store:
        found = follow(store, filters, wait=lambda: time.sleep(interval))
        try:
            tell("following; Ctrl-C ends")
            for each in islice(found, limit):
                tally.add(each.record)
                _write_line(each, format)
        finally:
            tell(tally.summary())


def row(numbered: "Numbered") -> dict[str, Any]:
    """
    Return a call as plain data, with its place in the trail.
    """
    return {"seq": numbered.seq, **columns_of(numbered.record)}


def columns_of(record: CallRecord) -> dict[str, Any]:
    """
    Return a record as plain data, with its cost as an exact decimal.
    """
    columns = {name: getattr(record, name) for name in CallRecord.__struct_fields__}
    nanousd = record.cost_nanousd
    return {**columns, "cost_usd": None if nanousd is None else usd_from(nanousd)}


def _write_line(numbered: "Numbered", format: str) -> None:
    if format == "jsonl":
        write_jsonl([row(numbered)])
    else:
        print(line(numbered.record), flush=True)
