"""
What a cell of somebody else's log can become: the fields of a record, and how each is read.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import inspect

from modeltrail.capture import allowed_parameters, storable
from modeltrail.context import label
from modeltrail.interop.export import rfc3339_us
from modeltrail.plain import FIELDS_LIMIT_BYTES
from modeltrail.record import CallRecord
from modeltrail.tell import KEYED_TAGS, KNOWN_TAGS

# Of ids that are no UUIDs. Never to be changed: a file would be imported twice.
NAMESPACE = UUID("5b0f2a52-6d3e-5c55-9a27-0c7d1f2f8b11")
# They tell of this trail and not of the log.
OWN_FIELDS = frozenset({"writer_id", "writer_seq", "origin", "record_version", "policy_digest"})
# PostgreSQL's indexes hold no longer text than 2.7 kB, three columns together.
INDEXED = frozenset({"trace_id", "feature", "experiment", "variant"})
INDEXED_LIMIT_BYTES = 512
# Of PostgreSQL's integer.
MOST_ATTEMPTS = 2**31 - 1
# Beyond it no figure means anything, and its digits would fill the memory.
MOST_DIGITS = 19

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# The bits of a UUID that are its version and variant, and those that are not.
_VERSION_5 = 0x5 << 76 | 0x2 << 62
_VARYING = ~(0xF << 76 | 0x3 << 62)
_DIGITS = re.compile(r"\s*[0-9]+\s*")
_FLAGS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_EXACT = Context(prec=60)
_json = msgspec.json.Encoder(order="sorted", decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode

Read = Callable[[Any], Any]


class Field(NamedTuple):
    """
    What a column can be mapped to.

    Attributes:
        column: The column of the record that it fills.
        read: Reads a cell that is not empty; raises ValueError, telling why it
            cannot be read.
        is_person: It is stored as a keyed reference.
    """

    column: str
    read: Read
    is_person: bool = False


def number(value: object, *, shift: int = 0) -> int:
    """
    Return a number times a power of ten, as a whole number, rounded half to even.
    """
    return int(_decimal(value).scaleb(shift, _EXACT).to_integral_value(ROUND_HALF_EVEN))


def integer(value: object) -> int:
    """
    Return a whole number; `349.0`, as some programs write it, is one.
    """
    if isinstance(value, str) and len(value) < MOST_DIGITS and value.isascii() and value.isdigit():
        return int(value)
    found = _decimal(value)
    if found != (whole := found.to_integral_value()):
        raise ValueError("is no whole number")
    return int(whole)


def text(value: object) -> str:
    """
    Return a text as it is, a number as its digits.
    """
    kept = _plain_text(value)
    if len(kept) > FIELDS_LIMIT_BYTES:
        raise ValueError(f"is longer than {FIELDS_LIMIT_BYTES} characters")
    return kept


def as_json(value: object) -> str:
    """
    Return the JSON text of a value, its keys in order.
    """
    return _json(value).decode()


def id_of(given: str) -> str:
    """
    Return a UUID as it is, and of any other text one that is always the same.
    """
    return given.lower() if _UUID.fullmatch(given) else uuid_of(given)


def uuid_of(name: str) -> str:
    """
    Return the UUID of version 5 of a name (RFC 9562, section 5.5).

    In a fifth of the time of the one in `uuid`, and each row takes two.
    """
    digest = hashlib.sha1(NAMESPACE.bytes + name.encode(), usedforsecurity=False).digest()
    number = int.from_bytes(digest[:16]) & _VARYING | _VERSION_5
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def storable_json(value: object) -> str:
    """
    Return the JSON text of a value, without what no database takes in its texts.
    """
    kept = as_json(value)
    return as_json(_storable(value)) if "\\u0000" in kept else kept


def _storable(value: object) -> object:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, dict):
        return {storable(name): _storable(each) for name, each in value.items()}
    return value


def object_in(value: object) -> dict[str, Any]:
    """
    Return a JSON object, which may be told as text.
    """
    found = _decoded(value) if isinstance(value, str) else value
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004 - of a cell
    return found


def _decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("is no number")  # noqa: TRY004 - of a cell
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise ValueError("is no number") from None
    if not found.is_finite():
        raise ValueError("is no number")
    if found and found.adjusted() >= MOST_DIGITS:
        raise ValueError("is too large")
    return found


def _plain_text(value: object) -> str:
    given = float(value) if isinstance(value, Decimal) else value
    if (kept := label(given)) is None:
        raise ValueError("is no text")
    return kept


def _decoded(value: str) -> object:
    try:
        return _decode(value)
    except msgspec.DecodeError as error:
        raise ValueError("is no JSON") from error


def _indexed(value: object) -> str:
    kept = text(value)
    if len(kept.encode("utf-8", "replace")) > INDEXED_LIMIT_BYTES:
        raise ValueError(f"is longer than {INDEXED_LIMIT_BYTES} bytes")
    return kept


def _flag(value: object) -> bool:
    found = _FLAGS.get(str(value).strip().lower())
    if found is None:
        raise ValueError("is neither true nor false")
    return found


def _choice(known: tuple[str, ...], value: object) -> str:
    if value not in known:
        raise ValueError(f"is none of {', '.join(known)}")
    return str(value)


def _hexadecimal(digits: int, instead: str, value: object) -> str:
    if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", str(value)):
        raise ValueError(f"is not {digits} hexadecimal digits, as a trail has them; {instead}")
    return str(value)


def _moment(value: object) -> int:
    if not isinstance(value, str):
        raise ValueError("is no time; started_at_s, _ms and _us take numbers")  # noqa: TRY004 - of a cell
    try:
        return rfc3339_us(value.strip())
    except (ValueError, OverflowError):
        raise ValueError("is no time of ISO 8601") from None


def _microseconds(value: object) -> int:
    is_text = isinstance(value, str) and not _DIGITS.fullmatch(value)
    return _moment(value) if is_text else integer(value)


def _attempt(value: object) -> int:
    if (found := integer(value)) > MOST_ATTEMPTS:
        raise ValueError("is too large")
    return found


def _id(value: object) -> str:
    return id_of(_plain_text(value))


def _parameters(value: object) -> str | None:
    given = object_in(value)
    floats = {name: float(each) for name, each in given.items() if isinstance(each, Decimal)}
    kept = allowed_parameters(given | floats)
    return as_json(kept) if kept else None


def _counts(value: object) -> str:
    return as_json({name: integer(each) for name, each in object_in(value).items()})


def _reasons(value: object) -> str:
    is_list = isinstance(value, str) and value.lstrip().startswith("[")
    found = _decoded(str(value)) if is_list else value
    return as_json([text(each) for each in (found if isinstance(found, list) else [found])])


def _free_tags(value: object) -> dict[str, Any]:
    found = object_in(value)
    if known := sorted(KNOWN_TAGS & found.keys()):
        raise ValueError(f"has {known[0]!r}, which is a field: give it a column of its own")
    return found


_REFS = {
    column: partial(_hexadecimal, 32, f"map the plain value to {name}")
    for name, column in KEYED_TAGS.items()
}
_DIGESTS = {
    f"{name}_digest": partial(_hexadecimal, 64, "leave the column out")
    for name in ("input", "output", "prompt")
}
# Fields that are not read as what they are.
_OTHERWISE: Mapping[str, Read] = {
    **_REFS,
    **_DIGESTS,
    **dict.fromkeys(INDEXED, _indexed),
    "id": _id,
    "origin_id": _id,
    "attempt": _attempt,
    "started_at_us": _microseconds,
    "parameters": _parameters,
    "usage_detail": _counts,
    "finish_reasons": _reasons,
    "tags": _free_tags,
}
_BY_TYPE: tuple[tuple[type, Read], ...] = (
    (inspect.BoolType, _flag),
    (inspect.IntType, integer),
    (inspect.StrType, text),
)


def _reader_of(kind: inspect.Type) -> Read:
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    for each in kinds:
        if isinstance(each, inspect.LiteralType):
            return partial(_choice, tuple(map(str, each.values)))
    return next(read for known, read in _BY_TYPE if any(isinstance(each, known) for each in kinds))


def _of_the_record() -> dict[str, Field]:
    described = inspect.type_info(CallRecord)
    assert isinstance(described, inspect.StructType)
    return {
        each.name: Field(each.name, _OTHERWISE.get(each.name) or _reader_of(each.type))
        for each in described.fields
        if each.name not in OWN_FIELDS
    }


# Other names of fields, in the units that logs have: which field, and how many digits the point
# moves.
_UNITS: Mapping[str, tuple[str, int]] = {
    "started_at_s": ("started_at_us", 6),
    "started_at_ms": ("started_at_us", 3),
    "latency_s": ("latency_us", 6),
    "latency_ms": ("latency_us", 3),
    "time_to_first_chunk_s": ("time_to_first_chunk_us", 6),
    "time_to_first_chunk_ms": ("time_to_first_chunk_us", 3),
    "cost_usd": ("cost_nanousd", 9),
    "cost_reported_usd": ("cost_reported_nanousd", 9),
    "propensity": ("propensity_ppm", 6),
}

RECORD_FIELDS: Mapping[str, Field] = _of_the_record()
FIELDS: Mapping[str, Field] = {
    **RECORD_FIELDS,
    "started_at": Field("started_at_us", _moment),
    **{
        name: Field(column, partial(number, shift=shift))
        for name, (column, shift) in _UNITS.items()
    },
    **{name: Field(column, text, is_person=True) for name, column in KEYED_TAGS.items()},
}
