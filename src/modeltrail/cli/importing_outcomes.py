"""
`modeltrail import outcomes`: how good calls turned out to be, told by another system.
"""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import FINDING, OK, command
from modeltrail.cli.importing import DryRun, File, From, SkipBad, pair
from modeltrail.cli.output import write_json
from modeltrail.cli.sources import Checked, Source, each_row, opened, tell_bad, tell_unstored
from modeltrail.cli.trails import appending
from modeltrail.errors import ConfigurationError
from modeltrail.ids import now_us
from modeltrail.keys import Keys, find_keys, load_keys
from modeltrail.render.figures import count

if TYPE_CHECKING:
    from modeltrail.interop.calls_file import Outcome
    from modeltrail.interop.outcomes_file import OutcomeColumns, OutcomeReader

SCHEMA = "modeltrail.import-outcomes/1"
EVENT = "outcomes-imported"


@command
def import_outcomes(
    context: typer.Context,
    file: File,
    call: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Which column tells the call's id.")
    ] = None,
    trace: Annotated[str | None, typer.Option(metavar="COLUMN", help="Or the trace's id.")] = None,
    session: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Or the session, as it was tagged.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Or the unit, as it was assigned.")
    ] = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="An outcome and its column; repeatable."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Which column tells the name, if a row is one outcome."
        ),
    ] = None,
    value: Annotated[
        str, typer.Option(metavar="COLUMN", help="And which one the value.")
    ] = "value",
    at: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="When it was known; by default when it is imported."),
    ] = None,
    id: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The outcome's id; by default all that it says."),
    ] = None,
    skip_bad: SkipBad = False,
    dry_run: DryRun = False,
    from_: From = None,
    format: options.PageFormatOption = "table",
) -> int:
    """
    Import outcomes of calls; what was imported before is not stored again.

    Ends with 1 if there are bad rows; then nothing is stored without `--skip-bad`.
    """
    from modeltrail.interop.outcomes_file import OutcomeColumns, OutcomeReader, subject_of

    given = {"call": call, "trace": trace, "session": session, "unit": unit}
    values = [pair(each, "NAME=COLUMN") for each in outcome or ()]
    if bool(values) == (name is not None):
        raise ConfigurationError("name the outcomes, with --outcome NAME=COLUMN or --name COLUMN")
    columns = OutcomeColumns(*subject_of(given), values, name, value, at, id)
    keys = find_keys() or Keys(bytes(32)) if dry_run else load_keys()
    now = now_us()
    with opened(file, from_) as source:
        checked, found = Checked(), 0
        for each in _read(
            source, OutcomeReader(columns, keys.ref, now), columns, checked, "checked"
        ):
            found += len(each)
        tell_bad(source.name, checked)
        is_stored = not dry_run and (skip_bad or not checked.bad)
        reader = OutcomeReader(columns, keys.ref, now)
        new = _store(context.obj, source, reader, columns, checked, keys) if is_stored else None
    _write(format, source, checked, found, new)
    if new is None and format == "table":
        tell_unstored(dry_run=dry_run)
    return FINDING if checked.bad else OK


def _read(
    source: Source,
    reader: "OutcomeReader",
    columns: "OutcomeColumns",
    checked: Checked,
    done: str,
) -> "Iterator[list[Outcome]]":
    return each_row(source, checked, done, columns.check, reader.read)


def _store(
    url: str | None,
    source: Source,
    reader: "OutcomeReader",
    columns: "OutcomeColumns",
    checked: Checked,
    keys: Keys,
) -> int:
    """
    Store the outcomes that were checked, tell of it in the trail, and return how many are new.
    """
    from modeltrail.storage.intake import Intake
    from modeltrail.storage.rows import event_row

    again = Checked()
    rows = _read(source, reader, columns, again, "stored")
    with appending(url, keys) as store:
        intake = Intake(store)
        for outcomes in islice(rows, checked.rows - checked.bad):
            intake.add_outcomes(outcomes)
        intake.flush()
        checked.check_again(again, source.name)
        new = intake.tally.outcomes
        detail = {"file": source.name, "digest": source.digest, "origin": source.origin}
        figures = {"rows": checked.rows, "bad": checked.bad, "outcomes": new}
        intake.tell(event_row(EVENT, detail | figures))
    return new


def _write(format: str, source: Source, checked: Checked, found: int, new: int | None) -> None:
    figures = {"new": new or 0, "known": 0 if new is None else found - new}
    if format == "json":
        write_json(
            SCHEMA,
            file=source.name,
            digest=source.digest,
            stored=new is not None,
            rows=checked.rows,
            outcomes=found,
            **figures,
            bad=checked.bad,
            bad_rows=[{"line": line, "reason": reason} for line, reason in checked.told],
        )
        return
    told = ", ".join(f"{count(number)} {name}" for name, number in figures.items())
    typer.echo(
        f"{count(checked.rows)} rows, {count(checked.bad)} bad: {count(found)} outcomes, {told}"
    )
