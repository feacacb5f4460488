"""
The A/A test of a log: an honest method passes it, a dishonest one does not.
"""

import math
from dataclasses import replace
from random import Random

import pytest

from modeltrail.experiment import contrasts
from modeltrail.experiment.trust import FalseAlarms, Method, false_alarms
from modeltrail.stats.estimate import Interval, NotEstimable, UnitSums


def log(random: Random, n: int, effect: float = 0.0) -> list[UnitSums]:
    """Return users with levels of their own, half of them in B."""
    made = []
    for number in range(n):
        count = random.randint(1, 9)
        level = random.gauss(10, 2) + (effect if number % 2 else 0)
        total = count * level + random.gauss(0, math.sqrt(count))
        made.append(UnitSums("AB"[number % 2], f"u{number}", total, count))
    return made


def told(found: FalseAlarms | NotEstimable) -> FalseAlarms:
    assert isinstance(found, FalseAlarms), found
    return found


def test_the_promise_is_kept() -> None:
    """80 users of unequal sizes: some 5 % of 200 assignments claim a difference."""
    found = told(false_alarms(log(Random(2), 80), 0.5, repetitions=200))
    assert (found.n_units, found.repetitions, found.refused) == (80, 200, 0)
    assert found.rate == found.alarms / 200
    # Three standard errors of .05 of 200 are .046.
    assert 0.004 < found.rate < 0.096
    assert found.kept and found.alpha == 0.05


def test_a_real_effect_is_no_false_alarm() -> None:
    """What the variant did is forgotten with the variant."""
    found = told(false_alarms(log(Random(2), 80, effect=8.0), 0.5, repetitions=200))
    assert found.kept


def test_calls_taken_for_units_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method whose intervals are half as wide as they should be does not pass."""
    honest = contrasts.difference

    def overconfident(control, treatment, *, alpha):
        return honest(control, treatment, alpha=6 * alpha)

    monkeypatch.setattr(contrasts, "difference", overconfident)
    found = told(false_alarms(log(Random(3), 60), 0.5, repetitions=200))
    assert found.rate > 0.2 and not found.kept
    assert found.rate_interval.lower > 0.05


def test_fewer_alarms_than_promised_are_told_as_well() -> None:
    """One success among 150 users: the interval hardly ever excludes 0, and is too wide."""
    rare = [UnitSums("A", str(i), float(i == 7), 1) for i in range(150)]
    found = told(false_alarms(rare, 0.5, repetitions=200))
    assert found.rate == 0 and not found.kept


def test_shares_are_checked_as_they_are_compared() -> None:
    """
    Four of 60 units fail, in half of their calls: one arm in eight has none of them.

    A comparison gives that arm the spread that it may have, and claims nothing; without it
    the difference looks certain.
    """
    rare = [UnitSums("A", str(i), 5.0 * (i < 4), 10) for i in range(60)]
    as_mean = told(false_alarms(rare, 0.5, repetitions=200))
    as_share = told(false_alarms(rare, 0.5, repetitions=200, method=Method(is_share=True)))
    assert (as_mean.rate > 0.08, as_share.alarms) == (True, 0)


@pytest.mark.parametrize(("units", "successes", "alarms"), [(60, 6, 12), (100, 5, 9), (80, 8, 6)])
def test_shares_of_single_calls_are_checked_by_newcombe(
    units: int, successes: int, alarms: int
) -> None:
    """
    As many alarms as of statsmodels 0.15.0, of the same draws.

    `confint_proportions_2indep(..., method="newcomb", compare="diff")`, where it excludes 0.
    """
    single = [UnitSums("A", str(i), float(i < successes), 1) for i in range(units)]
    found = told(false_alarms(single, 0.5, repetitions=200, method=Method(is_share=True)))
    assert found.alarms == alarms


def test_the_interval_of_the_rate() -> None:
    """Wilson's score interval at 99 %, written out."""
    found = told(false_alarms(log(Random(1), 40), 0.5, repetitions=100))
    n, p, z = 100, found.alarms / 100, 2.5758293
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert found.rate_interval == pytest.approx((centre - half, centre + half))


