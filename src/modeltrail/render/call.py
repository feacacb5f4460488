"""
A call as text: one row of a table, or a page of its own.
"""

from collections.abc import Mapping
from typing import Any

from modeltrail.record import CallRecord
from modeltrail.render.figures import UNKNOWN, count, moment, money, seconds
from modeltrail.render.layout import Column
from modeltrail.render.text import clean

# Enough of a uuid7 to tell calls of one millisecond apart.
SHORT_ID = 18

COLUMNS = (
    Column("TIME (UTC)", "text"),
    Column("ID", "text"),
    Column("FEATURE", "label"),
    Column("VARIANT", "label", rank=3),
    Column("ASKED → SERVED", "label", rank=2),
    Column("IN/OUT", rank=4),
    Column("COST"),
    Column("FIRST CHUNK", rank=5),
    Column("TOTAL", rank=1),
    Column("STATUS", "label"),
)

# Of a line, the last column open.
_LINE_WIDTHS = (19, SHORT_ID, 14, 10, 28, 11, 11, 7, 7)

# The groups of the record, as its reference explains them.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "identity": (
        "id",
        "run_id",
        "trace_id",
        "parent_id",
        "origin_id",
        "framework",
        "framework_version",
        "operation",
    ),
    "model": (
        "provider",
        "request_model",
        "response_model",
        "system_fingerprint",
        "service_tier",
        "deployment",
        "response_id",
        "provider_request_id",
        "streaming",
        "attempt",
        "is_fallback",
        "cache_hit",
        "shadow",
        "parameters",
    ),
    "time": ("started_at_us", "latency_us", "time_to_first_chunk_us"),
    "usage": (
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "reasoning_output_tokens",
        "usage_detail",
        "usage_source",
    ),
    "cost": ("cost_nanousd", "cost_reported_nanousd", "cost_source", "price_id"),
    "outcome": ("status", "error_type", "error_code", "finish_reasons"),
    "tags": (
        "feature",
        "segment",
        "experiment",
        "phase",
        "variant",
        "propensity_ppm",
        "unit_type",
        "unit_ref",
        "user_ref",
        "session_ref",
        "environment",
        "tags",
    ),
    "shape": (
        "input_chars",
        "output_chars",
        "output_format",
        "schema_ok",
        "input_digest",
        "output_digest",
        "prompt_digest",
    ),
    "policy and origin": (
        "capture_mode",
        "policy_digest",
        "writer_id",
        "writer_seq",
        "origin",
        "record_version",
    ),
}


def cells(record: CallRecord) -> tuple[str, ...]:
    """
    Return a call's cells of a table with `COLUMNS`.
    """
    return (
        moment(record.started_at_us),
        record.id[:SHORT_ID],
        _label(record.feature),
        _label(record.variant),
        _models(record),
        f"{count(record.input_tokens)}/{count(record.output_tokens)}",
        money(record.cost_nanousd),
        seconds(record.time_to_first_chunk_us),
        seconds(record.latency_us),
        _status(record),
    )


def line(record: CallRecord) -> str:
    """
    Return a call as a line of its own, for one after the other.
    """
    shown = cells(record)
    padded = [
        _cut(cell, most).ljust(most) if column.kind != "number" else cell.rjust(most)
        for column, cell, most in zip(COLUMNS, shown, _LINE_WIDTHS, strict=False)
    ]
    return "  ".join([*padded, shown[-1]])


def page(record: CallRecord) -> list[str]:
    """
    Return the lines of a call's page: group by group, what was not reported last.
    """
    lines = []
    for group, names in GROUPS.items():
        known = [name for name in names if getattr(record, name) is not None]
        missing = ", ".join(name for name in names if name not in known)
        lines.append(group)
        lines += [f"  {name:<27} {_shown(name, getattr(record, name))}" for name in known]
        lines += [f"  not reported: {missing}"] if missing else []
    return lines


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _label(text: str | None) -> str:
    return UNKNOWN if text is None else clean(text)


def _models(record: CallRecord) -> str:
    if record.response_model in {None, record.request_model}:
        return _label(record.request_model)
    return f"{_label(record.request_model)} → {_label(record.response_model)}"


def _status(record: CallRecord) -> str:
    words = (record.status, record.error_type, record.error_code)
    return clean(" ".join(word for word in words if word is not None))


def _shown(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "started_at_us":
        return f"{value}  {moment(value, fraction=True)} UTC"
    if name.endswith("_us"):
        return f"{value}  {seconds(value)}"
    if name.endswith("_nanousd"):
        return f"{value}  {money(value)}"
    return clean(str(value))
