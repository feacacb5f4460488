"""
Calls that come from elsewhere, on both databases.
"""

from typing import Any, NamedTuple

import msgspec
import pytest
from sqlalchemy import create_engine, text

from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Store
from modeltrail.storage.intake import Intake, Tally
from modeltrail.storage.rows import event_row

START = 1_790_000_000_000_000


def record(number: int, **columns: Any) -> CallRecord:
    """Return a record."""
    given = {
        "id": uuid7(START + number),
        "framework": "import",
        "framework_version": "1",
        "operation": "chat",
        "started_at_us": START + number,
        "status": "ok",
    }
    return msgspec.convert(given | columns, CallRecord)


class Told(NamedTuple):
    """An outcome of a call."""

    id: str
    at_us: int
    name: str
    value_micros: int
    call_id: str


def told(call: CallRecord, name: str, micros: int) -> Told:
    """Return an outcome of a call."""
    return Told(uuid7(START), call.started_at_us, name, micros, call.id)


# Long before the partitions of PostgreSQL begin.
CALLS = [record(number, started_at_us=1_700_000_000_000_000 + number) for number in range(7)]
OUTCOMES = [told(each, "score", number) for number, each in enumerate(CALLS)]


def take(store: Store, *calls: CallRecord, outcomes: list[Told] = OUTCOMES) -> Intake:
    """Store calls with those of the outcomes that are theirs."""
    intake = Intake(store)
    for call in calls:
        intake.add(call, [each for each in outcomes if each.call_id == call.id])
    intake.flush()
    return intake


def test_calls_are_stored_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many transactions it takes; what is known is counted and stays."""
    monkeypatch.setattr("modeltrail.storage.intake.CALLS_AT_ONCE", 3)
    assert take(store, *CALLS[:5]).tally == Tally(new=5, known=0, outcomes=5)
    assert take(store, *CALLS).tally == Tally(new=2, known=5, outcomes=2)
    found = [each.record for each in store.calls(newest_first=False)]
    assert [each.id for each in found] == [each.id for each in CALLS]
    assert [each.writer_seq for each in found] == [1, 2, 3, 4, 5, 1, 2]
    assert len({each.writer_id for each in found}) == 2


def test_outcomes_and_writers(store: Store, store_url: str) -> None:
    """An outcome that is new is stored with a call that is known; writers are named."""
    take(store, *CALLS)
    more = told(CALLS[0], "resolved", 10**6)
    assert take(store, CALLS[0], outcomes=[more]).tally == Tally(0, 1, 1)
    assert store.stored_outcomes([more.id, uuid7(1)]) == {more.id}
    # The id is what counts, even where the call's time has become another.
    assert take(store, CALLS[0], outcomes=[more._replace(at_us=START)]).tally == Tally(0, 1, 0)
    engine = create_engine(store_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        joined = connection.execute(
            text("SELECT sum(value_micros), count(DISTINCT call_id) FROM outcome")
        ).one()
        writers = connection.execute(text("SELECT id FROM writer")).scalars().all()
    engine.dispose()
    assert tuple(map(int, joined)) == (sum(range(7)) + 10**6, 7)
    by = {each.record.writer_id for each in store.calls()}
    assert by <= {str(each) for each in writers}


def test_known_call_at_another_time_is_known(store: Store) -> None:
    """The id is what counts, though the databases' own key has the time, too."""
    take(store, CALLS[0])
    moved = record(0, id=CALLS[0].id, started_at_us=START)
    assert take(store, moved).tally == Tally(0, 1, 0)


def test_refused_call_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """By where it came from; the others are stored."""
    monkeypatch.setattr(
        "modeltrail.storage.intake.call_row",
        lambda each: tuple(
            None if name == "framework" and each.origin == "import:x:3" else value
            for name, value in zip(
                CallRecord.__struct_fields__,
                (getattr(each, name) for name in CallRecord.__struct_fields__),
                strict=True,
            )
        ),
    )
    calls = [record(number, origin=f"import:x:{number}") for number in range(5)]
    intake = take(store, *calls)
    assert (intake.tally, intake.refused) == (Tally(4, 0, 0), ["import:x:3"])


def test_event_comes_after_the_calls(store: Store) -> None:
    """What waits is stored first."""
    intake = Intake(store)
    intake.add(CALLS[0], [])
    intake.tell(event_row("calls-imported", {"new": 1}, CALLS[1].id))
    assert len(store.calls()) == 1
    assert store.event_detail(CALLS[1].id) == '{"new":1}'
