"""
A reconciliation in columns.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from modeltrail.render.figures import UNKNOWN, count, moment, money, usd_from
from modeltrail.render.layout import Column
from modeltrail.render.text import clean
from modeltrail.report.causes import MEASURES, Figures
from modeltrail.report.joined import Joined
from modeltrail.report.reconcile import Row, total

COLUMNS = (
    Column("FROM", "label"),
    Column("PROVIDER", "label"),
    Column("MODEL", "label"),
    Column("KEY", "label"),
    Column("REQUESTS", rank=3),
    Column("THEIRS", rank=3),
    Column("TOKENS", rank=2),
    Column("THEIRS", rank=2),
    Column("COST", rank=4),
    Column("THEIRS", rank=4),
    Column("DIFFERENCE", rank=1),
    Column("LIKELY CAUSE", "label"),
)
CALL_COLUMNS = (
    Column("PROVIDER", "label"),
    Column("ONLY IN", "label"),
    Column("AT", "label"),
    Column("MODEL", "label"),
    Column("REQUEST", "label"),
    Column("CALL", "label"),
)
# The figures of one row: of the trail, of the export, and what the export has more.
SIDES = ("trail", "export", "difference")
NAMES = (
    "provider",
    "model",
    "key",
    "start_us",
    "end_us",
    "calls",
    "failed",
    "unmetered",
    "unpriced",
    *(f"{side}_{name}" for name in MEASURES for side in SIDES),
    *(f"{side}_cost_usd" for side in SIDES),
    "cause",
)


def row_of(row: Row) -> dict[str, Any]:
    """
    Return a row as data.
    """
    pair = row.pair
    return {
        "provider": row.provider,
        "model": row.model,
        "key": row.key,
        "start_us": row.start_us,
        "end_us": row.end_us,
        "calls": pair.calls,
        "failed": pair.failed,
        "unmetered": pair.unmetered,
        "unpriced": pair.unpriced,
        **_figures(pair.trail, pair.export),
        "cause": row.cause,
    }


def sums_of(rows: Sequence[Row]) -> dict[str, Any]:
    """
    Return the sums of both sides as data.
    """
    return _figures(*total(rows))


def _figures(trail: Figures, export: Figures) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in MEASURES:
        ours, theirs = getattr(trail, name), getattr(export, name)
        found |= zip(
            (f"{side}_{name}" for side in SIDES), (ours, theirs, _minus(theirs, ours)), strict=True
        )
    for side in SIDES:
        cost = found[f"{side}_cost_nanousd"]
        found[f"{side}_cost_usd"] = None if cost is None else usd_from(cost)
    return found


def _minus(theirs: int | None, ours: int | None) -> int | None:
    return None if theirs is None or ours is None else theirs - ours


def cells(row: Row) -> list[str]:
    """
    Show a row.
    """
    names = [UNKNOWN if name is None else clean(name) for name in (row.model, row.key)]
    return [
        moment(row.start_us)[:16],
        clean(row.provider),
        *names,
        *_shown(row.pair.trail, row.pair.export),
        row.cause or "",
    ]


def footer(rows: Sequence[Row]) -> list[str]:
    """
    Show the sums of both sides.
    """
    return ["TOTAL", "", "", "", *_shown(*total(rows)), ""]


def _shown(trail: Figures, export: Figures) -> list[str]:
    ours, theirs = _tokens(trail), _tokens(export)
    return [
        count(trail.requests),
        count(export.requests),
        count(ours),
        count(theirs),
        money(trail.cost_nanousd),
        money(export.cost_nanousd),
        _difference(trail, export),
    ]


def _tokens(figures: Figures) -> int | None:
    if figures.input_tokens is None or figures.output_tokens is None:
        return None
    return figures.input_tokens + figures.output_tokens


def _difference(trail: Figures, export: Figures) -> str:
    """
    Show what the export has more: in dollars if they are told, else in tokens.
    """
    if (dollars := _minus(export.cost_nanousd, trail.cost_nanousd)) is not None:
        return money(dollars)
    return count(_minus(_tokens(export), _tokens(trail)))


def counts_of(provider: str, found: Joined) -> dict[str, Any]:
    """
    Return how many calls were joined, as data.
    """
    return {
        "provider": provider,
        "matched": found.matched,
        "differing": len(found.differing),
        "only_in_export": len(found.only_logged),
        "only_in_trail": len(found.only_recorded),
        "without_id": found.without_id,
    }


def unmatched(provider: str, found: Joined) -> Iterator[dict[str, Any]]:
    """
    Return the calls that stand on one side only, as data.
    """
    for logged in found.only_logged:
        yield {
            "provider": provider,
            "only_in": "export",
            "at_us": logged.at_us,
            "model": logged.model,
            "request_id": logged.request_id,
            "call_id": None,
        }
    for call in found.only_recorded:
        yield {
            "provider": provider,
            "only_in": "trail",
            "at_us": call.started_at_us,
            "model": call.model,
            "request_id": call.request_id,
            "call_id": call.id,
        }


def call_cells(call: dict[str, Any]) -> list[str]:
    """
    Show a call that stands on one side only.
    """
    named = [call["model"], call["request_id"], call["call_id"]]
    return [
        clean(call["provider"]),
        call["only_in"],
        moment(call["at_us"]),
        *(UNKNOWN if name is None else clean(name) for name in named),
    ]
