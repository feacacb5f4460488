"""
How many units an experiment needs, and which effect a number of units can find.

With v the variance of one unit's part in an arm's estimate (n times the variance
of the estimate of n units), an experiment of n units, a share w of them in
treatment, has the standard error sqrt(v_A / (n (1 - w)) + v_B / (n w)). Its power
is the probability that the interval of the difference excludes 0:

- `one_look`: the t interval of `estimate.difference`. The statistic has a noncentral
  t distribution (J. Cohen, "Statistical Power Analysis", 1988, chapter 2) on
  Welch-Satterthwaite degrees of freedom of effective units.
- `always_valid`: the interval of `sequential` at its planned number of units, n. An
  experiment that may be looked at earlier finds its effect at least as often, and
  mostly earlier.

v comes from where the plan does. From a log it is the jackknife's, so that calls of
one unit that are alike, and units of unequal sizes, are in it. From a share p it
is p (1 - p) times the design effect, over the calls of a unit; there the
variance is not estimated, and the distribution normal.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, NamedTuple

from modeltrail.stats.estimate import NotEstimable, RatioEstimate
from modeltrail.stats.noncentral import LEAST_DOF, noncentral_t_sf
from modeltrail.stats.sequential import half_width
from modeltrail.stats.special import t_quantile

Rule = Literal["one_look", "always_valid"]

# More units than people: whoever asks for so small an effect is told so.
_MOST_UNITS = 1e12
_STEPS = 40


@dataclass(frozen=True, slots=True)
class Spread:
    """
    How much the units of an arm vary.

    Attributes:
        variance: n times the variance of the estimate of n units, in the square of
            the metric's unit of measure.
        effective: Effective units per unit, k_eff / n; infinite if the variance is
            known and not estimated.
    """

    variance: float
    effective: float = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """
    An experiment of two arms, but for its size.

    Attributes:
        control: Spread of arm A.
        treatment: Spread of arm B.
        treated: Share of the units of both arms that are in B, between 0 and 1.
        alpha: One less the confidence level.
        power: The probability with which an effect shall be found.
        rule: Which interval decides.
    """

    control: Spread
    treatment: Spread
    treated: float = 0.5
    alpha: float = 0.05
    power: float = 0.8
    rule: Rule = "one_look"

    def __post_init__(self) -> None:
        if not 0 < self.treated < 1:
            raise ValueError(f"the treated share must lie between 0 and 1, not {self.treated!r}")
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha must lie between 0 and 0.5, not {self.alpha!r}")
        if not self.alpha < self.power < 1:
            raise ValueError(f"the power must lie between alpha and 1, not {self.power!r}")


class Units(NamedTuple):
    """
    Numbers of units per arm, the least that are enough.
    """

    control: int
    treatment: int


def share_spread(
    share: float, *, calls_per_unit: float = 1.0, design_effect: float = 1.0
) -> Spread:
    """
    Give the spread of a share of calls.

    Args:
        share: From 0 to 1.
        calls_per_unit: Calls of a unit, on average.
        design_effect: How many times the variance is what it would be if the calls
            of a unit had nothing in common; 1 where a unit is a call.

    Raises:
        ValueError: A number is none of its kind.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"{share!r} is no share from 0 to 1")
    if not (calls_per_unit > 0 and design_effect > 0):
        raise ValueError("calls per unit and design effect must be above 0")
    return Spread(share * (1 - share) * design_effect / calls_per_unit, math.inf)


def arm_spread(arm: RatioEstimate) -> Spread | NotEstimable:
    """
    Give the spread of an arm that has been observed.

    Returns:
        The spread; or why there is none: no variation between the units.
    """
    if arm.variance == 0:
        return NotEstimable("every unit has the same value: the spread between units is unknown")
    return Spread(arm.n_units * arm.variance, arm.k_eff / arm.n_units)


def share_design_effect(arm: RatioEstimate) -> float | NotEstimable:
    """
    Tell how many times the variance of a share is that of independent calls.

    Args:
        arm: A share of calls: its total counts some of the calls that it counts.

    Returns:
        V / (p (1 - p) / calls); or why there is none: the share is 0 or 1.
    """
    if not 0 < arm.estimate < 1:
        return NotEstimable("a share of 0 or 1 has no spread")
    return arm.variance * arm.count / (arm.estimate * (1 - arm.estimate))


