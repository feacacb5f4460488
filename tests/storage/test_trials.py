"""
Sums of an experiment per variant and unit, in both databases.
"""

from typing import Any

import pytest

from modeltrail.errors import ConfigurationError
from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Store
from modeltrail.storage.measures import Measure
from modeltrail.storage.rows import Batch, call_row
from modeltrail.storage.trial_outcomes import OutcomeSums
from modeltrail.storage.trials import InPhase, TrialUnit

START = 1_790_000_000_000_000
ALL = [Measure(name) for name in ("cost", "cost_per_ok", "latency", "tokens", "errors")]


def record(number: int, **changes: Any) -> CallRecord:
    at_us = START + number
    given = {
        "id": uuid7(at_us),
        "framework": "test",
        "framework_version": "1",
        "operation": "chat",
        "started_at_us": at_us,
        "status": "ok",
        "capture_mode": "digest",
        "experiment": "e",
        "variant": "A",
        "unit_ref": "u1",
        "unit_type": "user",
        "propensity_ppm": 500_000,
    }
    return CallRecord(**given | changes)


def put(store: Store, *records: CallRecord, **rows: Any) -> None:
    assert store.append(Batch(call=[call_row(each) for each in records], **rows)) == []


def outcome(number: int, value: int, **of: Any) -> tuple[Any, ...]:
    links = ("call_id", "trace_id", "session_ref", "unit_ref")
    at_us = START + number
    return (uuid7(at_us), at_us, "score", value, *(of.get(name) for name in links))


def test_one_pass_gives_all_metrics(store: Store) -> None:
    """Costs 10 and 20 of an ok and a failed call, one unpriced, and what is left out."""
    put(
        store,
        record(0, cost_nanousd=10, latency_us=5, input_tokens=3, output_tokens=4, feature="b"),
        record(1, cost_nanousd=20, status="error", latency_us=7, feature="a"),
        record(2, cost_nanousd=None, input_tokens=9, propensity_ppm=None),
        record(3, cost_nanousd=99, shadow=True),
        record(4, cost_nanousd=99, experiment="other"),
        record(5, variant="B", unit_ref="u2", cost_nanousd=7, propensity_ppm=400_000),
        record(6, variant=None),
        record(7, unit_ref=None),
    )
    found = store.trial("e", ALL)
    assert (found.unassigned, found.unit_type) == (2, "user")
    one, two = sorted(found.units)
    assert one == TrialUnit(
        variant="A",
        unit="u1",
        feature=None,
        calls=3,
        unpriced=1,
        first_at_us=START,
        first_feature="b",
        propensity_ppm=None,
        sums=((30, 2), (30, 1), (12, 2), (7, 1), (1, 3)),
    )
    assert (two.unit, two.sums[0], two.first_feature, two.propensity_ppm) == (
        "u2",
        (7, 1),
        None,
        400_000,
    )


def test_features_apart(store: Store) -> None:
    """The same sums feature by feature add up to those of the unit."""
    put(
        store,
        record(0, cost_nanousd=10, feature="a"),
        record(1, cost_nanousd=20, feature="b"),
        record(2, cost_nanousd=5, feature="b"),
        record(3, cost_nanousd=1),
    )
    found = store.trial("e", [Measure("cost")], by_feature=True)
    assert {each.feature: each.sums for each in found.of_features} == {
        "a": ((10, 1),),
        "b": ((25, 2),),
        None: ((1, 1),),
    }


def test_a_unit_is_the_same_by_feature_or_not(store: Store) -> None:
    """Two features begin at once: the one that sorts first is the first; one propensity differs."""
    put(
        store,
        record(1, cost_nanousd=10, feature="b", id=uuid7(START)),
        record(1, cost_nanousd=20, feature="a", status="error"),
        record(2, feature=None, propensity_ppm=400_000),
        record(3, unit_ref="u2", latency_us=5, feature="c"),
    )
    found = store.trial("e", ALL, by_feature=True).units
    assert [(each.unit, each.calls, each.first_feature, each.propensity_ppm) for each in found] == [
        ("u1", 3, "a", None),
        ("u2", 1, "c", 500_000),
    ]
    assert sorted(found) == sorted(store.trial("e", ALL).units)
    assert (found[0].unpriced, found[0].sums[0], found[0].sums[4]) == (1, (30, 2), (1, 3))


