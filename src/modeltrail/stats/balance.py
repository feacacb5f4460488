"""
Did the units arrive in the arms in the proportions that were planned?

A sample-ratio mismatch means that units were lost or misrouted on the way,
and that no difference between arms can be believed. Two tests of the same
question are made. Pearson's chi-squared is the familiar one, for one look.
The Dirichlet-multinomial e-value (Lindon and Malek, "Anytime-valid inference
for multinomial count data", NeurIPS 2022) may be looked at after every unit:
under the plan it ever reaches 100 with a probability of at most 1%.
Count units, never calls: calls of one user always go to the same arm.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from modeltrail.stats.estimate import NotEstimable
from modeltrail.stats.special import chi2_sf

# The prior Dirichlet(K w): how closely alternatives crowd around the plan.
_CONCENTRATION = 100.0
# An e-value of 100 is evidence at alpha = .01, at any number of looks.
ALARM_LOG_E_VALUE = math.log(100.0)
ALARM_P = 0.001
# Below five expected units in an arm the chi-squared tail is no longer p
# (Cochran, Biometrics 10 (1954) 417); the e-value holds at any size.
_LEAST_EXPECTED = 5


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """
    The check of planned against seen proportions.

    Attributes:
        n_units: Units in arms with a planned weight above 0.
        chi2: Pearson's statistic.
        dof: Arms with a weight above 0, less one.
        p: Upper tail of the chi-squared distribution.
        least_expected: The smallest number of units planned for an arm; below
            5 the p value is shown but raises no alarm.
        log_e_value: Natural logarithm of the e-value against the plan.
        unplanned: Arms that have units but no planned weight.
        alarm: Whether e >= 100, p < .001 or any unit is in an unplanned arm.
    """

    n_units: int
    chi2: float
    dof: int
    p: float
    least_expected: float
    log_e_value: float
    unplanned: tuple[str, ...]
    alarm: bool


def sample_ratio(
    counts: Mapping[str, int], weights: Mapping[str, float]
) -> SampleRatio | NotEstimable:
    """
    Check the number of units per arm against the planned weights.

    An arm of weight 0 takes no part in the tests, neither in the sum nor in
    the degrees of freedom, but a unit seen in one is an alarm by itself.

    Args:
        counts: Units seen per arm; an arm left out has none.
        weights: Planned share per arm; scaled to a sum of 1 here.

    Returns:
        Both tests and the alarm; or why there is none: no usable weights,
        fewer than two arms with a weight, or no units.
    """
    refusal = _refuse(counts, weights)
    if refusal:
        return NotEstimable(refusal)
    scale = math.fsum(weights.values())
    plan = {arm: weight / scale for arm, weight in weights.items() if weight > 0}
    seen = {arm: counts.get(arm, 0) for arm in plan}
    unplanned = tuple(arm for arm, count in counts.items() if count and arm not in plan)
    return _judge(seen, plan, unplanned)


def _refuse(counts: Mapping[str, int], weights: Mapping[str, float]) -> str | None:
    if any(not math.isfinite(weight) or weight < 0 for weight in weights.values()):
        return "a planned weight is negative or not a finite number"
    if sum(weight > 0 for weight in weights.values()) < 2:
        return "fewer than two arms have a planned weight"
    if any(count < 0 for count in counts.values()):
        return "a number of units is below 0"
    if not any(counts.values()):
        return "no units yet"
    return None


def _judge(
    seen: Mapping[str, int], plan: Mapping[str, float], unplanned: tuple[str, ...]
) -> SampleRatio:
    chi2 = _chi2(seen, plan)
    p = chi2_sf(chi2, len(plan) - 1)
    log_e_value = _log_e_value(seen, plan)
    n = sum(seen.values())
    least_expected = n * min(plan.values())
    improbable = p < ALARM_P and least_expected >= _LEAST_EXPECTED
    return SampleRatio(
        n_units=n,
        chi2=chi2,
        dof=len(plan) - 1,
        p=p,
        least_expected=least_expected,
        log_e_value=log_e_value,
        unplanned=unplanned,
        alarm=bool(unplanned) or improbable or log_e_value >= ALARM_LOG_E_VALUE,
    )


def _chi2(seen: Mapping[str, int], plan: Mapping[str, float]) -> float:
    n = sum(seen.values())
    # All units may sit in unplanned arms: nothing to test here, yet an alarm.
    if n == 0:
        return 0.0
    return math.fsum((seen[arm] - n * share) ** 2 / (n * share) for arm, share in plan.items())


def _log_e_value(seen: Mapping[str, int], plan: Mapping[str, float]) -> float:
    """
    Give the log of the Dirichlet-multinomial likelihood over the planned one.

    sum lnG(K w + c) - lnG(K + n) - sum lnG(K w) + lnG(K) - sum c ln w.
    """
    n = sum(seen.values())
    arms = (
        math.lgamma(_CONCENTRATION * share + seen[arm])
        - math.lgamma(_CONCENTRATION * share)
        - seen[arm] * math.log(share)
        for arm, share in plan.items()
    )
    return math.fsum(arms) - math.lgamma(_CONCENTRATION + n) + math.lgamma(_CONCENTRATION)


@dataclass(frozen=True, slots=True)
class Independence:
    """
    The check that arms have the same mix of something known before the assignment.

    Attributes:
        chi2: Pearson's statistic of the table of arms and kinds.
        dof: (arms - 1) (kinds - 1).
        p: Upper tail of the chi-squared distribution.
        sparse: Whether too many cells expect too few units for p to hold
            (Cochran, Biometrics 10 (1954) 417): one below 1, or a fifth below 5.
        alarm: Whether p < .001 and the table is not sparse.
    """

    chi2: float
    dof: int
    p: float
    sparse: bool
    alarm: bool


def independence(table: Mapping[str, Mapping[str, int]]) -> Independence | NotEstimable:
    """
    Check whether arms and kinds of units are independent.

    Args:
        table: Units per arm and kind; a kind left out has none. Each unit in one
            cell: counting the calls of a unit makes any random split look broken.

    Returns:
        The test; or why there is none: fewer than two arms or kinds with units.
    """
    arms = {arm: sum(kinds.values()) for arm, kinds in table.items() if sum(kinds.values())}
    totals: dict[str, int] = {}
    for kinds in table.values():
        for kind, count in kinds.items():
            totals[kind] = totals.get(kind, 0) + count
    totals = {kind: count for kind, count in totals.items() if count}
    if len(arms) < 2:
        return NotEstimable("fewer than two arms have units")
    if len(totals) < 2:
        return NotEstimable("all units are of one kind")
    n = sum(arms.values())
    cells = [
        (table[arm].get(kind, 0), size * total / n)
        for arm, size in arms.items()
        for kind, total in totals.items()
    ]
    chi2 = math.fsum((seen - expected) ** 2 / expected for seen, expected in cells)
    dof = (len(arms) - 1) * (len(totals) - 1)
    p = chi2_sf(chi2, dof)
    few = sum(expected < _LEAST_EXPECTED for _, expected in cells)
    sparse = few > len(cells) / 5 or min(expected for _, expected in cells) < 1
    return Independence(chi2, dof, p, sparse, alarm=p < ALARM_P and not sparse)