def test_same_seed_same_answer() -> None:
    """Whatever the rows' order and the units' names; another seed draws other assignments."""
    units = log(Random(4), 30)
    first = false_alarms(units, 0.5, repetitions=100)
    assert false_alarms(units[::-1], 0.5, repetitions=100) == first
    renamed = [replace(unit, unit=f"{hash(unit.unit)}") for unit in units]
    assert false_alarms(renamed, 0.5, repetitions=100) == first
    others = {told(false_alarms(units, 0.5, repetitions=100, seed=s)).alarms for s in range(1, 4)}
    assert len(others) > 1


def test_units_are_assigned_with_the_planned_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a probability of .2 a fifth of the units is in treatment, not always the same."""
    sizes = []
    honest = contrasts.difference

    def counted(control, treatment, **more):
        sizes.append(treatment.n_units)
        return honest(control, treatment, **more)

    monkeypatch.setattr(contrasts, "difference", counted)
    false_alarms(log(Random(5), 250), 0.2, repetitions=100)
    # A binomial of 250 and .2: 50 on average, its standard deviation 6.3.
    assert sum(sizes) / len(sizes) == pytest.approx(50, abs=2.5)
    assert 30 < min(sizes) < 45 and 55 < max(sizes) < 75


def test_units_of_two_variants_are_left_out() -> None:
    """As in a comparison."""
    units = log(Random(6), 60)
    twice = [*units, UnitSums("B", "u0", 5.0, 1)]
    assert told(false_alarms(twice, 0.5, repetitions=100)).n_units == 59


def test_progress_is_told() -> None:
    """After each repetition."""
    seen: list[int] = []
    false_alarms(log(Random(7), 20), 0.5, repetitions=100, progress=seen.append)
    assert seen == list(range(1, 101))


def test_what_cannot_be_told() -> None:
    """Units that are all alike, and hardly any units, give no interval: why is said."""
    alike = [UnitSums("A", str(i), 1.0, 1) for i in range(20)]
    for units, reason in ((alike, "no variation"), (alike[:2], "two are the least")):
        found = false_alarms(units, 0.5, repetitions=100)
        assert isinstance(found, NotEstimable)
        assert "of 100 repetitions gave no interval" in found.reason and reason in found.reason


@pytest.mark.parametrize(
    ("treated", "alpha", "repetitions"), [(0.0, 0.05, 100), (0.5, 1.0, 100), (0.5, 0.05, 99)]
)
def test_questions_that_make_no_sense(treated: float, alpha: float, repetitions: int) -> None:
    """They are errors."""
    with pytest.raises(ValueError, match="between 0 and 1|are the least"):
        false_alarms([], treated, alpha=alpha, repetitions=repetitions)


def test_looking_often_is_what_breaks_the_promise() -> None:
    """
    Of 200 assignments of 80 units at 10 looks the interval for one look claims too much.

    The always-valid one, at the same looks of the same assignments, does not: fewer alarms
    than 5 % keep its promise.
    """
    units = log(Random(2), 80)
    one = told(false_alarms(units, 0.5, repetitions=200, method=Method(looks=10)))
    held = told(
        false_alarms(units, 0.5, repetitions=200, method=Method(True, looks=10, plan_units=80))
    )
    assert one.rate > 0.1 and not one.kept
    assert held.rate <= 0.05 and held.kept
    assert held.alarms < one.alarms
    assert replace(held, alarms=0, rate_interval=Interval(0.0, 0.01)).kept
    assert not replace(held, rate_interval=Interval(0.06, 0.1)).kept


def test_always_valid_looks_need_units() -> None:
    """12 units give not ten to each arm: no repetition tells anything."""
    found = false_alarms(log(Random(2), 12), 0.5, repetitions=100, method=Method(True, looks=3))
    assert isinstance(found, NotEstimable)
    assert "needs 10 units in each arm" in found.reason
    with pytest.raises(ValueError, match="it takes a look"):
        false_alarms(log(Random(2), 12), 0.5, method=Method(looks=0))
