"""
May one look at an experiment as often as one likes? Simulations, seeded.

The generator knows nothing of the estimator: a user has a rate of success of their own
(beta, with the correlation asked for between calls of one user), a lognormal number of
calls, 1 at least, and a variant by the toss of a coin that changes nothing.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from random import Random

import pytest

from modeltrail.stats.estimate import NotEstimable, UnitSums, ratio
from modeltrail.stats.sequential import LEAST_UNITS, always_valid

pytestmark = pytest.mark.slow

LOOKS = 40
SEED = 20261126


@pytest.mark.parametrize(
    ("users", "correlation", "sigma", "repetitions"),
    [(60, 0.1, 1.0, 400), (200, 0.1, 1.0, 250), (200, 0.2, 1.5, 250)],
)
def test_looking_often_raises_no_false_alarms(
    users: int, correlation: float, sigma: float, repetitions: int
) -> None:
    """
    In at most 5 % of A/A tests the always-valid interval ever excludes 0 at one of 40 looks.

    Users come at any time and come back until the end. That it is the interval which
    does it shows 1.96 standard errors at the same looks: more than 12 %.

    Of 250 repetitions a share of .03 has the standard error .011, of 400 .009.
    """
    random = Random(SEED + users)
    alarms = alarms_of_one_look = 0
    for _ in range(repetitions):
        looks = list(aa_test(random, users, correlation, sigma))
        assert len(looks) > LOOKS / 4
        alarms += any(excludes_0(*look, plan_units=users) for look in looks)
        alarms_of_one_look += any(abs(gap) > 1.96 * error for gap, error, _ in looks)
    assert alarms / repetitions <= 0.05
    assert alarms_of_one_look / repetitions > 0.12


def excludes_0(gap: float, error: float, n: int, *, plan_units: int) -> bool:
    lower, upper = always_valid(gap, error, n, plan_units, 0.05)
    return not lower <= 0 <= upper


def aa_test(
    random: Random, users: int, correlation: float, sigma: float
) -> Iterator[tuple[float, float, int]]:
    """
    Give the difference, its standard error and the units so far at each of the looks.
    """
    calls = sorted(traffic(random, users, correlation, sigma))
    sums: dict[str, dict[str, list[int]]] = {v: defaultdict(lambda: [0, 0]) for v in "AB"}
    place = 0
    for look in range(1, LOOKS + 1):
        while place < len(calls) and calls[place][0] <= look / LOOKS:
            _, variant, user, success = calls[place]
            sums[variant][user][0] += success
            sums[variant][user][1] += 1
            place += 1
        if min(map(len, sums.values())) < LEAST_UNITS:
            continue
        a, b = (ratio([UnitSums(v, user, *each) for user, each in sums[v].items()]) for v in "AB")
        assert not isinstance(a, NotEstimable) and not isinstance(b, NotEstimable)
        # Where nobody has failed yet there is no interval.
        if error := math.sqrt(a.variance + b.variance):
            yield b.estimate - a.estimate, error, a.n_units + b.n_units


def traffic(
    random: Random, users: int, correlation: float, sigma: float
) -> Iterator[tuple[float, str, str, bool]]:
    """
    Give the calls of all users: time, variant, user and success.
    """
    for number in range(users):
        variant, came = random.choice("AB"), random.random()
        spread = 1 / correlation - 1
        rate = random.betavariate(0.8 * spread, 0.2 * spread)
        for each in range(math.ceil(random.lognormvariate(0.7, sigma))):
            at = random.uniform(came, 1) if each else came
            yield at, variant, f"u{number}", random.random() < rate