def test_caps(store: Store) -> None:
    """A dearer call counts as the cap, a cheaper one as it is, an unknown one not at all."""
    put(
        store,
        *(record(number, cost_nanousd=cost) for number, cost in enumerate((5, 50, None))),
    )
    (unit,) = store.trial("e", [Measure("cost", 20), Measure("cost")]).units
    assert unit.sums == ((25, 2), (55, 2))
    with pytest.raises(ConfigurationError, match="errors has no cap"):
        store.trial("e", [Measure("errors", 1)])
    with pytest.raises(ConfigurationError, match="no measure is named 'beauty'"):
        store.trial("e", [Measure("beauty")])


def test_late_facts_count(store: Store) -> None:
    """A cost that was told later is in the sums."""
    call = record(0)
    put(store, call)
    amended = (call.id, START, START + 9, "cost_nanousd", "42", "late", "origin")
    put(store, amendment=[amended])
    (unit,) = store.trial("e", [Measure("cost")]).units
    assert (unit.sums, unit.unpriced) == (((42, 1),), 0)


def test_outcomes_of_calls_traces_sessions_and_units(store: Store) -> None:
    """Each kind finds its unit; only those of calls have a feature."""
    calls = [
        record(0, feature="a"),
        record(1, feature="b", trace_id="t"),
        record(2, trace_id="t"),
        record(3, variant="B", unit_ref="u2", session_ref="s"),
        record(4, variant="B", unit_ref="u3", shadow=True),
    ]
    put(
        store,
        *calls,
        outcome=[
            outcome(1, 500_000, call_id=calls[0].id),
            outcome(2, 1_000_000, call_id=calls[1].id),
            outcome(3, 2_000_000, trace_id="t"),
            outcome(4, 0, session_ref="s"),
            outcome(5, 1_000_000, unit_ref="u1"),
            outcome(6, 1_000_000, unit_ref="nobody"),
            outcome(7, 1_000_000, call_id=calls[4].id),
        ],
    )
    found = store.trial_outcomes("e", ["score"], by_feature=True)
    assert sorted(found, key=str) == sorted(
        [
            OutcomeSums("score", "A", "u1", "a", 500_000, 1, 1),
            OutcomeSums("score", "A", "u1", "b", 1_000_000, 1, 0),
            OutcomeSums("score", "A", "u1", None, 2_000_000, 1, 1),
            OutcomeSums("score", "B", "u2", None, 0, 1, 0),
            OutcomeSums("score", "A", "u1", None, 1_000_000, 1, 0),
        ],
        key=str,
    )
    assert store.trial_outcomes("e", ["other"]) == []
    whole = store.trial_outcomes("e")
    assert sum(each.total_micros for each in whole) == 4_500_000


def test_outcome_that_is_told_again_is_corrected(store: Store) -> None:
    """Of a call, a trace and a session the last value counts; of a unit each is one more."""
    call = record(0, trace_id="t", session_ref="s")
    told = [
        outcome(number, value, **{link: ref})
        for link, ref in (("call_id", call.id), ("trace_id", "t"), ("session_ref", "s"))
        for number, value in ((3, 30), (9, 90), (6, 60))
    ]
    put(store, call, outcome=[*told, outcome(1, 1, unit_ref="u1"), outcome(2, 2, unit_ref="u1")])
    found = store.trial_outcomes("e")
    assert sorted((each.total_micros, each.values) for each in found) == [(3, 2), *[(90, 1)] * 3]


def test_outcomes_of_a_unit_count_since_its_first_call(store: Store) -> None:
    """What was known before the unit came is counted apart; of who has nothing else, too."""
    put(
        store,
        record(5),
        record(9),
        record(7, variant="B", unit_ref="u2"),
        outcome=[
            outcome(4, 1_000_000, unit_ref="u1"),
            outcome(5, 500_000, unit_ref="u1"),
            outcome(6, 2_000_000, unit_ref="u1"),
            outcome(6, 3_000_000, unit_ref="u2"),
        ],
    )
    assert sorted(store.trial_outcomes("e")) == [
        OutcomeSums("score", "A", "u1", None, 2_500_000, 2, 2, early=1),
        OutcomeSums("score", "B", "u2", None, 0, 0, 0, early=1),
    ]


