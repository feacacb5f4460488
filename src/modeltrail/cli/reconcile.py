"""
`modeltrail reconcile`: the trail beside the providers' own figures.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import CANNOT_TELL, FINDING, OK, command, tell
from modeltrail.cli.output import write_json, write_rows, write_table
from modeltrail.cli.trails import reading
from modeltrail.errors import ConfigurationError
from modeltrail.ids import now_us
from modeltrail.interop.export import HOUR_US, Export
from modeltrail.interop.formats import FormatName, read_export
from modeltrail.interop.twice import refuse_twice
from modeltrail.render.figures import count, moment

if TYPE_CHECKING:
    from modeltrail.report.joined import Joined
    from modeltrail.report.reconcile import Row, Scope
    from modeltrail.storage import Store

SCHEMA = "modeltrail.reconcile/1"
WIDTHS = {"hour": HOUR_US, "day": 24 * HOUR_US}


@command
def reconcile(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="What the providers exported; all of one period at once."
        ),
    ],
    from_: Annotated[
        FormatName | None,
        typer.Option("--from", help="The format of the files; by default what they look like."),
    ] = None,
    since: options.Since = None,
    until: options.Until = None,
    by: Annotated[
        Literal["hour", "day"], typer.Option(help="How long the buckets are, at least.")
    ] = "hour",
    tolerance: Annotated[
        str, typer.Option(metavar="SHARE", help="What may differ, of the larger figure.")
    ] = "1%",
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ALIAS=ID", help="Which alias of a key is which id in the export; repeatable."
        ),
    ] = None,
    differences: Annotated[
        bool, typer.Option("--differences", help="Only the rows that differ.")
    ] = False,
    format: options.FormatOption = "table",
) -> int:
    """
    Compare the trail with the providers' usage exports.

    Ends with 1 if something differs, with 3 if nothing can be compared.
    """
    from modeltrail.report.reconcile import compare, scopes

    now = now_us()
    allowed, keys = _share(tolerance), dict(map(_alias, key or ()))
    exports = [read_export(str(path), _content(path), from_) for path in files]
    refuse_twice(exports)
    with reading(context.obj) as store:
        found = scopes(
            exports,
            first_call_us=_first_us(store),
            since_us=options.moment_us(since, now) or 0,
            until_us=min(options.moment_us(until, now) or now, now),
            by_us=WIDTHS[by],
        )
        rows = [
            row
            for scope in found
            for row in compare(
                scope,
                exports,
                store.metered_hours([scope.provider], scope.start_us, scope.end_us),
                tolerance=allowed,
                keys=keys,
            )
        ]
        calls = [_calls_within(store, scope) for scope in found]
        joined = {scope.provider: each for scope in found for each in _join(store, exports, scope)}
    _tell_scopes(exports, found)
    if unnamed := max((each[None] for each in calls), default=0):
        tell(f"not compared: {count(unnamed)} calls of the trail have no known provider")
    if not any(each.total() for each in calls):
        tell("nothing can be compared: the trail and the exports have no time in common")
        return CANNOT_TELL
    shown = [row for row in rows if row.cause] if differences else rows
    _write(format, found, shown, rows, joined)
    _tell_findings(rows, joined)
    missing = any(each.only_logged or each.only_recorded for each in joined.values())
    return FINDING if missing or any(row.cause for row in rows) else OK


def _share(text: str) -> Fraction:
    try:
        share = Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigurationError(f"{text!r} is no share; write 1% or 0.01") from error
    if not 0 <= share < 1:
        raise ConfigurationError(f"a tolerance of {text} makes no sense; write 1% or 0.01")
    return share


def _alias(text: str) -> tuple[str, str]:
    alias, equals, id = text.partition("=")
    if not (alias and equals and id):
        raise ConfigurationError(f"{text!r} is no ALIAS=ID")
    return alias, id


def _content(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror})") from error


def _first_us(store: "Store") -> int:
    first = store.first_call_us()
    return now_us() if first is None else first


def _calls_within(store: "Store", scope: "Scope") -> Counter[str | None]:
    from modeltrail.storage import Filters

    within = Filters(since_us=scope.start_us, until_us=scope.end_us)
    return Counter({group.key[0]: group.calls for group in store.sums(["provider"], within)})


def _join(store: "Store", exports: Sequence[Export], scope: "Scope") -> "Iterator[Joined]":
    """
    Join the calls of a provider whose log is given, if the trail has ids of requests.
    """
    from modeltrail.report.joined import join

    logged = [
        call
        for each in exports
        for call in each.calls
        if each.provider == scope.provider and scope.start_us <= call.at_us < scope.end_us
    ]
    if not logged:
        return
    # A call at the edge may have started in the hour before.
    recorded = store.requested_calls(
        scope.provider, scope.start_us - HOUR_US, scope.end_us + HOUR_US
    )
    if any(call.request_id for call in recorded):
        yield join(logged, recorded)
    else:
        tell(f"{scope.provider}: no call of the trail has the id of its request; not joined")


def _write(
    format: str,
    scopes: "Sequence[Scope]",
    shown: "Sequence[Row]",
    rows: "Sequence[Row]",
    joined: "dict[str, Joined]",
) -> None:
    from modeltrail.cli.reconciled import (
        CALL_COLUMNS,
        COLUMNS,
        NAMES,
        call_cells,
        cells,
        counts_of,
        footer,
        row_of,
        sums_of,
        unmatched,
    )

    apart = [each for provider, found in joined.items() for each in unmatched(provider, found)]
    if format == "table":
        write_table(COLUMNS, [cells(row) for row in shown], footer=footer(rows))
        if apart:
            print()
            write_table(CALL_COLUMNS, [call_cells(each) for each in apart])
    elif format == "json":
        write_json(
            SCHEMA,
            compared=[
                {
                    "provider": scope.provider,
                    "since_us": scope.start_us,
                    "until_us": scope.end_us,
                    "bucket_us": scope.grain_us,
                    "left_out": scope.left_out,
                }
                for scope in scopes
            ],
            rows=[row_of(row) for row in shown],
            total=sums_of(rows),
            calls=apart,
            joined=[counts_of(provider, found) for provider, found in joined.items()],
        )
    else:
        write_rows(format, SCHEMA, NAMES, [row_of(row) for row in shown])


def _tell_scopes(exports: Sequence[Export], scopes: "Sequence[Scope]") -> None:
    for each in exports:
        if each.more:
            tell(f"{each.name}: the provider has more pages; what they tell is not compared")
    compared = {scope.provider for scope in scopes}
    for provider in sorted({each.provider for each in exports} - compared):
        tell(f"{provider}: the trail and the exports have no whole bucket in common")
    for scope in scopes:
        width = next(name for name, us in WIDTHS.items() if us == scope.grain_us)
        tell(
            f"{scope.provider}: compared by {width} from {moment(scope.start_us)} to "
            f"{moment(scope.end_us)} UTC, the end excluded"
        )
        if scope.left_out:
            tell(
                f"{scope.provider}: left out {count(scope.left_out)} buckets that the trail, the "
                "window or an export covers in part or not at all"
            )


def _tell_findings(rows: "Sequence[Row]", joined: "dict[str, Joined]") -> None:
    from modeltrail.report.causes import CAUSES

    found = {row.cause for row in rows}
    for cause in CAUSES:
        if cause.name in found:
            tell(f"{cause.name}: {cause.meaning}")
    for provider, each in joined.items():
        tell(
            f"{provider}: {count(each.matched)} calls stand on both sides, "
            f"{count(len(each.differing))} of them with other tokens; "
            f"{count(each.without_id)} calls of the trail have no id of a request"
        )
