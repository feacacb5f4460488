"""
One spool on its way into the store.

The same code empties the spool of this process while it runs and the spool of
a process that has died.
"""

import os
import platform
from collections import Counter
from time import monotonic
from typing import Any

import msgspec

from modeltrail.describe import columns_of
from modeltrail.ids import now_us, uuid7
from modeltrail.keys import Keys
from modeltrail.pipeline import Pipeline
from modeltrail.problems import Problems
from modeltrail.record import FrameKind
from modeltrail.storage import frames, rows
from modeltrail.storage.assembly import Assembly, Draft, Late, Other
from modeltrail.storage.frames import Sealer
from modeltrail.storage.migrations.views import AMENDABLE
from modeltrail.storage.rows import Batch
from modeltrail.storage.spool import Orphan, Position, Spool, Tail
from modeltrail.storage.store import Store


class WriterIdentity:
    """
    Who commits: stamps rows with this process's id and their numbers.
    """

    def __init__(self, version: str) -> None:
        started_at_us = now_us()
        self.id = uuid7(started_at_us)
        self._next = 1
        self.row: rows.Row | None = (
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
        drops: Records that were not stored, by reason, since the beginning.
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
        self.drops: Counter[str] = Counter()
        self.last_commit_us: int | None = None
        self._spool = spool
        self._is_replay = isinstance(spool, Orphan)
        self._store = store
        self._pipeline = pipeline
        self._sealer = Sealer(keys.spool_key)
        self._writer = writer
        self._problems = problems
        self._tail = Tail(spool)
        self._assembly = Assembly(lambda frame: columns_of(frame, keys, problems.note), monotonic)
        self._batch = Batch.empty()
        self._unreported: Counter[str] = Counter()

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
            found = self._read()
            self._collect(all_ended=all_ended)
        else:
            found = True
        if self._batch:
            self._store_batch()
        self._advance()
        return found

    def settle(self) -> None:
        """
        End what never ended; for a spool that nobody appends to any more.
        """
        self._assembly.settle()

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
        read = self._tail.read()
        for position, found in read:
            try:
                self._assembly.take(frames.decode(found, self._sealer), position)
            except Exception as error:
                self._problems.note("frame-not-readable", error)
                self._drop("frame-not-readable")
        return bool(read)

    def _collect(self, *, all_ended: bool) -> None:
        drafts = list(self._assembly.ripe(all_ended=all_ended))
        stored = self._store.stored_ids([each.id for each in drafts]) if self._is_replay else ()
        for draft in drafts:
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
        self._add_drops()

    def _add_call(self, draft: Draft) -> None:
        columns = self._pipeline.run(
            draft.columns,
            id=draft.id,
            started_at_us=draft.started_at_us,
            origin=self._place(draft.position),
        )
        if columns is None:
            self._drop("processor")
            return
        columns.update(self._writer.stamp())
        try:
            record = rows.record_from(columns, self._problems)
        except msgspec.ValidationError as error:
            self._problems.note("record-not-valid", error)
            self._drop("record-not-valid")
        else:
            self._batch.call.append(rows.call_row(record))

    def _add_amendments(self, late: Late) -> None:
        for field, value in late.columns.items():
            if field not in AMENDABLE:
                self._problems.note("not-amendable")
                continue
            encoded = msgspec.json.encode(value).decode()
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
            now = now_us()
            detail = msgspec.json.encode(dict(self._unreported), order="sorted").decode()
            self._batch.event.append((uuid7(now), now, "records-dropped", detail))
            self._unreported.clear()

    def _store_batch(self) -> None:
        if self._writer.row:
            self._batch.writer.append(self._writer.row)
        for table, _ in self._store.append(self._batch):
            self._drop(f"refused-by-database:{table}")
        self._writer.row = None
        self._batch = Batch.empty()
        self.last_commit_us = now_us()

    def _advance(self) -> None:
        if not self._assembly.is_holding:
            self.committed = self._tail.position
        needed = self._assembly.needed_from or self._tail.position
        self._tail.release(min(needed, self._tail.position).segment)

    def _drop(self, reason: str) -> None:
        self.drops[reason] += 1
        self._unreported[reason] += 1

    def _place(self, position: Position) -> str:
        return f"{self._spool.origin}:{position.segment}:{position.offset}"
