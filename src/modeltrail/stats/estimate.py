"""
Ratios, their differences and intervals from sums per randomised unit.

What is randomised is a unit u (a user, a session, a call), not a call. With
S_u the sum of a metric over the unit's calls and N_u their number, an arm's
estimate is the ratio of sums r = sum S / sum N. Its variance is the exact
delete-one-unit jackknife (Miller, Biometrika 61 (1974) 1; the cluster
estimator CR3 of Bell and McCaffrey, Survey Methodology 28 (2002) 169); the
degrees of freedom of a difference are Welch-Satterthwaite on k_eff - 1, where
k_eff = (sum N)^2 / sum N_u^2 is how many equally busy units would say as much.
Simulated A/A tests with few or unequal users keep 5% this way, and reach 6
to 18% with the plain delta method.

Every interval here is for ONE look, at a sample size fixed beforehand.
Looking again and again until it excludes 0 is wrong far more often than
alpha; the always-valid intervals are in `sequential`.

What the data cannot carry comes back as a `NotEstimable`, never as a number.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from modeltrail.stats.special import LEAST_DOF, t_quantile, t_sf

# A spread below this share of the estimate is rounding of the sums, not data.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class NotEstimable:
    """
    The data cannot carry this answer.

    Attributes:
        reason: Why not, in words for the reader of a report.
    """

    reason: str


class Interval(NamedTuple):
    """
    A confidence interval, in the unit of its estimate.
    """

    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class UnitSums:
    """
    What one randomised unit adds to one arm: one row per arm and unit.

    Attributes:
        variant: The arm that the unit was assigned to.
        unit: The unit's reference; only compared for equality.
        total: S_u, the sum of the metric over the unit's calls, in the
            metric's unit of measure.
        count: N_u, the number of calls or another denominator; 0 or more.
    """

    variant: str
    unit: str
    total: float
    count: float


@dataclass(frozen=True, slots=True)
class RatioEstimate:
    """
    One arm's ratio of sums.

    Attributes:
        n_units: Number of units.
        k_eff: Effective number of units, (sum N)^2 / sum N_u^2.
        count: Sum of the denominators N_u.
        estimate: sum S / sum N, in the metric's unit of measure.
        variance: Jackknife variance of the estimate; exactly 0 when every unit
            has the same ratio up to rounding.
    """

    n_units: int
    k_eff: float
    count: float
    estimate: float
    variance: float

    @property
    def standard_error(self) -> float:
        """
        Square root of the variance.
        """
        return math.sqrt(self.variance)


@dataclass(frozen=True, slots=True)
class Difference:
    """
    Treatment less control, r_B - r_A.

    Attributes:
        difference: The estimate, in the metric's unit of measure.
        standard_error: sqrt(V_A + V_B).
        dof: Welch-Satterthwaite degrees of freedom.
        interval: Fixed-horizon t interval at 1 - alpha.
        p: Two-sided, from the survival function.
    """

    difference: float
    standard_error: float
    dof: float
    interval: Interval
    p: float


@dataclass(frozen=True, slots=True)
class RelativeDifference:
    """
    Treatment relative to control, r_B / r_A - 1 (-.18 reads "18% less").

    Attributes:
        relative: The estimate, a share of control.
        dof: Welch-Satterthwaite degrees of freedom of the log ratio.
        interval: Fixed-horizon interval at 1 - alpha, exponentiated from the
            log ratio; not symmetric.
    """

    relative: float
    dof: float
    interval: Interval


def ratio(units: Sequence[UnitSums]) -> RatioEstimate | NotEstimable:
    """
    Estimate one arm's ratio of sums with its jackknife variance.

    V = (k-1)/k sum_u (e_u / (sum N - N_u))^2 with e_u = S_u - r N_u: what
    leaving each unit out once would move r, without k refits.

    Args:
        units: The arm's units, each once.

    Returns:
        The estimate; or why there is none: fewer than two units, a unit listed
        twice, values that are no numbers, no count at all, or all of it in one unit.
    """
    refusal = _refuse_rows(units) or _refuse_counts(units)
    if refusal:
        return NotEstimable(refusal)
    total = math.fsum(row.count for row in units)
    estimate = math.fsum(row.total for row in units) / total
    return RatioEstimate(
        n_units=len(units),
        k_eff=_effective_units(units, total),
        count=total,
        estimate=estimate,
        variance=_jackknife_variance(units, total, estimate),
    )


def ratio_interval(arm: RatioEstimate, *, alpha: float = 0.05) -> Interval | NotEstimable:
    """
    Give one arm's t interval on k_eff - 1 degrees of freedom, for one look.

    Args:
        arm: The arm's estimate.
        alpha: One less the confidence level.

    Returns:
        The interval; or why there is none: no variation between units.
    """
    if arm.variance == 0:
        return NotEstimable("every unit has the same value: the spread between units is unknown")
    return _t_interval(arm.estimate, arm.standard_error, arm.k_eff - 1, alpha)


def difference(
    control: RatioEstimate, treatment: RatioEstimate, *, alpha: float = 0.05
) -> Difference | NotEstimable:
    """
    Compare two independent arms: r_B - r_A, Welch's t test, for one look.

    Args:
        control: Arm A.
        treatment: Arm B.
        alpha: One less the confidence level.

    Returns:
        The difference; or why there is none: no variation in either arm.
    """
    variance = control.variance + treatment.variance
    if variance == 0:
        return NotEstimable("no variation between the units of either arm")
    estimate = treatment.estimate - control.estimate
    standard_error = math.sqrt(variance)
    dof = _welch_dof(control, control.variance, treatment, treatment.variance)
    interval = _t_interval(estimate, standard_error, dof, alpha)
    if isinstance(interval, NotEstimable):
        return interval
    p = 2 * t_sf(abs(estimate) / standard_error, dof)
    return Difference(estimate, standard_error, dof, interval, p)


def relative_difference(
    control: RatioEstimate, treatment: RatioEstimate, *, alpha: float = 0.05
) -> RelativeDifference | NotEstimable:
    """
    Compare two independent arms as a ratio: r_B / r_A - 1, for one look.

    The interval is made on ln(r_B / r_A) with V = V_A / r_A^2 + V_B / r_B^2.

    Args:
        control: Arm A; its estimate must be clearly above 0.
        treatment: Arm B.
        alpha: One less the confidence level.

    Returns:
        The relative difference; or why there is none: an arm at or below 0, a
        control whose interval includes 0, or no variation in either arm.
    """
    refusal = _refuse_relative(control, treatment, alpha)
    if refusal:
        return NotEstimable(refusal)
    variances = [arm.variance / arm.estimate**2 for arm in (control, treatment)]
    dof = _welch_dof(control, variances[0], treatment, variances[1])
    log_ratio = math.log(treatment.estimate) - math.log(control.estimate)
    interval = _t_interval(log_ratio, math.sqrt(sum(variances)), dof, alpha)
    if isinstance(interval, NotEstimable):
        return interval
    try:
        lower, upper = (math.expm1(bound) for bound in interval)
    except OverflowError:
        return NotEstimable("the relative interval has no finite upper end")
    return RelativeDifference(math.expm1(log_ratio), dof, Interval(lower, upper))


def _refuse_rows(units: Sequence[UnitSums]) -> str | None:
    if len(units) < 2:
        return f"{len(units)} unit(s): two are the least"
    if len({row.unit for row in units}) < len(units):
        return "a unit is listed more than once: sum its calls first"
    if not all(math.isfinite(row.total) and math.isfinite(row.count) for row in units):
        return "a total or a count is not a finite number"
    if any(row.count < 0 for row in units):
        return "a count is below 0"
    return None


def _refuse_counts(units: Sequence[UnitSums]) -> str | None:
    total = math.fsum(row.count for row in units)
    if total <= 0:
        return "the counts add up to 0"
    if any(total - row.count <= 0 for row in units):
        return "one unit has all the counts: without it there is no ratio"
    if _effective_units(units, total) - 1 < LEAST_DOF:
        return "one unit has nearly all the counts: its arm has one effective unit"
    return None


def _refuse_relative(control: RatioEstimate, treatment: RatioEstimate, alpha: float) -> str | None:
    if control.estimate <= 0 or treatment.estimate <= 0:
        return "a ratio needs both arms above 0"
    if control.variance + treatment.variance == 0:
        return "no variation between the units of either arm"
    if control.variance == 0:
        return None
    interval = ratio_interval(control, alpha=alpha)
    if isinstance(interval, NotEstimable):
        return interval.reason
    return "the interval of control includes 0" if interval.lower <= 0 else None


def _effective_units(units: Sequence[UnitSums], total: float) -> float:
    # As shares, so that squares of large counts cannot overflow.
    return 1.0 / math.fsum((row.count / total) ** 2 for row in units)


def _jackknife_variance(units: Sequence[UnitSums], total: float, estimate: float) -> float:
    k = len(units)
    shifts = ((row.total - estimate * row.count) / (total - row.count) for row in units)
    variance = (k - 1) / k * math.fsum(shift**2 for shift in shifts)
    return 0.0 if math.sqrt(variance) <= _ROUNDING * abs(estimate) else variance


def _welch_dof(a: RatioEstimate, variance_a: float, b: RatioEstimate, variance_b: float) -> float:
    # V^2 / (V_A^2/(k_A-1) + V_B^2/(k_B-1)), in shares of V: squares of tiny variances vanish.
    share_a = variance_a / (variance_a + variance_b)
    share_b = variance_b / (variance_a + variance_b)
    return 1.0 / (share_a**2 / (a.k_eff - 1) + share_b**2 / (b.k_eff - 1))


def _t_interval(
    estimate: float, standard_error: float, dof: float, alpha: float
) -> Interval | NotEstimable:
    half_width = -t_quantile(alpha / 2, dof) * standard_error
    if not math.isfinite(half_width):
        return NotEstimable("one unit has nearly all the counts: the interval has no end")
    return Interval(estimate - half_width, estimate + half_width)
