"""
Intervals that hold what they promise, of costs that know nothing of the method.
"""

import math
import random

import pytest

from modeltrail.stats.estimate import NotEstimable
from modeltrail.stats.forecast import Forecast, forecast

SIMULATIONS = 400


def costs(source: random.Random, days: int) -> list[float]:
    """
    Return daily costs: a week of its own, a straight trend, and calls that come in bursts.

    The calls of a day are Poisson's with a rate that is itself random (negative binomial);
    what a call costs varies as much as it is.
    """
    week = [source.uniform(0.3, 1.5) for _ in range(7)]
    base, slope = source.uniform(50, 400), source.uniform(-0.004, 0.012)
    shape = source.uniform(3, 20)
    totals = []
    for day in range(days):
        mean = base * week[day % 7] * max(1 + slope * day, 0.05)
        calls = max(source.gammavariate(shape, mean / shape), 1.0)
        # A sum of so many exponential costs, each call's and their number's noise.
        totals.append(source.gammavariate(calls / 2, 2.0))
    return totals


@pytest.mark.parametrize(("past", "ahead"), [(14, 14), (28, 1), (56, 30)])
def test_interval_covers_as_often_as_it_says(past: int, ahead: int) -> None:
    """Of 400 histories 90 % lie within, to three standard errors, and few beyond either end."""
    source = random.Random(100 * past + ahead)
    below = above = 0
    for _ in range(SIMULATIONS):
        totals = costs(source, past + ahead)
        found = forecast(totals[:past], [1.0] * ahead, alpha=0.1)
        assert isinstance(found, Forecast)
        truth = math.fsum(totals[past:])
        below += truth < found.low
        above += truth > found.high
    tolerance = 3 * math.sqrt(SIMULATIONS * 0.9 * 0.1)
    assert abs(SIMULATIONS * 0.1 - (below + above)) <= tolerance
    assert max(below, above) <= SIMULATIONS * 0.05 + 3 * math.sqrt(SIMULATIONS * 0.05 * 0.95)


def test_level_and_week_without_noise_are_continued() -> None:
    """What repeats every week exactly, and doubles every week, is known exactly."""
    week = [10.0, 20.0, 30.0, 40.0, 50.0, 5.0, 1.0]
    found = forecast(week * 3, [1.0] * 9)
    assert isinstance(found, Forecast)
    assert found == pytest.approx((156 + 30,) * 3)
    growing = [each * 2**number for number in range(3) for each in week]
    assert forecast(growing, [0.5, 1.0]) == pytest.approx((8 * (5 + 20),) * 3)


def test_weekdays_without_work_stay_so() -> None:
    """Nothing on Saturdays and Sundays, then nothing on the coming ones."""
    week = [10.0] * 5 + [0.0] * 2
    assert forecast(week * 3, [1.0] * 7) == pytest.approx((50,) * 3)
    assert forecast((week * 3)[:-2], [1.0] * 2) == (0, 0, 0)


def test_history_beyond_eight_weeks_is_forgotten() -> None:
    """What was long ago does not count."""
    recent = costs(random.Random(1), 56)
    assert forecast([1e9] * 21 + recent, [1.0]) == forecast(recent, [1.0])


def test_surer_is_wider() -> None:
    """99 % takes more than 50 %, around the same median."""
    totals = costs(random.Random(2), 28)
    wide, narrow = (forecast(totals, [1.0] * 5, alpha=alpha) for alpha in (0.01, 0.5))
    assert isinstance(wide, Forecast) and isinstance(narrow, Forecast)
    assert wide.low < narrow.low < narrow.estimate == wide.estimate < narrow.high < wide.high


@pytest.mark.parametrize(
    ("past", "reason"),
    [
        ([1.0] * 13, "13 full days, and it takes 14"),
        ([0.0] * 20, "no day has a total"),
        ([1.0] * 9 + [0.0] + [1.0] * 10, "1 of 20 days have no total"),
    ],
)
def test_too_little_is_refused(past: list[float], reason: str) -> None:
    """The reason is told in place of a number."""
    found = forecast(past, [1.0])
    assert isinstance(found, NotEstimable)
    assert reason in found.reason
