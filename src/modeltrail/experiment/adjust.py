"""
Differences corrected for what was known of the units before: see `modeltrail.stats.covariates`.

`before` is CUPED with the same metric in the time before the experiment. Units that were not
there then get the mean of those that were (single imputation: whatever is imputed by a rule
that does not look at the outcome is a fact from before as well, so the difference stays
right and only gains less; Zhao and Ding, "To Adjust or not to Adjust? Estimating the Average
Treatment Effect in Randomized Experiments with Missing Covariates", J. Am. Stat. Assoc.
119 (2024) 450).

`feature` is post-stratification by the feature of each unit's FIRST call, which no variant
can have changed yet.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from modeltrail.experiment.checks import Check, Exposed
from modeltrail.experiment.contrasts import Contrast, Side
from modeltrail.stats.covariates import (
    CovariateSums,
    StratumSums,
    adjusted_difference,
    stratified_difference,
)
from modeltrail.stats.estimate import Difference, NotEstimable, UnitSums
from modeltrail.stats.sequential import always_valid, always_valid_p

By = Literal["before", "feature"]
_NO_RELATIVE = NotEstimable("an adjusted difference is not told relative to control")
_NO_FEATURE = "none"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """
    What the differences are corrected for.

    Attributes:
        by: Which method.
        before: Metric -> unit -> its value before the experiment; metrics left out are
            not adjusted. Empty for `feature`.
        feature: Of each unit's first call. Empty for `before`.
    """

    by: By
    before: Mapping[str, Mapping[str, float]]
    feature: Mapping[str, str]

    def covers(self, metric: str, p: float | None) -> bool:
        """
        Tell whether a metric is adjusted. Quantiles never are.
        """
        return p is None and (self.by == "feature" or metric in self.before)


@dataclass(frozen=True, slots=True)
class Adjusted:
    """
    One variant against control, corrected.

    Attributes:
        contrast: The difference and both intervals; it decides.
        variance_ratio: Its variance over that without correction.
        known: Of the units of both arms, how many have a value from before; for strata
            how many are in one that has both arms.
    """

    contrast: Contrast
    variance_ratio: float
    known: int


def adjusted(
    metric: str,
    plain: Contrast | NotEstimable,
    control: Side,
    treatment: Side,
    adjustment: Adjustment,
    alpha: float,
) -> Adjusted | NotEstimable:
    """
    Correct the difference of one variant from control.

    Returns:
        The corrected difference; or why there is none.
    """
    if isinstance(plain, NotEstimable):
        return plain
    sides = control.rows, treatment.rows
    if adjustment.by == "before":
        return _by_before(plain, sides, adjustment.before[metric], alpha)
    return _by_feature(plain, sides, adjustment.feature, alpha)


def _by_before(
    plain: Contrast, sides: Sequence[Sequence[UnitSums]], before: Mapping[str, float], alpha: float
) -> Adjusted | NotEstimable:
    known = [before[row.unit] for rows in sides for row in rows if row.unit in before]
    if not known:
        return NotEstimable("no unit has a value from before the experiment")
    mean = math.fsum(known) / len(known)
    control, treatment = (
        [CovariateSums(row, before.get(row.unit, mean) * row.count) for row in rows]
        for rows in sides
    )
    found = adjusted_difference(control, treatment, alpha=alpha)
    if isinstance(found, NotEstimable):
        return found
    return _adjusted(plain, found.corrected, len(known), alpha)


def _by_feature(
    plain: Contrast, sides: Sequence[Sequence[UnitSums]], feature: Mapping[str, str], alpha: float
) -> Adjusted | NotEstimable:
    control, treatment = (
        [StratumSums(row, feature.get(row.unit, _NO_FEATURE)) for row in rows] for rows in sides
    )
    found = stratified_difference(control, treatment, alpha=alpha)
    if isinstance(found, NotEstimable):
        return found
    everyone = sum(map(len, sides))
    return _adjusted(plain, found.corrected, round(everyone * (1 - found.left_out)), alpha)


def _adjusted(plain: Contrast, found: Difference, known: int, alpha: float) -> Adjusted:
    at = (found.difference, found.standard_error, plain.n_units, plain.plan_units, alpha)
    early = plain.always_valid if isinstance(plain.always_valid, NotEstimable) else None
    contrast = replace(
        plain,
        difference=found.difference,
        standard_error=found.standard_error,
        always_valid=early or always_valid(*at),
        always_valid_p=early or always_valid_p(*at),
        fixed=found.interval,
        fixed_p=found.p,
        fixed_method="t",
        dof=found.dof,
        relative=_NO_RELATIVE,
        relative_interval=_NO_RELATIVE,
        design_effect=None,
    )
    return Adjusted(contrast, (found.standard_error / plain.standard_error) ** 2, known)


def check_adjusted(adjustment: Adjustment, exposed: Sequence[Exposed]) -> Check:
    """
    Tell what the differences are corrected for, and that these decide.
    """
    units = {each.unit for each in exposed}
    if adjustment.by == "feature":
        said = "by the feature of each unit's first call"
    else:
        known = {unit for values in adjustment.before.values() for unit in values} & units
        said = (
            f"by what {len(known):,} of {len(units):,} units did before the experiment; the others "
            "count as their mean"
        )
    return Check("adjusted", "ok", f"{said}; adjusted differences decide where there are any")
