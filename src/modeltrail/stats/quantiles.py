"""
Quantiles of calls, such as the median or p95 of latency, and their differences.

Calls of one unit are alike: a user far from the server is slow in every call. The
standard error of a quantile q_p that takes calls as independent is then too small
(intervals at 95 % were right in 76 to 80 % of simulations). So it is widened, after
Deng, Knoblich and Lu ("Applying the Delta Method in Metric Analytics", KDD 2018,
section 4.2), by what the units do to the share of calls at or below q_p:

1. With n calls the order statistics at the ranks n p -/+ z sqrt(n p (1 - p)) contain
   q_p with 95 % (Woodruff, J. Am. Stat. Assoc. 47 (1952) 635): a standard error of
   their distance over 2 z.
2. The design effect is the jackknife variance of the share of calls at or below q_p, a
   ratio of sums per unit, over p (1 - p) / n.
3. The variance is that of 1 times the design effect; degrees of freedom are those of
   the effective units, as for a mean.

The quantile is the order statistic of rank ceil(n p): a value that was observed.
What is needed of a log are three of its values and two numbers per unit, so that SQL
can give them; `quantile` and `quantile_of_units` are for values at hand.

A sample quantile is q_p + (p - F_n(q_p)) / f(q_p) and a rest that vanishes almost surely
faster than the root of n (Bahadur, Ann. Math. Statist. 37 (1966) 577; Kiefer, ibid. 38
(1967) 1323): a mean of one number per unit in the end. So the asymptotic confidence
sequence of `modeltrail.stats.sequential` holds for it as for any such estimate, and its
differences may be looked at every day.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from modeltrail.stats.estimate import (
    Difference,
    NotEstimable,
    RatioEstimate,
    UnitSums,
    difference,
    ratio,
)
from modeltrail.stats.shares import Z_95

_ROUNDING = 1e-12


class UnitValue(NamedTuple):
    """
    One call's value.

    Attributes:
        unit: The randomised unit that it belongs to.
        value: In the metric's unit of measure.
    """

    unit: str
    value: float


@dataclass(frozen=True, slots=True)
class UnitCalls(UnitSums):
    """
    One randomised unit in one arm, and each of its calls.

    Attributes:
        values: One per call, in any order, in the metric's unit of measure; `total` and
            `count` are their number.
    """

    values: Sequence[float]


class Ranks(NamedTuple):
    """
    Which order statistics a quantile takes, from 1 to n.
    """

    lower: int
    middle: int
    upper: int


@dataclass(frozen=True, slots=True)
class QuantileEstimate:
    """
    One arm's quantile.

    Attributes:
        p: Which one, between 0 and 1: .5 is the median.
        design_effect: How many times the variance is that of independent calls.
        arm: The quantile as an estimate with a variance and effective units, for
            `estimate.difference`, `ratio_interval` and `relative_difference`.
    """

    p: float
    design_effect: float
    arm: RatioEstimate


def ranks(n: int, p: float) -> Ranks | NotEstimable:
    """
    Tell which order statistics of n values give a quantile and its spread.

    Args:
        p: Between 0 and 1.

    Returns:
        The ranks; or why there are none: too few values for one to lie beyond
        the quantile's interval, fewer than z^2 p / (1 - p), 73 for p95 and 381
        for p99.

    Raises:
        ValueError: p is not between 0 and 1.
    """
    if not 0 < p < 1:
        raise ValueError(f"p must lie between 0 and 1, not {p!r}")
    half = Z_95 * math.sqrt(n * p * (1 - p))
    lower, upper = math.floor(n * p - half) + 1, math.ceil(n * p + half)
    if n < 1 or lower < 1 or upper > n:
        tail = max(p, 1 - p)
        least = math.ceil(Z_95**2 * tail / (1 - tail))
        return NotEstimable(f"{n:,} calls are too few for p{100 * p:g}: it takes {least:,}")
    # 100 * .55 is 55.00000000000001, and yet means rank 55.
    return Ranks(lower, math.ceil(n * p * (1 - _ROUNDING)), upper)


def quantile(values: Iterable[UnitValue], p: float) -> QuantileEstimate | NotEstimable:
    """
    Estimate one arm's quantile with its variance between units.

    Args:
        values: The arm's calls, in any order.
        p: Between 0 and 1.

    Returns:
        The quantile; or why there is none.
    """
    units: defaultdict[str, list[float]] = defaultdict(list)
    for each in values:
        units[each.unit].append(each.value)
    return quantile_of_units([calls_of("", unit, listed) for unit, listed in units.items()], p)


def calls_of(variant: str, unit: str, values: Sequence[float]) -> UnitCalls:
    """
    Return a unit with the values of its calls.
    """
    return UnitCalls(variant, unit, len(values), len(values), values)


def quantile_of_units(units: Sequence[UnitCalls], p: float) -> QuantileEstimate | NotEstimable:
    """
    Estimate one arm's quantile with its variance between units.

    Args:
        units: The arm's units, each once.
        p: Between 0 and 1.

    Returns:
        The quantile; or why there is none.
    """
    in_order = [value for unit in units for value in unit.values]
    chosen = ranks(len(in_order), p)
    if isinstance(chosen, NotEstimable):
        return chosen
    if not all(map(math.isfinite, in_order)):
        return NotEstimable("a value is not a finite number")
    in_order.sort()
    lower, middle, upper = (in_order[rank - 1] for rank in chosen)
    below = [
        UnitSums(unit.variant, unit.unit, sum(value <= middle for value in unit.values), unit.count)
        for unit in units
    ]
    return quantile_from(middle, upper - lower, below, p)


def quantile_from(
    value: float, width: float, below: Sequence[UnitSums], p: float
) -> QuantileEstimate | NotEstimable:
    """
    Estimate a quantile from three order statistics and sums per unit.

    Args:
        value: The order statistic at `Ranks.middle`.
        width: That at `Ranks.upper` less that at `Ranks.lower`.
        below: Per unit how many of its calls have at most that value (`total`), and
            how many it has (`count`).
        p: Between 0 and 1.

    Returns:
        The quantile; or why there is none: fewer than two units, or the same value
        over the whole interval, so that its spread is unknown.
    """
    share = ratio(below)
    if isinstance(share, NotEstimable):
        return share
    if width <= 0:
        return NotEstimable(f"the calls around p{100 * p:g} all have the value {value:g}")
    independent = p * (1 - p) / share.count
    design_effect = share.variance / independent
    if design_effect == 0:
        return NotEstimable(f"every unit has the same share of calls below p{100 * p:g}")
    variance = (width / (2 * Z_95)) ** 2 * design_effect
    arm = RatioEstimate(share.n_units, share.k_eff, share.count, value, variance)
    return QuantileEstimate(p, design_effect, arm)


def quantile_difference(
    control: Iterable[UnitValue],
    treatment: Iterable[UnitValue],
    p: float,
    *,
    alpha: float = 0.05,
) -> Difference | NotEstimable:
    """
    Compare a quantile of two independent arms, for one look.

    Args:
        control: Calls of arm A.
        treatment: Calls of arm B.
        p: Between 0 and 1.
        alpha: One less the confidence level.

    Returns:
        Treatment less control; or why there is no difference.
    """
    before, after = quantile(control, p), quantile(treatment, p)
    if isinstance(before, NotEstimable):
        return NotEstimable(f"control: {before.reason}")
    if isinstance(after, NotEstimable):
        return NotEstimable(f"treatment: {after.reason}")
    return difference(before.arm, after.arm, alpha=alpha)
