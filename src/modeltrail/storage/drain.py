"""
One spool on its way into the store.

The same code empties the spool of this process while it runs and the spool of
a process that has died.
"""

import os
import platform
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any

import msgspec
from msgspec.structs import replace

from modeltrail.describe import columns_of
from modeltrail.errors import CorruptStoreError, KeyMismatchError
from modeltrail.ids import now_us, uuid7
from modeltrail.keys import Keys
from modeltrail.pipeline import Pipeline
from modeltrail.problems import Problems
from modeltrail.record import FrameKind
from modeltrail.storage import rows
from modeltrail.storage.assembly import Assembly, Draft, Late, Other
from modeltrail.storage.migrations.views import AMENDABLE
from modeltrail.storage.rows import Batch
from modeltrail.storage.spool import Orphan, Position, Spool, Tail
from modeltrail.storage.spool.drops import TEXT
from modeltrail.storage.spool.frames import Found, Place, Sealer, decode
from modeltrail.storage.spool.spool import SpoolFullError
from modeltrail.storage.store import Store

# Overload is told of in the trail at most this often, seconds.
REPORT_S = 10.0
# A call in flight keeps the segment where it began, until so many others follow it.
CARRY_AFTER = 2


class WriterIdentity:
    """
    Who commits: stamps rows with this process's id and their numbers.

    Attributes:
        row: Of the table `writer`.
        is_known: Whether that row is in the database.
    """

    def __init__(self, version: str) -> None:
        started_at_us = now_us()
        self.id = uuid7(started_at_us)
        self._next = 1
        self.is_known = False
        self.row: rows.Row = (
            self.id,
            started_at_us,
            platform.node(),
            os.getpid(),
            version,
        )

    def stamp(self) -> dict[str, Any]:
        """
        Return the columns for the next row.
        """
        number = self._next
        self._next += 1
        return {"writer_id": self.id, "writer_seq": number}


