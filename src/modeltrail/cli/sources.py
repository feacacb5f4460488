"""
A file to be imported: all of it is read and checked before any of it is stored.
"""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast

from modeltrail.capture import storable
from modeltrail.cli.exits import tell
from modeltrail.errors import ConfigurationError
from modeltrail.interop.lines import BadRowError, FileFormat, format_of, read_lines
from modeltrail.render.figures import count

PROGRESS_ROWS = 100_000
# Of bad rows so many are told of one by one.
BAD_TOLD = 20
PACKED = ".gz"

T = TypeVar("T")


class Source(NamedTuple):
    """
    The file, open, and what names its content.

    Attributes:
        file: Unpacked, if it is packed by gzip.
        digest: Of what is in it, so that packing it changes nothing.
    """

    name: str
    file: BinaryIO
    format: FileFormat
    digest: str

    @property
    def origin(self) -> str:
        """
        Name the import.
        """
        return f"import:{self.digest[:16]}"


class Checked:
    """
    What was found in a file.

    Attributes:
        rows: How many there are, the bad ones included.
        bad: How many are none.
        told: The first of them: line and reason.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.bad = 0
        self.told: list[tuple[int, str]] = []

    def note(self, line: int, reason: str) -> None:
        """
        Take note of a bad row.
        """
        self.bad += 1
        if len(self.told) < BAD_TOLD:
            self.told.append((line, reason))

    def check_again(self, again: "Checked", name: str) -> None:
        """
        Refuse a file that is not what it was when it was checked.

        Raises:
            ConfigurationError: It has fewer good rows.
        """
        if again.bad > self.bad or again.rows - again.bad < self.rows - self.bad:
            raise ConfigurationError(f"{name} was changed while it was read; do it again")


@contextmanager
def opened(path: Path, format: FileFormat | None) -> Iterator[Source]:
    """
    Open a file.

    Raises:
        ConfigurationError: It cannot be read, or not twice.
    """
    is_packed = path.name.lower().endswith(PACKED)
    chosen = format_of(path.name[: -len(PACKED)] if is_packed else path.name, format)
    try:
        raw = path.open("rb")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror})") from error
    with raw:
        if not raw.seekable():
            raise ConfigurationError(f"{path} is read twice; write it to a file first")
        file = gzip.GzipFile(fileobj=raw) if is_packed else raw
        try:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ConfigurationError(f"{path} cannot be unpacked: {error}") from error
        yield Source(storable(path.name), cast("BinaryIO", file), chosen, digest)


def each_row(
    source: Source,
    checked: Checked,
    done: str,
    learn: Callable[[tuple[str, ...]], None],
    read: Callable[[int, Mapping[str, Any]], T],
) -> Iterator[T]:
    """
    Read the rows of a file from its beginning, taking note of what is none.

    Args:
        done: What has become of the rows, for those who wait.
        learn: Told of the heading, if there is one.
        read: Reads a row, from its line and cells; raises BadRowError.
    """
    source.file.seek(0)
    heading, lines = read_lines(source.file, source.format)
    if heading is not None:
        learn(heading)
    for line in lines:
        checked.rows += 1
        try:
            if line.fault is not None:
                raise BadRowError(line.fault)
            yield read(line.number, line.cells)
        except BadRowError as fault:
            checked.note(line.number, str(fault))
        tell_progress(checked.rows, done)


def tell_progress(rows: int, done: str) -> None:
    """
    Tell from time to time what has become of the rows so far.
    """
    if rows % PROGRESS_ROWS == 0:
        tell(f"{count(rows)} rows {done}")


def tell_bad(name: str, checked: Checked) -> None:
    """
    Tell of the bad rows: the first ones by line, the others by number.
    """
    for line, reason in checked.told:
        tell(f"{name}:{line}: {reason}")
    if checked.bad > len(checked.told):
        tell(f"{name}: {count(checked.bad - len(checked.told))} more bad rows")


def tell_unstored(*, dry_run: bool) -> None:
    """
    Tell why nothing was stored.
    """
    tell(
        "nothing is stored: --dry-run"
        if dry_run
        else "nothing is stored; correct the rows, or store the others with --skip-bad"
    )
