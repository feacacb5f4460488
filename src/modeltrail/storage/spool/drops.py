"""
What a spool could not take, counted where the count survives the process.

The counts lie in the spool's lock file, written in place: that takes no room
on a disk that has none.
"""

import os
import struct
import threading
from contextlib import suppress
from uuid import NAMESPACE_OID, uuid5

from modeltrail.record import FrameKind

FULL = "spool-full"
DISK = "disk-failed"
NOT_WRITABLE = "not-writable"

# A start that could not be written is no loss yet: the end of the call will say it all.
_LOST = {
    FrameKind.CALL: "call",
    FrameKind.END: "end",
    FrameKind.AMEND: "amendment",
    FrameKind.OUTCOME: "outcome",
    FrameKind.EVENT: "event",
}
TEXT = f"{FULL}:text"
SLOTS = (*(f"{why}:{what}" for why in (FULL, DISK, NOT_WRITABLE) for what in _LOST.values()), TEXT)
# Of each slot: how many were dropped, up to which the trail is being told, and was told.
_COUNTS = struct.Struct(">QQQ")
_DROPPED, _TELLING, _TOLD = 0, 8, 16
EMPTY = bytes(_COUNTS.size * len(SLOTS))


class Drops:
    """
    The counts of one spool; any thread may count.

    Args:
        lock: Descriptor of the spool's lock file.
    """

    def __init__(self, lock: int, origin: str) -> None:
        self._lock = lock
        self._origin = origin
        content = os.pread(lock, len(EMPTY), 0).ljust(len(EMPTY), b"\0")  # a power failure may cut
        dropped, telling, told = zip(*_COUNTS.iter_unpack(content), strict=True)
        self._dropped = dict(zip(SLOTS, dropped, strict=True))
        self._telling = dict(zip(SLOTS, telling, strict=True))
        self._told = dict(zip(SLOTS, told, strict=True))
        # So that the last number written is the highest. Re-entrant, since the garbage collector
        # may let a call end while this thread counts.
        self._counting = threading.RLock()

    def add(self, why: str, kind: FrameKind) -> None:
        """
        Count a frame that could not be appended.
        """
        if (what := _LOST.get(kind)) is not None:
            self.add_to(f"{why}:{what}")

    def add_to(self, slot: str) -> None:
        """
        Count in a slot.
        """
        with self._counting:
            self._dropped[slot] += 1
            self._write(slot, _DROPPED, self._dropped[slot])

    def counts(self) -> dict[str, int]:
        """
        Return what was dropped since the beginning, by reason and kind.
        """
        return {slot: number for slot, number in self._dropped.items() if number}

    def unreported(self) -> tuple[str, dict[str, int]] | None:
        """
        Return what the trail was not told of, and the id for that report.

        Until `note_reported` the same report is returned, whatever is dropped
        meanwhile, and under the same id, since it may be in the trail already:
        the process may have died just then.
        """
        with self._counting:
            if self._telling == self._told:
                self._tell_what_is_new()
            report = {
                slot: number - self._told[slot]
                for slot, number in self._telling.items()
                if number > self._told[slot]
            }
            told = sum(self._told.values())
        if not report:
            return None
        return str(uuid5(NAMESPACE_OID, f"modeltrail-drops:{self._origin}:{told}")), report

    def note_reported(self) -> None:
        """
        Remember that the trail was told of the last report.
        """
        with self._counting:
            for slot, number in self._telling.items():
                self._told[slot] = number
                self._write(slot, _TOLD, number)

    def detach(self) -> None:
        """
        Write no more: the descriptor is about to be closed, and its number may become another's.
        """
        with self._counting:
            self._lock = -1

    def _tell_what_is_new(self) -> None:
        for slot, number in self._dropped.items():
            if number > self._telling[slot]:
                self._telling[slot] = number
                self._write(slot, _TELLING, number)

    def _write(self, slot: str, place: int, number: int) -> None:
        # Where the disk cannot be written now, the count goes on in memory.
        with suppress(OSError):
            if self._lock >= 0:
                os.pwrite(self._lock, number.to_bytes(8), SLOTS.index(slot) * _COUNTS.size + place)
