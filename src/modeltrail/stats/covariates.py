"""
Differences made more precise by what was known before the assignment.

Units differ in ways that have nothing to do with the variant: long prompts have
long answers in both arms. What can be told from before a unit was assigned, its
covariate or its stratum, cannot be an effect of the variant; so chance differences
between the arms in it may be taken out of the difference in the metric.

`adjusted_difference` is CUPED (Deng, Xu, Kohavi and Walker, "Improving the
Sensitivity of Online Controlled Experiments by Utilizing Pre-Experiment Data", WSDM
2013): with a covariate of sums X_u beside the metric's S_u over the same N_u, it
compares the ratios of S_u - theta X_u. Theta makes the jackknife variance of the
difference smallest, Cov(difference of S, difference of X) / Var(difference of X); for
arms of equal size and one call per unit that is the slope of the analysis of
covariance, for others a slope weighted by how much each arm adds to the variance.

`stratified_difference` is post-stratification (Miratrix, Sekhon and Yu, J. R. Stat.
Soc. B 75 (2013) 369): the difference within each stratum, weighted with the
stratum's share of both arms' counts. These shares are those of the log, taken as
fixed: the answer is for calls mixed as they were.

Both keep the unit as what varies: a stratum is no substitute for clusters.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from modeltrail.stats.estimate import (
    Difference,
    NotEstimable,
    RatioEstimate,
    UnitSums,
    difference,
    ratio,
)

# A covariate that differs between the arms like this is no fact from before.
ALARM_P = 0.001


@dataclass(frozen=True, slots=True)
class CovariateSums:
    """
    What one randomised unit adds to one arm, and what was known of it before.

    Attributes:
        sums: The metric's total and count.
        covariate: The covariate's total over the same calls; if it is one
            number per unit, that number times the count.
    """

    sums: UnitSums
    covariate: float


@dataclass(frozen=True, slots=True)
class StratumSums:
    """
    What one randomised unit adds to one arm in one stratum.

    Attributes:
        sums: The metric's total and count there.
        stratum: Known before the assignment, or of a call before it was made.
    """

    sums: UnitSums
    stratum: str


@dataclass(frozen=True, slots=True)
class AdjustedDifference:
    """
    Treatment less control, corrected for a covariate.

    Attributes:
        corrected: The difference.
        theta: What one unit of the covariate is worth, in the metric's unit.
        covariate_p: Two-sided p of the covariate's own difference between the arms.
        variance_ratio: Variance of the corrected difference over that without.
    """

    corrected: Difference
    theta: float
    covariate_p: float
    variance_ratio: float


@dataclass(frozen=True, slots=True)
class StratifiedDifference:
    """
    Treatment less control within strata.

    Attributes:
        corrected: The difference.
        n_strata: Strata that count.
        left_out: Of the counts, the share in strata with fewer than two units of an
            arm, which are in no figure.
    """

    corrected: Difference
    n_strata: int
    left_out: float


def adjusted_difference(
    control: Sequence[CovariateSums], treatment: Sequence[CovariateSums], *, alpha: float = 0.05
) -> AdjustedDifference | NotEstimable:
    """
    Compare two independent arms, corrected for a covariate, for one look.

    That theta is estimated is in the standard error as in the analysis of covariance:
    with t_x the covariate's own difference in standard errors and nu its degrees of
    freedom the variance is multiplied by (1 + t_x^2 / nu) nu / (nu - 1).

    Args:
        control: Units of arm A, each once.
        treatment: Units of arm B.
        alpha: One less the confidence level.

    Returns:
        The difference; or why there is none: an arm that cannot be estimated, a
        covariate that does not vary, or one that the variant has changed.
    """
    sides = control, treatment
    before = _compared([[_covariate_row(unit) for unit in side] for side in sides], alpha)
    plain = _compared([[unit.sums for unit in side] for side in sides], alpha)
    if isinstance(before, NotEstimable):
        return NotEstimable(f"covariate: {before.reason}")
    if isinstance(plain, NotEstimable):
        return plain
    refusal = _refuse_covariate(before.difference)
    if refusal:
        return NotEstimable(refusal)
    theta = _theta(sides, plain, before)
    rows = [[_residual_row(unit, theta) for unit in side] for side in sides]
    corrected = _compared(rows, alpha, widened=_uncertain_slope(before.difference))
    if isinstance(corrected, NotEstimable):
        return corrected
    reduced = (corrected.difference.standard_error / plain.difference.standard_error) ** 2
    return AdjustedDifference(corrected.difference, theta, before.difference.p, reduced)


class _Compared(NamedTuple):
    """
    Two arms, and their difference.
    """

    control: RatioEstimate
    treatment: RatioEstimate
    difference: Difference


def _compared(
    sides: Sequence[Sequence[UnitSums]], alpha: float, *, widened: float = 1.0
) -> _Compared | NotEstimable:
    """
    Compare two arms, their variances multiplied by a factor.
    """
    arms = []
    for side in sides:
        arm = ratio(side)
        if isinstance(arm, NotEstimable):
            return arm
        arms.append(replace(arm, variance=arm.variance * widened))
    control, treatment = arms
    found = difference(control, treatment, alpha=alpha)
    return found if isinstance(found, NotEstimable) else _Compared(control, treatment, found)


def _refuse_covariate(own: Difference) -> str | None:
    if own.p < ALARM_P:
        return (
            f"the covariate itself differs between the arms (p = {own.p:.2g}): it is not from "
            "before the assignment, or the units were not assigned by chance"
        )
    if own.dof <= 2:
        return "too few effective units to tell what the covariate is worth"
    return None


def _covariate_row(unit: CovariateSums) -> UnitSums:
    return replace(unit.sums, total=unit.covariate)


def _residual_row(unit: CovariateSums, theta: float) -> UnitSums:
    return replace(unit.sums, total=unit.sums.total - theta * unit.covariate)


def _theta(sides: Sequence[Sequence[CovariateSums]], plain: _Compared, before: _Compared) -> float:
    """
    Give Cov / Var of the jackknife's shifts in both arms.
    """
    covariances, variances = [], []
    for side, metric, covariate in zip(sides, plain[:2], before[:2], strict=True):
        scale = (len(side) - 1) / len(side)
        for unit in side:
            rest = metric.count - unit.sums.count
            moved = (unit.sums.total - metric.estimate * unit.sums.count) / rest
            by = (unit.covariate - covariate.estimate * unit.sums.count) / rest
            covariances.append(scale * moved * by)
            variances.append(scale * by * by)
    return math.fsum(covariances) / math.fsum(variances)


def _uncertain_slope(own: Difference) -> float:
    t = own.difference / own.standard_error
    return (1 + t * t / own.dof) * own.dof / (own.dof - 1)


def stratified_difference(
    control: Sequence[StratumSums], treatment: Sequence[StratumSums], *, alpha: float = 0.05
) -> StratifiedDifference | NotEstimable:
    """
    Compare two independent arms within strata, for one look.

    With W_s the share of stratum s, k_gs an arm's units there and r_gs its ratio, the
    variance is that of the stratified jackknife, V_g =
    sum_u (sum_s W_s sqrt((k_gs - 1) / k_gs) (S_us - r_gs N_us) / (N_gs - N_us))^2: with one
    stratum that of `estimate.ratio`. Degrees of freedom are those of the effective
    units less the number of strata.

    Args:
        control: Arm A, one row per unit and stratum.
        treatment: Arm B.
        alpha: One less the confidence level.

    Returns:
        The difference; or why there is none: no stratum has two units of each arm, or
        too few units for so many strata.
    """
    refusal = _refuse_strata(control) or _refuse_strata(treatment)
    if refusal:
        return NotEstimable(refusal)
    cells = [_cells(control), _cells(treatment)]
    kept = sorted(name for name in cells[0] if all(len(cell.get(name, ())) > 1 for cell in cells))
    if not kept:
        return NotEstimable("no stratum has two units of each arm")
    counts = {name: sum(_count(cell[name]) for cell in cells) for name in kept}
    total = math.fsum(counts.values())
    weights = {name: count / total for name, count in counts.items()}
    arms = [_stratified_arm(cell, weights) for cell in cells]
    least = min(arm.k_eff for arm in arms)
    if least <= 2:
        return NotEstimable(f"{len(kept)} strata leave too few units to tell their spread")
    found = difference(*arms, alpha=alpha)
    if isinstance(found, NotEstimable):
        return found
    everything = math.fsum(_count(rows) for cell in cells for rows in cell.values())
    return StratifiedDifference(found, len(kept), 1 - total / everything)


def _refuse_strata(rows: Sequence[StratumSums]) -> str | None:
    if len({(row.stratum, row.sums.unit) for row in rows}) < len(rows):
        return "a unit is listed more than once in a stratum: sum its calls first"
    if not all(math.isfinite(row.sums.total) and math.isfinite(row.sums.count) for row in rows):
        return "a total or a count is not a finite number"
    return "a count is below 0" if any(row.sums.count < 0 for row in rows) else None


def _cells(rows: Iterable[StratumSums]) -> dict[str, list[UnitSums]]:
    cells: defaultdict[str, list[UnitSums]] = defaultdict(list)
    for row in rows:
        if row.sums.count > 0:
            cells[row.stratum].append(row.sums)
    return dict(cells)


def _count(rows: Sequence[UnitSums]) -> float:
    return math.fsum(row.count for row in rows)


def _stratified_arm(
    cells: Mapping[str, Sequence[UnitSums]], weights: Mapping[str, float]
) -> RatioEstimate:
    """
    Give an arm's weighted ratio; `k_eff` is what leaves the degrees of freedom.
    """
    estimates, counts = [], []
    moved: defaultdict[str, float] = defaultdict(float)
    sizes: defaultdict[str, float] = defaultdict(float)
    for name, weight in weights.items():
        rows = cells[name]
        count = _count(rows)
        here = math.fsum(row.total for row in rows) / count
        estimates.append(weight * here)
        counts.append(count)
        for row in rows:
            sizes[row.unit] += row.count
            shift = (row.total - here * row.count) / (count - row.count)
            moved[row.unit] += weight * math.sqrt((len(rows) - 1) / len(rows)) * shift
    total = math.fsum(counts)
    k_eff = 1 / math.fsum((size / total) ** 2 for size in sizes.values())
    return RatioEstimate(
        n_units=len(sizes),
        k_eff=k_eff - len(weights) + 1,
        count=total,
        estimate=math.fsum(estimates),
        variance=math.fsum(shift**2 for shift in moved.values()),
    )
