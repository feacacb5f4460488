"""
Sums of an experiment per unit and span of time, in both databases.
"""

from collections import Counter
from typing import Any

from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Store
from modeltrail.storage.measures import Measure
from modeltrail.storage.rows import Batch, call_row
from modeltrail.storage.trials_over_time import Spans, SpanSums, Times

START = 1_790_000_000_000_000
SPANS = Spans(START, 10)


def record(number: int, variant: str = "A", unit: str = "u1", **changes: Any) -> CallRecord:
    """Return a call that many microseconds after the start."""
    given = {
        "id": uuid7(START + number),
        "framework": "test",
        "framework_version": "1",
        "operation": "chat",
        "started_at_us": START + number,
        "status": "ok",
        "experiment": "e",
        "variant": variant,
        "unit_ref": unit,
    }
    return CallRecord(**given | changes)


def put(store: Store, *records: CallRecord, **rows: Any) -> None:
    """Store calls."""
    assert store.append(Batch(call=[call_row(each) for each in records], **rows)) == []


def told(number: int, value: int, name: str = "score", **of: Any) -> tuple[Any, ...]:
    """Return an outcome that became known so many microseconds after the start."""
    links = ("call_id", "trace_id", "session_ref", "unit_ref")
    at_us = START + number
    return (uuid7(at_us), at_us, name, value * 10**6, *(of.get(link) for link in links))


def test_spans_of_calls(store: Store) -> None:
    """A span begins with its first microsecond and ends before that of the next."""
    put(
        store,
        record(0, cost_nanousd=1, latency_us=5),
        record(9, cost_nanousd=2),
        record(10, cost_nanousd=4, status="error"),
        record(25, "B", "u2", cost_nanousd=None, latency_us=80),
        record(27, cost_nanousd=99, shadow=True),
        record(28, cost_nanousd=99, experiment="other"),
        record(29, cost_nanousd=99, variant=None),
    )
    asked = [Measure("cost"), Measure("latency", cap=60), Measure("errors")]
    assert sorted(store.trial_spans("e", asked, SPANS)) == [
        SpanSums(0, "A", "u1", ((3, 2), (5, 1), (0, 2))),
        SpanSums(1, "A", "u1", ((4, 1), (0, 0), (1, 1))),
        SpanSums(2, "B", "u2", ((0, 0), (60, 1), (0, 1))),
    ]


def test_spans_add_up_to_the_trial(store: Store) -> None:
    """Put together they are what the comparison itself is made of."""
    calls = [record(n, "AB"[n % 3 % 2], f"u{n % 7}", cost_nanousd=n * n) for n in range(100)]
    put(store, *calls)
    totals: Counter[tuple[str, str]] = Counter()
    for each in store.trial_spans("e", [Measure("cost")], Spans(START, 13)):
        totals[each.variant, each.unit] += each.sums[0][0]
    units = store.trial("e", [Measure("cost")]).units
    assert totals == {(each.variant, each.unit): each.sums[0][0] for each in units}


def test_times_of_calls(store: Store) -> None:
    """From the first call to the last that count; none where there is none."""
    put(store, record(3), record(17, "B"), record(30, shadow=True), record(1, experiment="f"))
    assert store.trial_times("e") == Times(START + 3, START + 17)
    assert store.trial_times("none") is None


def test_units_in_two_variants(store: Store) -> None:
    """Each of them once, however often they changed."""
    put(store, *(record(n, "AB"[n % 2], "both") for n in range(4)), record(5), record(6, "B", "u2"))
    assert store.crossed_units("e") == {"both"}


def test_spans_of_outcomes(store: Store) -> None:
    """
    By when they were told; what is told again of a call counts from then, of a unit all.

    One that is told of a call before the first span counts as of it.
    """
    first, second = record(1, session_ref="s"), record(2, "B", "u2")
    outcomes = [
        told(-5, 1, call_id=first.id),
        told(12, 1, call_id=second.id),
        told(33, 0, call_id=second.id),
        told(14, 3, session_ref="s"),
        told(15, 2, unit_ref="u2"),
        told(39, 5, unit_ref="u2"),
        told(40, 7, name="other", unit_ref="u2"),
    ]
    put(store, first, second, outcome=outcomes)
    assert sorted(store.outcome_spans("e", "score", SPANS)) == [
        SpanSums(0, "A", "u1", ((1_000_000, 1),)),
        SpanSums(1, "A", "u1", ((3_000_000, 1),)),
        SpanSums(1, "B", "u2", ((2_000_000, 1),)),
        SpanSums(3, "B", "u2", ((0, 1),)),
        SpanSums(3, "B", "u2", ((5_000_000, 1),)),
    ]
