"""
One variant against control: both intervals, from sums per unit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

from modeltrail.stats.estimate import (
    Difference,
    Interval,
    NotEstimable,
    RatioEstimate,
    RelativeDifference,
    UnitSums,
    difference,
    ratio,
    ratio_interval,
    relative_difference,
)
from modeltrail.stats.quantiles import UnitCalls, quantile_of_units
from modeltrail.stats.sequential import LEAST_UNITS, always_valid, always_valid_p
from modeltrail.stats.shares import share_difference

FixedMethod = Literal["t", "newcombe"]


@dataclass(frozen=True, slots=True)
class ArmEstimate:
    """
    One variant's estimate of one metric.

    Attributes:
        n_units: Units with a value.
        k_eff: Effective number of units, (sum N)^2 / sum N_u^2.
        n_calls: Sum of the units' counts: calls, or the metric's own denominator.
        estimate: Ratio of sums, in the metric's unit of measure.
        interval: Fixed-horizon t interval on k_eff - 1 degrees of freedom.
    """

    n_units: int
    k_eff: float
    n_calls: float
    estimate: float
    interval: Interval | NotEstimable


@dataclass(frozen=True, slots=True)
class Contrast:
    """
    One variant against control, for one metric.

    Attributes:
        difference: Variant less control, in the metric's unit of measure.
        standard_error: Of the difference, in the same unit.
        n_units: Units in both arms.
        plan_units: For how many of them the always-valid interval is narrowest.
        always_valid: Interval of the difference that holds at every look.
        always_valid_p: Its p value of no difference.
        fixed: Interval of the difference for one look.
        fixed_p: Its two-sided p value.
        fixed_method: How it was made: Welch's `t`, or `newcombe` for shares of single calls.
        dof: Welch-Satterthwaite degrees of freedom of the difference.
        relative: Variant / control - 1.
        relative_interval: Interval of `relative` for one look, by log ratio.
        design_effect: For shares and quantiles: its variance over that of independent calls.
    """

    difference: float
    standard_error: float
    n_units: int
    plan_units: int
    always_valid: Interval | NotEstimable
    always_valid_p: float | NotEstimable
    fixed: Interval
    fixed_p: float
    fixed_method: FixedMethod
    dof: float
    relative: float | NotEstimable
    relative_interval: Interval | NotEstimable
    design_effect: float | None


@dataclass(frozen=True, slots=True)
class Side:
    """
    One arm's rows of one metric and what they amount to.

    Attributes:
        design_effect: For quantiles: their variance over that of independent calls.
        strata: In how many strata it was estimated.
    """

    name: str
    rows: Sequence[UnitSums]
    found: RatioEstimate | NotEstimable
    design_effect: float | None = None
    strata: int = 1


def side(name: str, rows: Sequence[UnitSums], p: float | None = None) -> Side:
    """
    Estimate one arm.

    Args:
        p: Which quantile of the calls, whose values are then in the rows; by default the
            ratio of sums.
    """
    if p is None:
        return Side(name, rows, ratio(rows))
    found = quantile_of_units([row for row in rows if isinstance(row, UnitCalls)], p)
    if isinstance(found, NotEstimable):
        return Side(name, rows, found)
    return Side(name, rows, found.arm, found.design_effect)


def arm_estimate(arm: Side, *, alpha: float) -> ArmEstimate | NotEstimable:
    """
    Give one arm's estimate with an interval for one look.
    """
    found = arm.found
    if isinstance(found, NotEstimable):
        return found
    interval = ratio_interval(found, alpha=alpha)
    return ArmEstimate(found.n_units, found.k_eff, found.count, found.estimate, interval)


def contrast(
    control: Side, treatment: Side, *, is_share: bool, plan_units: int, alpha: float
) -> Contrast | NotEstimable:
    """
    Compare a variant with control.

    Args:
        control: Arm A.
        treatment: Arm B.
        is_share: Whether each call has 0 or 1.
        plan_units: Planned number of units of both arms together.
        alpha: One less the confidence level.

    Returns:
        The difference with both intervals; or why there is none.
    """
    if isinstance(control.found, NotEstimable):
        return NotEstimable(f"control {control.name!r}: {control.found.reason}")
    if isinstance(treatment.found, NotEstimable):
        return NotEstimable(f"variant {treatment.name!r}: {treatment.found.reason}")
    raw = control.found, treatment.found
    found = difference_of(*raw, is_share=is_share, alpha=alpha)
    if isinstance(found, NotEstimable):
        return found
    n_units = sum(each.n_units for each in raw)
    at = (found.difference, found.standard_error, n_units, plan_units, alpha)
    early = _too_early(control, treatment)
    fixed, p, method = at_one_look(control, treatment, found, is_share=is_share, alpha=alpha)
    relative, relative_interval = _relative(relative_difference(*raw, alpha=alpha))
    return Contrast(
        difference=found.difference,
        standard_error=found.standard_error,
        n_units=n_units,
        plan_units=plan_units,
        always_valid=early or always_valid(*at),
        always_valid_p=early or always_valid_p(*at),
        fixed=fixed,
        fixed_p=p,
        fixed_method=method,
        dof=found.dof,
        relative=relative,
        relative_interval=relative_interval,
        design_effect=_design_effect(*raw, found)
        if is_share and control.strata == 1
        else _of_quantiles(control, treatment, found),
    )


def missing_units(control: Side, treatment: Side) -> int:
    """
    Return how many units are missing before a first look may be taken.
    """
    return sum(max(LEAST_UNITS - len(each.rows), 0) for each in (control, treatment))


def _too_early(control: Side, treatment: Side) -> NotEstimable | None:
    if not missing_units(control, treatment):
        return None
    return NotEstimable(
        f"an always-valid look needs {LEAST_UNITS} units in each arm; there are "
        f"{len(control.rows)} in {control.name} and {len(treatment.rows)} in {treatment.name}"
    )


def with_spread(arm: RatioEstimate) -> RatioEstimate:
    """
    Give an arm of nothing but zeros, or ones, the spread that it may have.

    None of 40 units has failed: that does not mean that none ever will. Two failures
    and two successes are added (Agresti and Coull, The American Statistician 52 (1998)
    119), to the effective units; the estimate stays.
    """
    if arm.variance > 0 or arm.estimate not in {0.0, 1.0}:
        return arm
    n = arm.k_eff + 4
    share = (arm.k_eff * arm.estimate + 2) / n
    return replace(arm, variance=share * (1 - share) / n)


def difference_of(
    control: RatioEstimate, treatment: RatioEstimate, *, is_share: bool, alpha: float
) -> Difference | NotEstimable:
    """
    Return the difference of two arms, those of shares with the spread that they may have.
    """
    if is_share:
        control, treatment = with_spread(control), with_spread(treatment)
    return difference(control, treatment, alpha=alpha)


def at_one_look(
    control: Side, treatment: Side, found: Difference, *, is_share: bool, alpha: float
) -> tuple[Interval, float, FixedMethod]:
    """
    Return the interval of a difference for one look, its p value, and how they were made.
    """
    before, after = _single_calls(control), _single_calls(treatment)
    if not is_share or before is None or after is None:
        return found.interval, found.p, "t"
    shares = share_difference(before, after, -NormalDist().inv_cdf(alpha / 2))
    assert not isinstance(shares, NotEstimable)
    return shares.interval, shares.p, "newcombe"


def _single_calls(arm: Side) -> tuple[int, int] | None:
    """
    Return how many of how many units succeeded, if each has one call and strata have none.
    """
    rows = arm.rows
    if arm.strata == 1 and all(row.count == 1 and row.total in {0.0, 1.0} for row in rows):
        return round(sum(row.total for row in rows)), len(rows)
    return None


def _design_effect(a: RatioEstimate, b: RatioEstimate, found: Difference) -> float | None:
    independent = math.fsum(arm.estimate * (1 - arm.estimate) / arm.count for arm in (a, b))
    return found.standard_error**2 / independent if independent > 0 else None


def _of_quantiles(control: Side, treatment: Side, found: Difference) -> float | None:
    independent = [
        side.found.variance / side.design_effect
        for side in (control, treatment)
        if side.design_effect and isinstance(side.found, RatioEstimate)
    ]
    return found.standard_error**2 / math.fsum(independent) if len(independent) == 2 else None


def _relative(
    found: RelativeDifference | NotEstimable,
) -> tuple[float | NotEstimable, Interval | NotEstimable]:
    if isinstance(found, NotEstimable):
        return found, found
    return found.relative, found.interval