class Drain:
    """
    Moves what a spool says into the store.

    Attributes:
        committed: All before this place is stored, but for calls in flight.
        needed_from: The first place that is needed still, for calls in flight, too.
        drops: What was read and not stored, by reason, since the beginning.
        taken: How many frames were read.
    """

    def __init__(
        self,
        spool: Spool | Orphan,
        store: Store,
        pipeline: Pipeline,
        keys: Keys,
        writer: WriterIdentity,
        problems: Problems,
    ) -> None:
        self.committed = Position(0, 0)
        self.needed_from = Position(0, 0)
        self.drops: Counter[str] = Counter()
        self.taken = 0
        self.last_commit_us: int | None = None
        self._spool = spool
        self._is_replay = isinstance(spool, Orphan)
        self._store = store
        self._keys = keys
        self._pipeline = pipeline
        self._writer = writer
        self._problems = problems
        self._tail = Tail(spool, Sealer(keys.spool_key))
        self._assembly = Assembly(
            lambda frame: columns_of(frame, keys, problems.note),
            monotonic,
            is_replay=self._is_replay,
        )
        # Calls that are to become rows; more is read when all of them have.
        self._ripe: deque[Draft] = deque()
        self._batch = Batch()
        self._unreported: Counter[str] = Counter()
        # Whether the batch at hand tells of drops of the spool.
        self._is_telling = False
        self._told_at = monotonic() - REPORT_S
        self._carried_from = -1

    def step(self, *, all_ended: bool = False) -> bool:
        """
        Read some, store some.

        Args:
            all_ended: Do not let ended calls wait for late facts.

        Returns:
            Whether there was anything to read or to store.

        Raises:
            StoreUnavailableError: What was read is kept for the next step.
        """
        # What could not be stored is tried again before more is read, so that
        # a dead database costs disk, not memory.
        if not self._batch:
            found = bool(self._ripe) or self._read()
            self._collect(all_ended=all_ended)
        else:
            found = True
        if self._batch:
            self._store_batch()
        self._advance()
        return found

    def finish(self) -> Iterator[None]:
        """
        Store all there is and end what never ended, a step at a time.

        For a spool that nobody appends to any more.

        Raises:
            StoreUnavailableError: Go on later with a new iterator.
        """
        while self.step(all_ended=True):
            yield
        self._assembly.settle()
        while self.step(all_ended=True) or self._assembly.is_holding:
            yield
        if self._unreported:  # of what the last batch lost
            self.step(all_ended=True)

    @property
    def is_behind(self) -> bool:
        """
        Whether there is more to read than the last step took.
        """
        return self._tail.is_behind

    @property
    def is_holding(self) -> bool:
        """
        Whether ended calls wait for late facts.
        """
        return self._assembly.is_holding

    def _read(self) -> bool:
        torn = self._tail.torn
        read = self._tail.read()
        for position, found in read:
            try:
                self._take(position, found)
            except Exception as error:
                self._problems.note("frame-not-readable", error)
                self._drop("frame-not-readable")
        if self._tail.torn > torn:
            self._problems.note("frame-torn", times=self._tail.torn - torn)
        return bool(read)

    def _take(self, position: Position, found: Found) -> None:
        self.taken += 1
        frame, place = decode(found)
        if place is not None:
            frame = replace(frame, texts=self._texts(place, position, frame.id))
        self._assembly.take(frame, position)

    def _texts(self, place: Place, position: Position, id: str) -> dict[str, bytes] | None:
        try:
            texts = self._tail.texts(place, position.segment, id)
        except KeyMismatchError as error:  # of another key, or zeros after a power failure
            self._problems.note("text-not-readable", error)
            texts = None
        if texts is None:
            self._drop(TEXT)
        return texts

    def _collect(self, *, all_ended: bool) -> None:
        self._ripe.extend(self._assembly.ripe(all_ended=all_ended))
        # The database may be away just now: nothing is forgotten until it has answered.
        stored = self._store.stored_ids([each.id for each in self._ripe]) if self._is_replay else ()
        while self._ripe:
            draft = self._ripe.popleft()
            if draft.id in stored:
                # Facts that had joined this call may have been read after it was stored.
                self._assembly.late.extend(draft.amended)
            else:
                self._add_call(draft)
        for late in self._assembly.late:
            self._add_amendments(late)
        self._assembly.late.clear()
        for other in self._assembly.others:
            self._add_other(other)
        self._assembly.others.clear()
        if all_ended or monotonic() - self._told_at >= REPORT_S:
            self._add_drops()

    def _add_call(self, draft: Draft) -> None:
        try:
            row = self._row_of(draft)
        except Exception as error:  # whatever it is, it must cost no other record
            self._problems.note("record-not-valid", error)
            self._drop("record-not-valid")
            return
        if row is None:
            self._drop("processor")
        else:
            self._batch.call.append(row)

    def _row_of(self, draft: Draft) -> rows.Row | None:
        """
        Return a call's row, None if a processor dropped it.
        """
        columns = self._pipeline.run(
            draft.columns,
            id=draft.id,
            started_at_us=draft.started_at_us,
            origin=self._place(draft.position),
        )
        if columns is None:
            return None
        columns.update(self._writer.stamp())
        return rows.call_row(rows.record_from(columns, self._problems))

    def _add_amendments(self, late: Late) -> None:
        for field, value in late.columns.items():
            if field not in AMENDABLE:
                self._problems.note("not-amendable")
                continue
            encoded = msgspec.json.encode(rows.plain_value(value)).decode()
            origin = self._place(late.position)
            self._batch.amendment.append(
                (late.call_id, late.started_at_us, now_us(), field, encoded, late.why, origin)
            )

    def _add_other(self, other: Other) -> None:
        columns = {**other.columns, "id": other.id, "at_us": other.at_us}
        if other.kind is FrameKind.OUTCOME:
            self._batch.outcome.append(rows.row_from(columns, rows.OUTCOME_COLUMNS))
        else:
            self._batch.event.append(rows.row_from(columns, rows.EVENT_COLUMNS))

    def _add_drops(self) -> None:
        if self._unreported:
            self._add_report(self._unreported)
            self._unreported.clear()
        if (unreported := self._spool.drops.unreported()) is not None:
            id, counts = unreported
            self._add_report(counts, id)
            self._is_telling = True

    def _add_report(self, counts: Mapping[str, int], id: str | None = None) -> None:
        self._batch.event.append(rows.event_row("records-dropped", counts, id))
        self._told_at = monotonic()

    def _store_batch(self) -> None:
        if not (self._writer.is_known or self._batch.writer):
            self._batch.writer.append(self._writer.row)
        try:
            refused = self._store.append(self._batch)
        except CorruptStoreError:
            self._replace_store()
            raise
        for table, _ in refused:
            self._drop(f"refused-by-database:{table}")
        self._writer.is_known = True
        self._batch = Batch()
        if self._is_telling:
            self._spool.drops.note_reported()
            self._is_telling = False
        self.last_commit_us = now_us()

    def _replace_store(self) -> None:
        """
        Go on with a new database, and let it tell why its calls begin where they do.
        """
        moved = self._store.replace()
        self._problems.note("database-replaced")
        self._batch.event.insert(0, rows.created_event(self._keys.key_id))
        self._batch.writer[:] = [self._writer.row]
        told = {"moved_to": moved and moved.name}
        self._batch.event.append(rows.event_row("database-replaced", told))

    def _advance(self) -> None:
        if not self._assembly.is_holding:
            self.committed = self._tail.position
        # Set here once, since the keeper's thread asks for it.
        self.needed_from = self._assembly.needed_from or self._tail.position
        oldest = self.needed_from.segment
        self._tail.release(oldest)
        if oldest > self._carried_from and self._tail.position.segment - oldest >= CARRY_AFTER:
            self._carry(oldest)

    def _carry(self, segment: int) -> None:
        """
        Repeat the starts that alone keep a segment, so that it can go.

        It goes once the repeated starts were read.
        """
        if isinstance(self._spool, Orphan):
            return
        # Without room for them the segment stays, and this is tried again.
        with suppress(OSError, SpoolFullError):
            for draft in self._assembly.begun_in(segment):
                frame = self._tail.frame_at(draft.position)
                self._spool.append(replace(frame, kind=FrameKind.CARRIED))
            self._carried_from = segment

    def _drop(self, reason: str) -> None:
        self.drops[reason] += 1
        self._unreported[reason] += 1

    def _place(self, position: Position) -> str:
        return f"{self._spool.origin}:{position.segment}:{position.offset}"
