"""
Calls that come from elsewhere, on their way into the store.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import NamedTuple

from msgspec import structs

from modeltrail.record import CallRecord
from modeltrail.storage.drain import WriterIdentity
from modeltrail.storage.rows import CALL_COLUMNS, OUTCOME_COLUMNS, Batch, Row, call_row, row_from
from modeltrail.storage.store import Store

# So many calls are stored in one transaction.
CALLS_AT_ONCE = 5_000
_ORIGIN = CALL_COLUMNS.index("origin")


class Tally(NamedTuple):
    """
    What has become of calls.

    Attributes:
        new: Stored now.
        known: Stored before, by their ids; they stay as they are.
        outcomes: Outcomes stored now.
    """

    new: int = 0
    known: int = 0
    outcomes: int = 0


class Intake:
    """
    Stores calls and their outcomes in batches, each once.

    Attributes:
        tally: Of the calls so far, but for those that wait.
        refused: The origins of calls that the database takes under no circumstances.
    """

    def __init__(self, store: Store) -> None:
        self.tally = Tally()
        self.refused: list[str] = []
        self._store = store
        self._writer = WriterIdentity(version("modeltrail"))
        self._records: list[CallRecord] = []
        self._outcomes: list[Row] = []

    def add(self, record: CallRecord, outcomes: Sequence[NamedTuple]) -> None:
        """
        Take in a call; it may wait for others.

        Raises:
            StoreUnavailableError: The database cannot take it.
        """
        self._records.append(record)
        self._outcomes += [row_from(each._asdict(), OUTCOME_COLUMNS) for each in outcomes]
        if len(self._records) >= CALLS_AT_ONCE:
            self.flush()

    def add_outcomes(self, outcomes: Sequence[NamedTuple]) -> None:
        """
        Take in outcomes of calls that are elsewhere; they may wait for others.

        Raises:
            StoreUnavailableError: The database cannot take them.
        """
        self._outcomes += [row_from(each._asdict(), OUTCOME_COLUMNS) for each in outcomes]
        if len(self._outcomes) >= CALLS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """
        Store what waits.

        Raises:
            StoreUnavailableError: The database cannot take it.
        """
        known = self._store.stored_ids([each.id for each in self._records])
        told = self._store.stored_outcomes([str(row[0]) for row in self._outcomes])
        calls = [
            call_row(structs.replace(each, **self._writer.stamp()))
            for each in self._records
            if each.id not in known
        ]
        outcomes = [row for row in self._outcomes if row[0] not in told]
        refused = self._append(Batch(call=calls, outcome=outcomes))
        self.tally = Tally(
            self.tally.new + len(calls) - refused,
            self.tally.known + len(self._records) - len(calls),
            self.tally.outcomes + len(outcomes),
        )
        self._records, self._outcomes = [], []

    def tell(self, event: Row) -> None:
        """
        Store what waits, then an event of the trail.
        """
        self.flush()
        self._store.append(Batch(event=[event]))

    def _append(self, batch: Batch) -> int:
        """
        Store a batch and return how many calls of it the database refuses.
        """
        if not batch:
            return 0
        if not self._writer.is_known:
            batch.writer.append(self._writer.row)
        refused = [row for table, row in self._store.append(batch) if table == "call"]
        self.refused += [str(row[_ORIGIN]) for row in refused]
        self._writer.is_known = True
        return len(refused)
