"""
Intervals and p values that hold however often one looks.

A fixed-time 95 % interval is wrong in 5 % of looks, and so in far more than 5 % of
experiments that are looked at every day. The asymptotic confidence sequence of
Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas ("Time-uniform central limit
theory and asymptotic confidence sequences", Annals of Statistics 52 (2024) 2613,
arXiv 2103.06476) covers the truth at ALL looks at once with probability 1 - alpha.
With n units, standard error se and rho > 0 its half width is

    se sqrt(n) sqrt(2 (n rho^2 + 1) / (n^2 rho^2) ln(sqrt(n rho^2 + 1) / alpha)).

It is where a mixture over all effects of the likelihood against no effect, the
e-value, reaches 1 / alpha, and p = 1 / e. The price is width: about 1.5 times the
fixed-time interval near the planned number of units N*, for which rho^2 =
(ln(alpha^-2) + ln(ln(alpha^-2) + 1)) / N* makes it narrowest. N* must be chosen before
the data; any choice is valid, a bad one is only wide.

The guarantee is asymptotic in n and rests on the standard error: simulated A/A
tests with 10 units per arm at the first look and 40 looks kept below 5 %. Hence
`LEAST_UNITS`. n counts randomised UNITS in the two arms, never calls.
"""

import math
from collections.abc import Callable

from modeltrail.stats.estimate import Interval

# Of each arm, before the first look.
LEAST_UNITS = 10
# Beyond so many times the present units a forecast of the end is a fancy.
_FARTHEST = 1_000


def always_valid(
    estimate: float, standard_error: float, n_units: int, plan_units: int, alpha: float
) -> Interval:
    """
    Give the two-sided interval that may be looked at after every unit.

    Args:
        estimate: Such as a difference between two arms.
        standard_error: Of the estimate at this look, above 0.
        n_units: Units so far, of both arms together.
        plan_units: Planned number of units N*, of both arms together.
        alpha: One less the confidence level.

    Raises:
        ValueError: A number is none that the formula has.
    """
    half = half_width(standard_error, n_units, plan_units, alpha)
    return Interval(estimate - half, estimate + half)


def always_valid_p(
    estimate: float, standard_error: float, n_units: int, plan_units: int, alpha: float
) -> float:
    """
    Give the p value of no effect, valid at every look.

    It is at most `alpha` exactly where the interval of `always_valid` excludes 0.

    Args:
        estimate: As for `always_valid`, as all the others.

    Returns:
        1 / e at most 1; its logarithm is exact until it is too small for a float.

    Raises:
        ValueError: A number is none that the formula has.
    """
    _check(standard_error, n_units, plan_units, alpha)
    information = n_units * rho_squared(plan_units, alpha)
    t = estimate / standard_error
    log_e_value = t * t * information / (2 * (information + 1)) - 0.5 * math.log1p(information)
    return math.exp(-max(log_e_value, 0.0))


def lower_bound(
    estimate: float, standard_error: float, n_units: int, plan_units: int, alpha: float
) -> float:
    """
    Give the one-sided bound below the truth, valid at every look.

    The closed form sqrt(2 (n rho^2 + 1) / (n^2 rho^2) ln(1 + sqrt(n rho^2 + 1) / (2 alpha)))
    of the same paper's one-sided sequence, with rho for 2 alpha.

    Args:
        estimate: As for `always_valid`, as all the others.

    Raises:
        ValueError: A number is none that the formula has.
    """
    _check(standard_error, n_units, plan_units, alpha)
    information = n_units * rho_squared(plan_units, 2 * alpha)
    threshold = math.log1p(math.sqrt(information + 1) / (2 * alpha))
    return estimate - standard_error * _factor(information, threshold)


def half_width(standard_error: float, n_units: int, plan_units: int, alpha: float) -> float:
    """
    Give half the width of the two-sided interval.

    Raises:
        ValueError: A number is none that the formula has.
    """
    _check(standard_error, n_units, plan_units, alpha)
    information = n_units * rho_squared(plan_units, alpha)
    return standard_error * _factor(information, 0.5 * math.log1p(information) - math.log(alpha))


def rho_squared(plan_units: int, alpha: float) -> float:
    """
    Give the mixture's variance that makes the interval narrowest at the planned number of units.
    """
    twice = -2 * math.log(alpha)
    return (twice + math.log1p(twice)) / plan_units


def units_needed(
    distance: float,
    standard_error: float,
    n_units: int,
    plan_units: int,
    alpha: float,
    *,
    one_sided: bool = False,
) -> int | None:
    """
    Estimate at how many units the interval will reach no farther than a distance.

    Taken that neither the estimate nor the spread of the units changes, so that the
    standard error falls with the root of the number of units.

    Args:
        distance: From the estimate to what the interval has to exclude.
        standard_error: As for `always_valid`, as all the others.
        one_sided: Whether it is the bound of `lower_bound` that has to.

    Returns:
        Units of both arms together; None if the distance is not above 0, or
        if it would take a thousand times the present number.
    """
    if distance <= 0:
        return None

    def too_wide(n: int) -> bool:
        at_n = standard_error * math.sqrt(n_units / n)
        if one_sided:
            return -lower_bound(0.0, at_n, n, plan_units, alpha) > distance
        return half_width(at_n, n, plan_units, alpha) > distance

    enough = n_units
    while too_wide(enough):
        enough *= 2
        if enough > _FARTHEST * n_units:
            return None
    return _first(too_wide, max(enough // 2, n_units), enough)


def _first(too_wide: Callable[[int], bool], below: int, enough: int) -> int:
    # The least number that is enough; `below` is not, unless it is `enough`.
    while enough - below > 1:
        middle = (below + enough) // 2
        below, enough = (middle, enough) if too_wide(middle) else (below, middle)
    return enough


def _factor(information: float, threshold: float) -> float:
    # In standard errors: sqrt(n) sqrt(2 (n rho^2 + 1) / (n^2 rho^2) threshold).
    return math.sqrt(2 * (information + 1) / information * threshold)


def _check(standard_error: float, n_units: int, plan_units: int, alpha: float) -> None:
    if not (math.isfinite(standard_error) and standard_error > 0):
        raise ValueError(f"a standard error of {standard_error} is none")
    if n_units < 1 or plan_units < 1:
        raise ValueError("units and planned units must be at least 1")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must lie between 0 and 0.5, not {alpha!r}")
