"""
What can be written of something that cannot be written as it is.

A frame holds text, numbers and small mappings of them. What an application
gives as a tag, or a provider as an id, may be anything: then the fields that
are at fault are left out and counted, and the record is still there.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import asdict

from modeltrail.capture import storable
from modeltrail.context import LABELS, label
from modeltrail.record import Request, Response

# Of all tags of a call together: they are labels, not documents.
TAGS_LIMIT_BYTES = 16 * 1024
# Of all its other fields: ids, names and a report of usage take a fraction of it.
FIELDS_LIMIT_BYTES = 6 * 1024

# Fields that are empty in any frame: their content is in its facts and texts.
TAKEN_OUT = frozenset({"messages", "prompt", "default_tags", "text", "tool_calls", "refusal"})

Note = Callable[[str], None]


def plain(told: Request | Response | Mapping[str, Any], note: Note) -> dict[str, Any]:
    """
    Return the fields that can be written.

    Args:
        note: Counts a problem by its kind.
    """
    fields = asdict(told) if isinstance(told, Request | Response) else dict(told)
    tags = fields.pop("tags", None) or {}
    given = {
        name: storable(value) if isinstance(value, str) else value
        for name, value in fields.items()
        if value is not None and name not in TAKEN_OUT
    }
    kept = _fitting(given, FIELDS_LIMIT_BYTES, note, "field-not-plain", "field-not-plain")
    if tags:
        labelled = _labelled(tags)
        kept["tags"] = _fitting(labelled, TAGS_LIMIT_BYTES, note, "tag-not-json", "tags-too-long")
    return kept


def _labelled(tags: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the labels as the texts that are kept of them, and before all other tags.
    """
    labels = {name: label(value) or value for name, value in tags.items() if name in LABELS}
    return {**labels, **{name: value for name, value in tags.items() if name not in LABELS}}


def _fitting(
    values: Mapping[str, Any], left: int, note: Note, not_json: str, too_long: str
) -> dict[str, Any]:
    kept = {}
    for name, value in values.items():
        size = _size({name: value})
        if size is None:
            note(not_json)
        elif size > left:
            note(too_long)
        else:
            kept[name] = value
            left -= size
    return kept


def _size(value: object) -> int | None:
    """
    Return how many bytes a value takes in a frame, None if it cannot be there.
    """
    try:
        return len(msgspec.json.encode(value))
    except Exception:  # the code of whatever an application has for a tag runs here
        return None
