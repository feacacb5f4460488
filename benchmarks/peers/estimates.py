"""
Figures of the results' blocks.
"""

from collections.abc import Sequence
from itertools import chain
from statistics import median
from typing import Any, NamedTuple

from benchmarks.figures import Interval, median_interval

Blocks = Sequence[Sequence[dict[str, Any]]]


class Estimate(NamedTuple):
    """
    What something took, in microseconds.

    Attributes:
        interval: Median and 95 % interval of all rounds.
        low: The least median of a launch.
        high: The greatest one.
    """

    interval: Interval
    low: float
    high: float

    @property
    def resolved(self) -> bool:
        """
        Tell whether zero lies outside, for the rounds and for each launch.
        """
        return min(self.interval.low, self.low) > 0 or max(self.interval.high, self.high) < 0

    def is_below(self, other: "Estimate") -> bool:
        """
        Tell whether all of this lies below all of another.
        """
        return max(self.interval.high, self.high) < min(other.interval.low, other.low)


def extra(blocks: Blocks, clock: str) -> Estimate | None:
    """
    Return what a peer adds, round by round, to what nobody takes.
    """
    return _estimate(
        [[each["peer"][clock] - each["none"][clock] for each in launch] for launch in blocks]
    )


def total(blocks: Blocks, *parts: str) -> Estimate | None:
    """
    Return the sum of some parts of a block.
    """
    return _estimate([[sum(each[part] for part in parts) for each in launch] for launch in blocks])


def baseline(blocks: Blocks, clock: str) -> float:
    """
    Return what nobody takes.
    """
    return median(each["none"][clock] for each in chain.from_iterable(blocks))


def count(blocks: Blocks, what: str) -> int:
    """
    Return a count over all blocks.
    """
    return sum(each[what] for each in chain.from_iterable(blocks))


def _estimate(launches: Sequence[Sequence[float]]) -> Estimate | None:
    """
    Return None if the rounds are too few for an interval.
    """
    medians = [median(launch) for launch in launches if launch]
    try:
        interval = median_interval(list(chain.from_iterable(launches)))
    except ValueError:
        return None
    return Estimate(interval, min(medians), max(medians))
