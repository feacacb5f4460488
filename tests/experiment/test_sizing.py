"""
The size of an experiment, by its own log.
"""

from random import Random

import pytest

from modeltrail.experiment.own_log import Arms
from modeltrail.experiment.sizing import Question, Size, sizes_from_log, sizes_of
from modeltrail.stats.estimate import NotEstimable, UnitSums
from modeltrail.stats.power import Plan, Spread, Units
from modeltrail.stats.traffic import DAY_US, Traffic

TRAFFIC = Traffic(units=100, observed_us=10 * DAY_US, per_day=5.0)
NOBODY = frozenset[str]()


def rows(**deviations: float) -> list[UnitSums]:
    """Return 50 units of one call in each arm, their values -1 and 1 times a deviation."""
    return [
        UnitSums(arm, f"{arm}{i}", deviation * (1 - 2 * (i % 2)) + 100, 1)
        for arm, deviation in deviations.items()
        for i in range(50)
    ]


def arms(**counts: int) -> Arms:
    return Arms(counts, None, "A", NOBODY)


def told(found: list[Size] | NotEstimable) -> list[Size]:
    assert not isinstance(found, NotEstimable), found
    return found


def test_the_logs_own_variance() -> None:
    """
    Deviations of 3 and 4 (times 50/49): 16/39 of a unit's effect of 1 is found by 2.8 errors.

    n per arm is about (1.96 + .842)^2 (9 + 16) (50/49) / 1 = 200.3, and t takes one more.
    """
    once, often = told(sizes_from_log(arms(A=50, B=50), "A", rows(A=3.0, B=4.0), TRAFFIC, ask(1.0)))
    assert (once.rule, often.rule) == ("one_look", "always_valid")
    assert isinstance(once.needed, Units)
    assert once.needed.control == once.needed.treatment == pytest.approx(201.5, abs=1)
    assert once.seen == Units(50, 50)
    assert isinstance(often.needed, Units)
    # (3.035 + .842)^2 / (1.96 + .842)^2 = 1.915 times as many.
    assert often.needed.control == pytest.approx(1.915 * 200.3, rel=0.02)
    assert once.more == sum(once.needed) - 100
    assert once.days == pytest.approx(once.more / 5.0)


def ask(effect: float | None = None, units: int | None = None) -> Question:
    return Question(effect=effect, units=units)


def test_what_the_units_that_are_there_find() -> None:
    """Without an effect asked for nothing is needed, but what can be found is told."""
    (once, _) = told(sizes_from_log(arms(A=50, B=50), "A", rows(A=3.0, B=4.0), TRAFFIC, ask()))
    assert (once.needed, once.more, once.days, once.effect) == (None, None, None, None)
    # 2.8 standard errors of sqrt(25 (50/49) / 50).
    assert once.found_now == pytest.approx(2.83 * (25 / 49) ** 0.5, rel=0.01)
    (more, _) = told(
        sizes_from_log(arms(A=50, B=50), "A", rows(A=3.0, B=4.0), TRAFFIC, ask(units=400))
    )
    assert more.found_now == pytest.approx(once.found_now / 2, rel=0.02)


def test_enough_already() -> None:
    """Nothing has to come, and that takes no day, whatever the traffic."""
    unknown = NotEstimable("less than a day")
    (once, often) = told(
        sizes_from_log(arms(A=50, B=50), "A", rows(A=3.0, B=4.0), unknown, ask(5.0))
    )
    assert (once.more, once.days) == (0, 0.0)
    (once, often) = told(
        sizes_from_log(arms(A=50, B=50), "A", rows(A=3.0, B=4.0), unknown, ask(1.0))
    )
    assert once.days == often.days == unknown


def test_planned_weights_and_further_arms() -> None:
    """Units go to all arms: with a tenth in B, ten times what B needs has to come."""
    planned = Arms({"A": 60, "B": 10, "C": 30}, {"A": 0.6, "B": 0.1, "C": 0.3}, "A", NOBODY)
    random = Random(1)
    listed = [
        UnitSums(arm, f"{arm}{i}", random.gauss(0, 1), 1)
        for arm, n in planned.counts.items()
        for i in range(n)
    ]
    sizes = told(sizes_from_log(planned, "A", listed, TRAFFIC, ask(0.2)))
    assert [(each.variant, each.rule) for each in sizes] == [
        ("B", "one_look"),
        ("B", "always_valid"),
        ("C", "one_look"),
        ("C", "always_valid"),
    ]
    needed = sizes[0].needed
    assert isinstance(needed, Units)
    assert needed.control == pytest.approx(6 * needed.treatment, rel=0.01)
    assert sizes[0].more == pytest.approx(10 * needed.treatment - 100, abs=10)


def test_units_without_a_value_have_to_come_too() -> None:
    """If half of the units have the outcome, twice as many are needed."""
    listed = rows(A=3.0, B=4.0)
    all_of_them, half = (
        told(sizes_from_log(arms(A=n, B=n), "A", listed, TRAFFIC, ask(1.0)))[0].needed
        for n in (50, 100)
    )
    assert isinstance(all_of_them, Units) and isinstance(half, Units)
    assert half.control == pytest.approx(2 * all_of_them.control, abs=2)


def test_an_arm_without_a_spread_is_named() -> None:
    """The reason says which."""
    for listed, reason in ((rows(A=1.0, B=0.0), "B: every unit"), (rows(A=1.0), "B: 0 unit")):
        found = sizes_from_log(arms(A=50, B=50), "A", listed, TRAFFIC, ask(1.0))
        assert isinstance(found, NotEstimable) and found.reason.startswith(reason)


def test_without_a_log() -> None:
    """A plan alone is answered by both rules."""
    sizes = sizes_of(Plan(Spread(1.0), Spread(1.0)), ask(1.0, units=20))
    assert [size.needed for size in sizes][0] == Units(17, 17)
    assert sizes[0].found_now == pytest.approx(1.3249, rel=1e-4)
    assert {(size.variant, size.seen, size.more, size.days) for size in sizes} == {(None,) * 4}
