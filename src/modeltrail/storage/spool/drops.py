"""
What a spool could not take, counted where the count survives the process.

The counts lie in the spool's lock file, written in place: that takes no room
on a disk that has none.
"""

import os
import struct
import threading
from collections.abc import Iterator, Mapping
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
# Of each slot: how many were dropped, how many of them the trail was told of.
_PAIR = struct.Struct(">QQ")
EMPTY = bytes(_PAIR.size * len(SLOTS))


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
        pairs = list(_PAIR.iter_unpack(content))
        self._dropped = {slot: dropped for slot, (dropped, _) in zip(SLOTS, pairs, strict=True)}
        self._reported = {slot: told for slot, (_, told) in zip(SLOTS, pairs, strict=True)}
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
            self._write(self._dropped[slot], SLOTS.index(slot) * _PAIR.size)

    def counts(self) -> dict[str, int]:
        """
        Return what was dropped since the beginning, by reason and kind.
        """
        return {slot: number for slot, number in self._dropped.items() if number}

    def unreported(self) -> tuple[str, dict[str, int]] | None:
        """
        Return what the trail was not told of, and the id for that report.

        The id follows from what was told before, so that a report repeated
        after a crash is recognised as the same one.
        """
        new = dict(self._new())
        if not new:
            return None
        told = sum(self._reported.values())
        return str(uuid5(NAMESPACE_OID, f"modeltrail-drops:{self._origin}:{told}")), new

    def note_reported(self, counts: Mapping[str, int]) -> None:
        """
        Remember that the trail was told.
        """
        with self._counting:
            for slot, number in counts.items():
                self._reported[slot] += number
                self._write(self._reported[slot], SLOTS.index(slot) * _PAIR.size + 8)

    def detach(self) -> None:
        """
        Write no more: the descriptor is about to be closed, and its number may become another's.
        """
        with self._counting:
            self._lock = -1

    def _write(self, number: int, place: int) -> None:
        if self._lock >= 0:
            os.pwrite(self._lock, number.to_bytes(8), place)

    def _new(self) -> Iterator[tuple[str, int]]:
        for slot, told in self._reported.items():
            if (number := self._dropped[slot] - told) > 0:
                yield slot, number
