"""
How fast new units come.
"""

import pytest

from modeltrail.stats.estimate import NotEstimable
from modeltrail.stats.traffic import DAY_US, Traffic, traffic


def test_the_second_half_counts() -> None:
    """Many came at first and two a day later: two a day will come."""
    first_day = [number * 1000 for number in range(50)]
    later = [DAY_US * 5 + place * DAY_US // 2 for place in range(10)]
    assert traffic([*first_day, *later], 10 * DAY_US) == Traffic(60, 10 * DAY_US, 2.0)


def test_steady_traffic() -> None:
    """One an hour from the second day on."""
    hours = [DAY_US + hour * DAY_US // 24 for hour in range(240)]
    found = traffic(hours, 11 * DAY_US)
    assert isinstance(found, Traffic)
    assert found.per_day == pytest.approx(24)
    assert (found.units, found.observed_us) == (240, 10 * DAY_US)


def test_too_short_or_over() -> None:
    """Less than a day, no unit at all, or none any more: not told."""
    for arrivals, until, reason in (
        ([0, 5], DAY_US - 1, "less than a day"),
        ([], DAY_US, "less than a day"),
        ([0, 5], DAY_US, "second half"),
    ):
        found = traffic(arrivals, until)
        assert isinstance(found, NotEstimable) and reason in found.reason