def test_no_calls(store: Store) -> None:
    """An experiment that has not begun has no units."""
    found = store.trial("e", ALL)
    assert (found.units, found.unassigned, found.unit_type) == ([], 0, None)
    assert store.trial_outcomes("e") == []


def test_values_of_single_calls(store: Store) -> None:
    """Those of assigned calls that have one, unit by unit; not in shadow, not of others."""
    put(
        store,
        record(0, latency_us=5, input_tokens=3, output_tokens=4, feature="b"),
        record(1, latency_us=7, feature="a", status="error", cost_nanousd=2),
        record(2, latency_us=None),
        record(3, latency_us=99, shadow=True),
        record(4, latency_us=99, experiment="other"),
        record(5, latency_us=1, variant="B", unit_ref="u2", time_to_first_chunk_us=8),
        record(6, latency_us=99, variant=None),
        record(7, latency_us=99, unit_ref=None),
    )

    def told(name: str) -> list[tuple[str, str, list[int]]]:
        found = store.trial_values("e", name)
        return [(each.variant, each.unit, sorted(each.values)) for each in found]

    assert told("latency") == [("A", "u1", [5, 7]), ("B", "u2", [1])]
    assert told("tokens") == [("A", "u1", [7])]
    assert told("cost") == [("A", "u1", [2])]
    assert told("time_to_first_chunk") == [("B", "u2", [8])]


def test_values_feature_by_feature(store: Store) -> None:
    """A unit is listed once for each; calls without a feature are a group of their own."""
    features = ["b", "a", None]
    put(store, *(record(n, latency_us=n, feature=each) for n, each in enumerate(features)))
    found = store.trial_values("e", "latency", by_feature=True)
    assert [(each.feature, list(each.values)) for each in found] == [
        (None, [2]),
        ("a", [1]),
        ("b", [0]),
    ]


def test_values_that_calls_do_not_have(store: Store) -> None:
    """They are named."""
    with pytest.raises(ConfigurationError, match="no value 'beauty': latency, time_to_first"):
        store.trial_values("e", "beauty")


def test_phases_are_read_apart(store: Store) -> None:
    """Sums, outcomes and values of one phase, or of the calls that have none."""
    put(
        store,
        record(0, phase="p1", latency_us=5),
        record(1, phase="p2", latency_us=7),
        record(2, latency_us=9),
        record(3, phase="p3", latency_us=9, variant=None),
        outcome=[outcome(0, 3, unit_ref="u1")],
    )
    assert store.trial_phases("e") == [None, "p1", "p2"]
    for phase, latency_us in (("p1", 5), ("p2", 7), (None, 9)):
        only = InPhase(phase)
        (unit,) = store.trial("e", [Measure("latency")], phase=only).units
        assert (unit.sums, unit.calls) == (((latency_us, 1),), 1)
        (values,) = store.trial_values("e", "latency", phase=only)
        assert list(values.values) == [latency_us]
        assert len(store.trial_outcomes("e", phase=only)) == 1
    assert store.trial_outcomes("e", phase=InPhase("p4")) == []


def test_what_units_did_before(store: Store) -> None:
    """By their own references, before the first assigned call; neither later nor in shadow."""
    user = {"variant": None, "unit_ref": None, "experiment": None, "unit_type": None}
    put(
        store,
        record(0, **user, user_ref="u1", latency_us=4, cost_nanousd=None),
        record(1, **user, user_ref="u1", latency_us=6, cost_nanousd=3),
        record(2, **user, user_ref="u1", latency_us=99, shadow=True),
        record(3, **user, user_ref="stranger", latency_us=99),
        record(4, **{**user, "experiment": "e"}, user_ref="u2", latency_us=5),
        record(5, user_ref="u1", latency_us=99),
        record(6, **user, user_ref="u1", latency_us=99),
        record(7, unit_ref="u2", user_ref="u2", latency_us=99),
    )
    found = store.before_trial("e", [Measure("latency"), Measure("cost")])
    assert [(each.unit, each.sums) for each in found] == [
        ("u1", ((10, 2), (3, 1))),
        ("u2", ((5, 1), (0, 0))),
    ]


def test_single_calls_did_nothing_before(store: Store) -> None:
    """Nor does a unit of a kind that calls have no reference of."""
    put(store, record(0, unit_type="call"))
    with pytest.raises(ConfigurationError, match="only users and sessions have calls before"):
        store.before_trial("e", [Measure("latency")])
