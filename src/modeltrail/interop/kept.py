"""
What was read of a file, kept aside until all of it is known to be good.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

import msgspec

from modeltrail.errors import ConfigurationError
from modeltrail.interop.calls_file import Imported, Outcome
from modeltrail.record import CallRecord

_LENGTH_BYTES = 4
_NAMES = CallRecord.__struct_fields__
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


@contextmanager
def keeping() -> "Iterator[Kept]":
    """
    Keep calls in a file without a name, which only this process can read and which is gone with it.

    Raises:
        ConfigurationError: There is no folder for it.
    """
    try:
        file = cast("BinaryIO", tempfile.TemporaryFile(prefix="modeltrail-import-"))  # noqa: SIM115 - it is closed below, whatever that says
    except OSError as error:
        raise _no_room(error) from error
    try:
        yield Kept(file)
    finally:
        with suppress(OSError):  # what still waits and has no room is not needed any more
            file.close()


class Kept:
    """
    Calls in the order they were added, on the disk: a file may have more than fit the memory.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, each: Imported) -> None:
        """
        Keep a call.

        Raises:
            ConfigurationError: There is no room.
        """
        said = _encode((msgspec.structs.astuple(each.record), each.outcomes))
        try:
            self._file.write(len(said).to_bytes(_LENGTH_BYTES) + said)
        except OSError as error:
            raise _no_room(error) from error

    def __iter__(self) -> Iterator[Imported]:
        try:
            self._file.seek(0)
        except OSError as error:  # what waits is written first
            raise _no_room(error) from error
        while length := self._file.read(_LENGTH_BYTES):
            values, outcomes = _decode(self._file.read(int.from_bytes(length)))
            # As it was written a moment ago: a record that was validated.
            record = CallRecord(**dict(zip(_NAMES, values, strict=True)))
            yield Imported(record, tuple(Outcome(*one) for one in outcomes))


def _no_room(error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"what was read cannot be kept in a temporary file ({error.strerror}); "
        "let TMPDIR name a folder with room for it"
    )
