"""
Appending and reading, on both databases.
"""

from typing import Any

import msgspec
import pytest

from modeltrail.errors import ConfigurationError, RecordNotFoundError
from modeltrail.ids import uuid7
from modeltrail.problems import Problems
from modeltrail.record import CallRecord
from modeltrail.storage import Filters, Store
from modeltrail.storage.rows import Batch, call_row, record_from

START = 1_790_000_000_000_000
MICROS = 1_000_000


def record(number: int = 0, **columns: Any) -> CallRecord:
    """
    Return a record.
    """
    given = {
        "id": uuid7(START + number),
        "framework": "test",
        "framework_version": "1",
        "operation": "chat",
        "started_at_us": START + number,
        "status": "ok",
    }
    return msgspec.convert(given | columns, CallRecord)


def add(store: Store, *records: CallRecord, **tables: list[Any]) -> None:
    """
    Store records and rows of other tables.
    """
    batch = Batch(call=[call_row(each) for each in records], **tables)
    assert store.append(batch) == []


FULL = record(
    streaming=True,
    is_fallback=False,
    schema_ok=True,
    cache_hit=None,
    input_tokens=2**40,
    cost_nanousd=2**52,
    parameters='{"temperature":0.5}',
    tags='{"größe":"🕷"}',
    propensity_ppm=500_000,
    attempt=2,
)


def test_record_comes_back_as_it_was(store: Store) -> None:
    """Every column survives, booleans and None among them."""
    add(store, FULL)
    assert [each.record for each in store.calls()] == [FULL]


def test_calls_of_one_batch_may_fill_different_columns(store: Store) -> None:
    """What one of them has and another has not stays with the one, whichever comes first."""
    told = [record(0, feature="chat"), record(1, error_code="429", attempt=1), record(2, attempt=0)]
    add(store, *told)
    assert [each.record for each in store.calls()] == told[::-1]


def test_same_id_is_stored_once(store: Store) -> None:
    """Storing again what is stored changes nothing."""
    add(store, FULL)
    add(store, FULL, record(1))
    assert len(store.calls()) == 2
    assert store.stored_ids([FULL.id, uuid7(1)]) == {FULL.id}


def test_row_at_fault_does_not_cost_the_others(store: Store) -> None:
    """A row that the database refuses is given back; the rest is stored."""
    bad = list(call_row(record(1)))
    bad[CallRecord.__struct_fields__.index("framework")] = None
    batch = Batch(call=[call_row(record(0)), tuple(bad), call_row(record(2))])
    assert store.append(batch) == [("call", tuple(bad))]
    assert [each.record.started_at_us - START for each in store.calls()] == [2, 0]


def test_amendments_show_in_the_view_and_not_in_the_table(store: Store) -> None:
    """The newest amendment of a field counts; null takes a figure away."""
    add(store, FULL, record(1, cost_nanousd=5))
    amended = [
        (FULL.id, START, 10, "cost_nanousd", "1", None, "o:1"),
        (FULL.id, START, 20, "cost_nanousd", "123456789012", "reprice", "o:2"),
        (FULL.id, START, 20, "cost_source", '"custom"', "reprice", "o:2"),
        (FULL.id, START, 20, "schema_ok", "false", None, "o:2"),
        (FULL.id, START, 30, "input_tokens", "null", None, "o:3"),
    ]
    add(store, amendment=amended)
    add(store, amendment=amended)
    found = store.call(FULL.id)
    assert (found.cost_nanousd, found.cost_source) == (123456789012, "custom")
    assert (found.schema_ok, found.input_tokens) == (False, None)
    assert store.calls()[0].record.cost_nanousd == 5


def test_filters(store: Store) -> None:
    """Each filter restricts; the moment that ends a period is not within it."""
    add(store, *(record(n, feature="f" if n % 2 else "g", status="ok") for n in range(6)))
    found = store.calls(Filters(feature="f", since_us=START + 1, until_us=START + 5))
    assert [each.record.started_at_us - START for each in found] == [3, 1]
    assert len(store.calls(Filters(after_seq=store.last_seq() - 2))) == 2
    assert store.calls(Filters(status="error")) == []
    assert len(store.calls(limit=4)) == 4


def test_call_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    """An id may be cut short as long as it is the only one."""
    add(store, FULL, record(10**9))
    assert store.call(FULL.id[:13]) == FULL
    with pytest.raises(RecordNotFoundError, match="more than one"):
        store.call(FULL.id[:2])
    with pytest.raises(RecordNotFoundError, match="no call"):
        store.call("ffff")
    with pytest.raises(RecordNotFoundError, match="no call"):
        store.call("%")


def test_sums_keep_unknown_apart_from_zero(store: Store) -> None:
    """Unknown costs are counted, not added."""
    add(
        store,
        record(0, feature="f", variant="A", cost_nanousd=2**52, input_tokens=1, output_tokens=2),
        record(1, feature="f", variant="A", cost_nanousd=2**52, status="error"),
        record(2, feature="f", variant="B"),
        record(3, feature=None, variant="B", cost_nanousd=0),
    )
    found = {group.key: group for group in store.sums(["feature", "variant"])}
    both = found["f", "A"]
    assert (both.calls, both.errors, both.unpriced, both.cost_nanousd) == (2, 1, 0, 2**53)
    assert (both.input_tokens, both.output_tokens) == (1, 2)
    assert (found["f", "B"].unpriced, found["f", "B"].cost_nanousd) == (1, None)
    assert (found[None, "B"].unpriced, found[None, "B"].cost_nanousd) == (0, 0)


def test_unknown_dimension_names_the_known_ones(store: Store) -> None:
    """A dimension that is none is refused, whatever it contains."""
    with pytest.raises(ConfigurationError, match="feature, segment"):
        store.sums(["feature; DROP TABLE call"])


def test_experiments_that_have_calls(store: Store) -> None:
    """Each once, in order; calls of none do not count."""
    named = ["e", None, "d", "e"]
    add(store, *(record(number, experiment=name) for number, name in enumerate(named)))
    assert store.experiments() == ["d", "e"]


def test_events_of_a_kind_come_oldest_first(store: Store) -> None:
    """One that is told again is passed over; those of other kinds are not meant."""
    ids = [uuid7(START + number) for number in range(3)]
    late, early = (ids[0], 20, "seen", '{"n":1}'), (ids[1], 10, "seen", '{"n":2}')
    add(store, event=[late, early, (ids[2], 5, "other", "{}")])
    add(store, event=[(ids[0], 30, "seen", '{"n":3}')])
    assert store.events("seen") == [(10, '{"n":2}'), (20, '{"n":1}')]
    assert store.events("unseen") == []


def test_column_that_does_not_fit_costs_itself_only() -> None:
    """An impossible value is left out and counted; the record stands."""
    problems = Problems()
    columns = msgspec.structs.asdict(record()) | {"input_tokens": 2**70, "odd": 1, "attempt": -1}
    found = record_from(columns, problems)
    assert (found.input_tokens, found.attempt) == (None, None)
    assert problems.counts() == {
        "column-not-valid:input_tokens": 1,
        "column-not-valid:attempt": 1,
        "column-not-valid:unknown": 1,
    }


def test_record_without_a_status_is_none() -> None:
    """What every record has cannot be missing."""
    columns = msgspec.structs.asdict(record())
    del columns["status"]
    with pytest.raises(msgspec.ValidationError):
        record_from(columns, Problems())
