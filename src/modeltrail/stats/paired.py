"""
Differences of two arms that share their units: the same questions, the same users.

Two ratios of the same units move together, and so the variance of their
difference is not the sum of their variances. Leaving unit u out shifts arm g by
s_gu = (S_u - r_g N_u) / (sum N - N_u), and by 0 if u is not in the arm. The
delete-one-unit jackknife (Miller, Biometrika 61 (1974) 1) of the difference is

    V = sum over all u of (sqrt((k_B-1)/k_B) s_Bu - sqrt((k_A-1)/k_A) s_Au)^2

For one row per question in both arms it is the paired t test, as Miller
("Adding Error Bars to Evals", arXiv 2411.00640) asks it for evaluations; for arms
without a common unit it is V_A + V_B.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from modeltrail.stats.estimate import (
    Difference,
    NotEstimable,
    RatioEstimate,
    UnitSums,
    ratio,
    ratio_interval,
)
from modeltrail.stats.special import t_sf

# A spread below this share of the estimates is rounding of the sums, not data.
_ROUNDING = 1e-12


def paired_difference(
    control: Sequence[UnitSums], treatment: Sequence[UnitSums], *, alpha: float = 0.05
) -> Difference | NotEstimable:
    """
    Compare two arms whose units may be the same: r_B - r_A, for one look.

    Args:
        control: Sums of arm A, each unit once.
        treatment: Sums of arm B. A unit of both arms has the same `unit` in both.
        alpha: One less the confidence level.

    Returns:
        The difference, on the degrees of freedom of the arm with the fewer
        effective units, less 1; or why there is none: an arm cannot be
        estimated, or the difference is the same in every unit.
    """
    arms = ratio(control), ratio(treatment)
    for arm in arms:
        if isinstance(arm, NotEstimable):
            return arm
    a, b = (arm for arm in arms if isinstance(arm, RatioEstimate))
    variance = _variance(_shifts(control, a), _shifts(treatment, b))
    if math.sqrt(variance) <= _ROUNDING * max(abs(a.estimate), abs(b.estimate)):
        return NotEstimable("the difference is the same in every unit: its spread is unknown")
    gap = replace(
        min(a, b, key=lambda arm: arm.k_eff), estimate=b.estimate - a.estimate, variance=variance
    )
    interval = ratio_interval(gap, alpha=alpha)
    if isinstance(interval, NotEstimable):
        return interval
    dof = gap.k_eff - 1
    p = 2 * t_sf(abs(gap.estimate) / gap.standard_error, dof)
    return Difference(gap.estimate, gap.standard_error, dof, interval, p)


def _shifts(units: Sequence[UnitSums], arm: RatioEstimate) -> dict[str, float]:
    scale = math.sqrt((arm.n_units - 1) / arm.n_units)
    return {
        row.unit: scale * (row.total - arm.estimate * row.count) / (arm.count - row.count)
        for row in units
    }


def _variance(control: dict[str, float], treatment: dict[str, float]) -> float:
    units = control | treatment
    return math.fsum((treatment.get(unit, 0.0) - control.get(unit, 0.0)) ** 2 for unit in units)
