"""
Looks back: what a comparison would have said at earlier moments.
"""

from random import Random
from typing import Any

import pytest

from modeltrail.experiment.analysis import Asked, analyse
from modeltrail.experiment.contrasts import Contrast
from modeltrail.experiment.over_time import LOOKS, Course, over_time
from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Store
from modeltrail.storage.rows import Batch, call_row

START_US = 1_790_000_000_000_000
HOUR_US = 3_600_000_000


def call(number: int, variant: str, unit: str, cost: int, **changes: Any) -> CallRecord:
    """Return a call, one each hour."""
    at_us = START_US + number * HOUR_US
    given = {
        "id": uuid7(at_us),
        "framework": "test",
        "framework_version": "1",
        "operation": "chat",
        "started_at_us": at_us,
        "status": "error" if number % 9 == 0 else "ok",
        "experiment": "exp",
        "variant": variant,
        "unit_ref": unit,
        "unit_type": "user",
        "propensity_ppm": 500_000,
        "cost_nanousd": cost,
        "latency_us": cost * 10,
    }
    return CallRecord(**given | changes)


def history(count: int) -> list[CallRecord]:
    """Let 30 units of each arm come again and again; one of each arm is seen in both."""
    random, calls = Random(7), []
    for number in range(count):
        variant = random.choice(["control", "B"])
        unit = random.randrange(30)
        name = "both" if unit == 0 else f"{variant}-{unit}"
        scale = 3_000_000 if variant == "control" else 2_000_000
        calls.append(call(number, variant, name, random.randrange(scale)))
    return calls


def stored(path: Any, calls: list[CallRecord], outcomes: list[Any] | None = None) -> Store:
    """Put calls into a trail of their own."""
    store = Store.open(f"sqlite:///{path}")
    assert store.append(Batch(call=list(map(call_row, calls)), outcome=outcomes or [])) == []
    return store


def course_of(store: Store, metric: str, **asked: Any) -> Course:
    """Return the course of a metric that decides."""
    found = analyse(store, "exp", Asked(primary=metric, plan_units=60, **asked))
    (course,) = over_time(store, found)
    assert course.metric.name == metric
    return course


@pytest.mark.parametrize("metric", ["cost", "errors", "latency:cap=5e+06", "cost_per_ok"])
def test_every_look_is_what_was_seen_then(tmp_path: Any, metric: str) -> None:
    """
    A trail that has only the calls before a look says the same, but for who changes later.
    """
    calls = history(400)
    course = course_of(stored(tmp_path / "all.db", calls), metric)
    assert 10 < len(course.looks) <= LOOKS
    for place in (0, len(course.looks) // 2, len(course.looks) - 1):
        look = course.looks[place]
        before = [c for c in calls if c.started_at_us < look.at_us and c.unit_ref != "both"]
        store = stored(tmp_path / f"{place}.db", before)
        then = analyse(store, "exp", Asked(primary=metric, plan_units=60))
        contrast = then.metrics[0].contrasts["B"]
        assert isinstance(contrast, Contrast)
        assert look.n_units == contrast.n_units
        assert look.difference == pytest.approx(contrast.difference, rel=1e-9)
        assert look.always_valid == pytest.approx(contrast.always_valid, rel=1e-9)


def test_the_last_look_is_the_comparison(tmp_path: Any) -> None:
    """Also where somebody was seen in both arms, and calls decide together."""
    store = stored(tmp_path / "calls.db", history(300))
    found = analyse(store, "exp", Asked(plan_units=60))
    courses = over_time(store, found)
    assert [each.metric.name for each in courses] == [
        each.metric.name for each in found.metrics if each.role == "joint"
    ]
    for course in courses:
        (metric,) = (each for each in found.metrics if each.metric == course.metric)
        contrast = metric.contrasts[course.variant]
        assert isinstance(contrast, Contrast)
        assert course.looks[-1].n_units == contrast.n_units
        assert course.looks[-1].always_valid == pytest.approx(contrast.always_valid, rel=1e-9)
    moments = [look.at_us for look in courses[0].looks]
    assert moments == sorted(set(moments))
    assert moments[-1] > START_US + 299 * HOUR_US


def test_outcomes_that_come_late(tmp_path: Any) -> None:
    """Told 900 hours after a history of 60, they are looked at until then, in 40 looks at most."""
    calls = history(60)
    outcomes = [
        (uuid7(each.started_at_us), each.started_at_us + 15 * n * HOUR_US, "good", 10**6 * (n % 2))
        + (None, None, None, each.unit_ref)
        for n, each in enumerate(calls)
    ]
    course = course_of(stored(tmp_path / "calls.db", calls, outcomes), "outcome:good")
    assert 5 < len(course.looks) <= LOOKS
    assert course.looks[-1].at_us > START_US + 59 * 16 * HOUR_US
    assert course.metric.unit_of_measure == "share"


def test_outcomes_from_before_a_unit_came_are_in_no_look(tmp_path: Any) -> None:
    """Their values are 0, those since then 1: the last look is the comparison."""
    calls = [call(n, "AB"[n % 2], f"u{n}", 100) for n in range(60)]
    outcomes = [
        (uuid7(at_us), at_us, "good", value, None, None, None, each.unit_ref)
        for n, each in enumerate(calls)
        for at_us, value in ((START_US - HOUR_US, 0), (each.started_at_us, 10**6 * (n % 2)))
    ]
    store = stored(tmp_path / "calls.db", calls, outcomes)
    course = course_of(store, "outcome:good", control="A")
    assert {look.difference for look in course.looks} == {1}


def test_no_look_before_there_are_units(tmp_path: Any) -> None:
    """With nine units in an arm there is none."""
    calls = [call(n, "AB"[n % 2], f"u{n}", 100 + n) for n in range(19)]
    store = stored(tmp_path / "calls.db", calls)
    found = analyse(store, "exp", Asked(primary="cost", control="A"))
    assert [each.looks for each in over_time(store, found)] == [()]


def test_what_is_invalid_has_no_course(tmp_path: Any) -> None:
    """No difference is shown, at no time."""
    calls = [call(n, "A" if n % 10 else "B", f"u{n}", 100 + n) for n in range(400)]
    store = stored(tmp_path / "calls.db", calls)
    found = analyse(store, "exp", Asked(primary="cost", control="A"))
    assert found.verdict == "invalid"
    assert over_time(store, found) == []
