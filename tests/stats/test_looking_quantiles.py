"""
May one look at quantiles as often as one likes? Simulations, seeded.

The generator knows nothing of the estimator: a user has a speed of their own (lognormal), a
lognormal number of calls, 1 at least, that go on until the end, and a variant by the toss of
a coin that changes nothing.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from random import Random

import pytest

from modeltrail.experiment.contrasts import Contrast, contrast, side
from modeltrail.stats.estimate import NotEstimable
from modeltrail.stats.quantiles import calls_of

pytestmark = pytest.mark.slow

LOOKS = 40


@pytest.mark.parametrize(
    ("users", "p", "repetitions"), [(60, 0.5, 150), (150, 0.9, 80), (150, 0.95, 60)]
)
def test_looking_often_at_quantiles_raises_no_false_alarms(
    users: int, p: float, repetitions: int
) -> None:
    """
    In at most 5 % of A/A tests the always-valid interval ever excludes 0 at one of 40 looks.

    That it is the interval which does it shows the one for one look, at the same looks.
    """
    random = Random(20261126 + users)
    alarms = alarms_of_one_look = 0
    for _ in range(repetitions):
        looks = list(aa_test(random, users, p))
        assert len(looks) > LOOKS / 4
        alarms += any(outside(each.always_valid) for each in looks)
        alarms_of_one_look += any(outside(each.fixed) for each in looks)
    assert alarms / repetitions <= 0.05
    assert alarms_of_one_look / repetitions > 0.08


def outside(interval: tuple[float, float] | NotEstimable) -> bool:
    assert not isinstance(interval, NotEstimable)
    return not interval[0] <= 0 <= interval[1]


def aa_test(random: Random, users: int, p: float) -> Iterator[Contrast]:
    """
    Give what is seen at each look at which there is an always-valid interval.
    """
    calls = sorted(traffic(random, users))
    seen: dict[str, dict[str, list[float]]] = {v: defaultdict(list) for v in "AB"}
    place = 0
    for look in range(1, LOOKS + 1):
        while place < len(calls) and calls[place][0] <= look / LOOKS:
            _, variant, user, value = calls[place]
            seen[variant][user].append(value)
            place += 1
        a, b = (side(v, [calls_of(v, *each) for each in seen[v].items()], p) for v in "AB")
        found = contrast(a, b, is_share=False, plan_units=users, alpha=0.05)
        if not isinstance(found, NotEstimable) and not isinstance(found.always_valid, NotEstimable):
            yield found


def traffic(random: Random, users: int) -> Iterator[tuple[float, str, str, float]]:
    """
    Give the calls of all users: time, variant, user and how long it took.
    """
    for number in range(users):
        variant, came, speed = random.choice("AB"), random.random(), random.gauss(0, 0.5)
        for each in range(math.ceil(random.lognormvariate(0.7, 1))):
            at = random.uniform(came, 1) if each else came
            yield at, variant, f"u{number}", math.exp(speed + random.gauss(0, 0.7))
