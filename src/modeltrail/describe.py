"""
Columns of the record from what a frame says.

Runs on the writer's thread, so that the caller's has less to do. Pure but for
the count of problems.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from modeltrail.context import LABELS, label
from modeltrail.keys import Keys
from modeltrail.record import USAGE_COLUMNS, Frame
from modeltrail.shape import output_format
from modeltrail.usage import read_usage
from modeltrail.usage.beside import beside

# Tags that are columns as they are.
FIGURES = frozenset({"propensity_ppm"})

Note = Callable[[str], None]

_json = msgspec.json.Encoder(order="sorted").encode


def columns_of(frame: Frame, keys: Keys, note: Note) -> dict[str, Any]:
    """
    Return the columns that a frame fills.

    Args:
        frame: As it was read from a spool.
        note: Counts a problem by its kind.
    """
    # What the framework measured wins over what we did.
    columns = {**frame.facts, **frame.told}  # type: ignore[dict-item]
    if parameters := columns.pop("parameters", None):
        columns["parameters"] = _json(parameters).decode()
    if reasons := columns.pop("finish_reasons", None):
        columns["finish_reasons"] = _json(reasons).decode()
    if tags := columns.pop("tags", None):
        _add_tags(columns, tags, note)
    if reported := columns.pop("usage", None):
        _add_usage(columns, reported, note)
    if frame.texts:
        columns.update(_late_facts(frame.texts, keys))
    return columns


def _add_tags(columns: dict[str, Any], tags: Mapping[str, Any], note: Note) -> None:
    free = {}
    for name, value in tags.items():
        if value is None:
            continue
        if name in FIGURES:
            columns[name] = value
        elif name not in LABELS:
            free[name] = value
        elif (text := label(value)) is None:
            note("tag-not-text")
        else:
            columns[name] = text
    if free:
        columns["tags"] = _json(free).decode()


def _add_usage(columns: dict[str, Any], reported: object, note: Note) -> None:
    usage = read_usage(reported)
    if usage.source == "partial" and usage.input_tokens is not None:
        note("usage-contradictory")
    for name in USAGE_COLUMNS:
        if (figure := getattr(usage, name)) is not None:
            columns[name] = figure
    columns.setdefault("usage_source", usage.source)
    if usage.detail:
        columns["usage_detail"] = _json(usage.detail).decode()
    if found := beside(reported):
        _add_beside(columns, found)


def _add_beside(columns: dict[str, Any], found: Mapping[str, Any]) -> None:
    if (tier := found.get("service_tier")) is not None:
        columns["service_tier"] = tier
    # A hit of a cache repeats the usage of the call that was paid.
    if not columns.get("cache_hit") and (cost := found.get("cost_reported_nanousd")) is not None:
        # What the framework says of the cost wins.
        columns.setdefault("cost_reported_nanousd", cost)


def _late_facts(texts: Mapping[str, bytes], keys: Keys) -> dict[str, Any]:
    """
    Return the digests and the shape of texts too long for the caller's thread.
    """
    facts: dict[str, Any] = {f"{name}_digest": keys.digest(data) for name, data in texts.items()}
    if (output := texts.get("output")) is not None:
        (_, text), *calls = msgspec.json.decode(output)
        facts["output_format"] = output_format(text, tool_calls=bool(calls))
    return facts
