"""
`modeltrail import`: calls that were recorded elsewhere.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import FINDING, OK, command, tell
from modeltrail.cli.output import write_json
from modeltrail.cli.prices import PriceFile
from modeltrail.cli.sources import (
    Checked,
    Source,
    each_row,
    opened,
    tell_bad,
    tell_progress,
    tell_unstored,
)
from modeltrail.cli.trails import appending
from modeltrail.errors import ConfigurationError
from modeltrail.interop.lines import FileFormat
from modeltrail.keys import Keys, find_keys, load_keys
from modeltrail.render.figures import count

if TYPE_CHECKING:
    from modeltrail.interop.calls_file import OutcomeOf, Settings
    from modeltrail.interop.column_map import ColumnMap
    from modeltrail.interop.kept import Kept
    from modeltrail.storage.intake import Tally

SCHEMA = "modeltrail.import/1"
EVENT = "calls-imported"

File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="CSV or JSON lines, in UTF-8; packed if it ends with .gz."),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Store the others if some rows are bad.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check the file and store nothing.")]
From = Annotated[
    FileFormat | None,
    typer.Option("--from", help="The format of the file; by default what its name ends with."),
]

importing = typer.Typer(no_args_is_help=True, help="Bring in calls that were recorded elsewhere.")


@importing.command("calls")
@command
def import_calls(
    context: typer.Context,
    file: File,
    map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=COLUMN", help="Which column tells a field of the record; repeatable."
        ),
    ] = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COLUMN", help="Which column tells an outcome of the call; repeatable."
        ),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUE", help="A field of all rows that have no value; repeatable."
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column to leave out; repeatable."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep all other columns as free tags.")
    ] = False,
    framework: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What made the calls; by default `import`."),
    ] = None,
    outcome_of: Annotated[
        Literal["call", "unit"], typer.Option(help="What the outcomes belong to.")
    ] = "call",
    skip_bad: SkipBad = False,
    dry_run: DryRun = False,
    from_: From = None,
    price_file: PriceFile = None,
    format: options.PageFormatOption = "table",
) -> int:
    """
    Import calls from a log, one a row; what was imported before is not stored again.

    Ends with 1 if there are bad rows; then nothing is stored without `--skip-bad`.
    """
    from modeltrail.interop.column_map import Asked, ColumnMap
    from modeltrail.interop.kept import keeping

    asked = Asked(
        [pair(each, "FIELD=COLUMN") for each in map or ()],
        [pair(each, "NAME=COLUMN") for each in outcome or ()],
        _values(set or (), framework),
        tuple(ignore or ()),
        keep,
    )
    columns = ColumnMap(asked)
    # Whoever only looks leaves no key behind.
    keys = find_keys() or Keys(bytes(32)) if dry_run else load_keys()
    with opened(file, from_) as source, keeping() as kept:
        settings = _settings(asked.values, source, keys, price_file, outcome_of)
        checked = _check(source, columns, settings, None if dry_run else kept)
        tell_bad(source.name, checked)
        if columns.secret:
            tell(f"left out, since called like credentials: {', '.join(sorted(columns.secret))}")
        is_stored = not dry_run and (skip_bad or not checked.bad)
        tally = _store(context.obj, source, kept, checked, keys) if is_stored else None
    _write(format, source, checked, tally)
    if tally is None and format == "table":
        tell_unstored(dry_run=dry_run)
    return FINDING if checked.bad else OK


def pair(text: str, form: str) -> tuple[str, str]:
    """
    Return what stands on both sides of an equals sign.

    Raises:
        ConfigurationError: One is missing.
    """
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ConfigurationError(f"{text!r} is no {form}")
    return name, value


def _values(given: Sequence[str], framework: str | None) -> dict[str, str]:
    pairs = [pair(each, "FIELD=VALUE") for each in given]
    if framework is not None:
        pairs.append(("framework", framework))
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ConfigurationError("a field is set twice, with --set or --framework")
    return values


def _settings(
    values: Mapping[str, str],
    source: Source,
    keys: Keys,
    price_file: str | None,
    outcome_of: "OutcomeOf",
) -> "Settings":
    from modeltrail.interop.calls_file import FRAMEWORK, UNKNOWN_VERSION, Settings, values_of
    from modeltrail.prices import read_book

    try:
        read = values_of(values, keys.ref)
    except ValueError as error:
        raise ConfigurationError(f"--set {error}") from None
    # What made the calls has a version that nobody told; the import itself has ours.
    is_ours = "framework" not in values
    return Settings(
        values=read,
        ref=keys.ref,
        origin=source.origin,
        framework=FRAMEWORK,
        framework_version=version("modeltrail") if is_ours else UNKNOWN_VERSION,
        outcome_of=outcome_of,
        book=read_book(price_file),
    )


def _check(
    source: Source, columns: "ColumnMap", settings: "Settings", kept: "Kept | None"
) -> Checked:
    """
    Read the whole file, storing nothing.

    Args:
        kept: Where to keep the calls; None if they will not be stored.
    """
    from modeltrail.interop.calls_file import CallReader

    def learn(heading: tuple[str, ...]) -> None:
        columns.learn(heading)
        columns.check()

    checked = Checked()
    for each in each_row(source, checked, "checked", learn, CallReader(columns, settings).read):
        if kept is not None:
            kept.add(each)
    columns.check()
    return checked


def _store(url: str | None, source: Source, kept: "Kept", checked: Checked, keys: Keys) -> "Tally":
    """
    Store the calls that were checked, and tell of it in the trail.
    """
    from modeltrail.storage.intake import Intake
    from modeltrail.storage.rows import event_row

    with appending(url, keys) as store:
        intake = Intake(store)
        for number, each in enumerate(kept, 1):
            intake.add(each.record, each.outcomes)
            tell_progress(number, "stored")
        intake.flush()
        for origin in intake.refused:
            checked.note(int(origin.rpartition(":")[2]), "the database refuses it")
        detail = {
            "file": source.name,
            "digest": source.digest,
            "origin": source.origin,
            "rows": checked.rows,
            "bad": checked.bad,
            **intake.tally._asdict(),
        }
        intake.tell(event_row(EVENT, detail))
    return intake.tally


def _write(format: str, source: Source, checked: Checked, tally: "Tally | None") -> None:
    stored = tally._asdict() if tally else {"new": 0, "known": 0, "outcomes": 0}
    if format == "json":
        write_json(
            SCHEMA,
            file=source.name,
            digest=source.digest,
            stored=tally is not None,
            rows=checked.rows,
            **stored,
            bad=checked.bad,
            bad_rows=[{"line": line, "reason": reason} for line, reason in checked.told],
        )
        return
    figures = ", ".join(f"{count(number)} {name}" for name, number in stored.items())
    typer.echo(f"{count(checked.rows)} rows, {count(checked.bad)} bad: {figures}")
