"""
The rows of a file that a program wrote, CSV or JSON lines, one at a time.
"""

import csv
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import msgspec

from modeltrail.errors import ConfigurationError

FileFormat = Literal["csv", "jsonl"]
ENDINGS: Mapping[str, FileFormat] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
# A field that is longer is a quote that was never closed.
LONGEST_FIELD = 64 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"

# Numbers stay as exact as they were written.
_objects = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class BadRowError(ValueError):
    """
    A row is not what it is to be; the message says why.
    """


class Line(NamedTuple):
    """
    One row, or why it is none.

    Attributes:
        number: Of the line where it begins, from 1.
        cells: Column -> value; a text if the file is CSV. None or "" is none.
        fault: What is wrong with it; then there are no cells.
    """

    number: int
    cells: Mapping[str, Any] = {}
    fault: str | None = None


def format_of(name: str, given: FileFormat | None) -> FileFormat:
    """
    Return the format of a file: the one given, else what its name ends with.

    Raises:
        ConfigurationError: Its name does not tell.
    """
    if given is not None:
        return given
    for ending, format in ENDINGS.items():
        if name.lower().endswith(ending):
            return format
    raise ConfigurationError(f"{name}: its name does not tell its format; give --from csv or jsonl")


def read_lines(file: BinaryIO, format: FileFormat) -> tuple[tuple[str, ...] | None, Iterator[Line]]:
    """
    Return the heading of a file, None if it has none, and its rows.

    Raises:
        ConfigurationError: The heading is none.
    """
    if format == "jsonl":
        return None, _read_jsonl(file)
    # Over lines of bytes, since a text file reads ahead and could not be told from its end.
    texts = (_without_bom(raw, at).decode("utf-8", "surrogateescape") for at, raw in _count(file))
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(texts, strict=True)
    heading = _heading(reader)
    return heading, _read_csv(reader, heading)


def _count(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    return enumerate(file, 1)


def _without_bom(raw: bytes, number: int) -> bytes:
    return raw.removeprefix(_BOM) if number == 1 else raw


def _heading(reader: Any) -> tuple[str, ...]:
    try:
        names = tuple(next(reader, ()))
    except csv.Error as error:
        raise ConfigurationError(f"the heading cannot be read: {error}") from error
    if not names:
        raise ConfigurationError("the file is empty; its first line is to name the columns")
    if not _is_unicode("".join(names)):
        raise ConfigurationError("the file is not UTF-8; save it as UTF-8 first")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"columns have the same name: {', '.join(map(repr, twice))}")
    return names


def _read_csv(reader: Any, heading: tuple[str, ...]) -> Iterator[Line]:
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(number, fault=f"is no CSV: {error}")
            continue
        if not cells:
            continue
        if len(cells) != len(heading):
            told = f"has {len(cells)} cells where the heading has {len(heading)}"
            yield Line(number, fault=told)
        elif not _is_unicode("".join(cells)):
            yield Line(number, fault="is not UTF-8")
        else:
            yield Line(number, dict(zip(heading, cells, strict=True)))


def _read_jsonl(file: BinaryIO) -> Iterator[Line]:
    for number, raw in _count(file):
        if not (text := _without_bom(raw, number).strip()):
            continue
        try:
            yield Line(number, cast("Mapping[str, Any]", _objects.decode(text)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            yield Line(number, fault=f"is no JSON object: {error}")


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
