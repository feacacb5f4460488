"""
How long it takes until enough units have come.

Units that come back are no new units, so that in a log of steady traffic the first
days bring more new ones than the last. What is to come is therefore judged by the
second half of the time that was observed, not by the mean of all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from modeltrail.stats.estimate import NotEstimable

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Traffic:
    """
    How fast new units come.

    Attributes:
        units: How many have come.
        observed_us: How long that took, microseconds.
        per_day: New units per day, in the second half of that time.
    """

    units: int
    observed_us: int
    per_day: float


def traffic(arrivals_us: Sequence[int], until_us: int) -> Traffic | NotEstimable:
    """
    Judge how fast new units come.

    Args:
        arrivals_us: When each unit came first, microseconds, the earliest first.
        until_us: Until when was observed.

    Returns:
        The traffic; or why it is not known: less than a day was observed, or no
        unit came in its second half.
    """
    if not arrivals_us or until_us - arrivals_us[0] < DAY_US:
        return NotEstimable("less than a day of calls: how many units a day brings is not known")
    observed_us = until_us - arrivals_us[0]
    half_us = until_us - observed_us / 2
    recent = sum(at_us >= half_us for at_us in arrivals_us)
    if not recent:
        return NotEstimable("no new unit came in the second half of the time of the log")
    return Traffic(len(arrivals_us), observed_us, recent / (observed_us / 2 / DAY_US))