def power_of(plan: Plan, effect: float, units: float) -> float:
    """
    Give the probability that the interval of the difference excludes 0.

    Args:
        effect: The true difference, in the metric's unit of measure.
        units: Units of both arms together.

    Returns:
        The probability; 0 for so few units that there is no interval.
    """
    dof = _dof(plan, units)
    if dof < LEAST_DOF:
        return 0.0
    shift = abs(effect) / _standard_error(plan, units)
    reach = _reach(plan, dof)
    return noncentral_t_sf(reach, dof, shift) + noncentral_t_sf(reach, dof, -shift)


def units_needed(plan: Plan, effect: float) -> Units | NotEstimable:
    """
    Give the least numbers of units that find an effect with the plan's power.

    Args:
        effect: The true difference, in the metric's unit of measure; its sign does
            not matter.

    Returns:
        Units per arm, rounded up; or why there are none: an effect of 0, no
        variation, or more than 1e12 units.
    """
    if not (math.isfinite(effect) and effect != 0):
        return NotEstimable("an effect of 0 cannot be found by any number of units")
    if plan.control.variance + plan.treatment.variance == 0:
        return NotEstimable("no variation between the units of either arm")
    enough = 1.0
    while power_of(plan, effect, enough) < plan.power:
        enough *= 2
        if enough > _MOST_UNITS:
            return NotEstimable(f"an effect of {effect:g} takes more than {_MOST_UNITS:.0e} units")
    total = _boundary(lambda n: power_of(plan, effect, n) >= plan.power, enough / 2, enough)
    # What is left of the last step of the search must not add a unit.
    control, treatment = (
        math.ceil(total * share * (1 - 1e-9)) for share in (1 - plan.treated, plan.treated)
    )
    return Units(control, treatment)


def effect_found(plan: Plan, units: float) -> float | NotEstimable:
    """
    Give the smallest effect that a number of units finds with the plan's power.

    Args:
        units: Units of both arms together.

    Returns:
        The effect without its sign, in the metric's unit of measure; or why there
        is none: too few units, or no variation.
    """
    if units <= 0 or _dof(plan, units) < LEAST_DOF:
        return NotEstimable(f"{units:g} units are too few for an interval")
    standard_error = _standard_error(plan, units)
    if standard_error == 0:
        return NotEstimable("no variation between the units of either arm")
    enough = standard_error
    while power_of(plan, enough, units) < plan.power:
        enough *= 2
    return _boundary(lambda effect: power_of(plan, effect, units) >= plan.power, 0.0, enough)


def _standard_error(plan: Plan, units: float) -> float:
    return math.sqrt(sum(_variances(plan, units)))


def _variances(plan: Plan, units: float) -> tuple[float, float]:
    return (
        plan.control.variance / (units * (1 - plan.treated)),
        plan.treatment.variance / (units * plan.treated),
    )


def _dof(plan: Plan, units: float) -> float:
    """
    Give Welch-Satterthwaite degrees of freedom, V^2 / sum(V_g^2 / (k_eff,g - 1)).
    """
    shares = (1 - plan.treated, plan.treated)
    total = sum(_variances(plan, units))
    uncertainty = 0.0
    for variance, spread, share in zip(
        _variances(plan, units), (plan.control, plan.treatment), shares, strict=True
    ):
        free = units * share * spread.effective - 1
        if free <= 0:
            return 0.0
        uncertainty += (variance / total) ** 2 / free if total else 0.0
    return 1 / uncertainty if uncertainty else math.inf


def _reach(plan: Plan, dof: float) -> float:
    """
    Give half the width of the deciding interval, in standard errors.
    """
    if plan.rule == "always_valid":
        # At its end, where it does not depend on how many units were planned.
        return half_width(1.0, 1, 1, plan.alpha)
    if math.isinf(dof):
        return -NormalDist().inv_cdf(plan.alpha / 2)
    return -t_quantile(plan.alpha / 2, dof)


def _boundary(is_enough: Callable[[float], bool], below: float, enough: float) -> float:
    for _ in range(_STEPS):
        middle = (below + enough) / 2
        below, enough = (below, middle) if is_enough(middle) else (middle, enough)
    return enough
