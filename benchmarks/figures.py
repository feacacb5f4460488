"""
Medians and ratios with 95 % intervals that assume no distribution.

The noise of a shared machine is skewed and has no variance worth the name, so
only the order of the rounds' figures is used.
"""

from collections.abc import Callable, Sequence
from math import comb
from statistics import median
from typing import NamedTuple

# Of each tail of a 95 % interval.
TAIL = 0.025
# No ratio of interest is further out; bisection starts there.
FARTHEST = 1e4
HALVINGS = 60


class Interval(NamedTuple):
    """
    An estimate and the bounds of its 95 % interval.
    """

    estimate: float
    low: float
    high: float


def median_interval(values: Sequence[float]) -> Interval:
    """
    Return the median and the two order statistics around it.

    Raises:
        ValueError: There are fewer than six values: no two of them enclose the
            median in 95 % of all cases.
    """
    ordered = sorted(values)
    outside = _outside(len(ordered))
    return Interval(median(ordered), ordered[outside], ordered[-1 - outside])


def differences(values: Sequence[float], base: Sequence[float]) -> list[float]:
    """
    Return what each round's figure is above the base of the same round.
    """
    return [value - below for value, below in zip(values, base, strict=True)]


def ratio_interval(values: Sequence[float], reference: Sequence[float]) -> Interval | None:
    """
    Return how many times the reference the values are, pairwise.

    The ratio is the factor at which the median of `value - factor * reference`
    is zero, its bounds are the factors at which the bounds of that median are:
    so a gate lies above the interval exactly if the values are resolved to be
    below that many times the reference.

    Returns:
        None if the reference itself is not resolved to be above zero.
    """
    if median_interval(reference).low <= 0:
        return None

    def left(factor: float) -> Interval:
        pairs = zip(values, reference, strict=True)
        return median_interval([value - factor * unit for value, unit in pairs])

    return Interval(
        _root(lambda factor: left(factor).estimate),
        _root(lambda factor: left(factor).low),
        _root(lambda factor: left(factor).high),
    )


def _outside(count: int) -> int:
    """
    Return how many values lie outside of the interval on each side.

    How many of `count` values lie below their distribution's median is
    binomial with probability one half.
    """
    outside, tail = -1, 0.0
    while (tail := tail + comb(count, outside + 1) / 2**count) <= TAIL:
        outside += 1
    if outside < 0:
        raise ValueError(f"{count} values are too few for an interval")
    return outside


def _root(falling: Callable[[float], float]) -> float:
    low, high = -FARTHEST, FARTHEST
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2
