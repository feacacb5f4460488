"""
The noncentral t distribution: how often a t test finds what is there.

A t statistic of a true effect of `shift` standard errors is (Z + shift) / S, with Z
normal and S^2 chi-squared over its degrees of freedom; so its tail is the mean of
normal tails over the density of S (Johnson, Kotz and Balakrishnan, "Continuous
Univariate Distributions" 2 (1995), chapter 31). In u = log S that density is smooth and
falls fast on both sides, where the trapezoidal rule is most exact; and since it is divided by
its own sum, its factor, a gamma function, is not needed.
"""

import math

LEAST_DOF = 2.0

# The density of u falls like exp(-dof u^2), to the left at last like exp(dof u).
_REACH = 9.0
_STEPS = 240


def normal_sf(z: float) -> float:
    """
    Give the probability that a standard normal variable is above `z`.
    """
    return 0.5 * math.erfc(z / math.sqrt(2))


def noncentral_t_sf(t: float, dof: float, shift: float) -> float:
    """
    Give the probability that a noncentral t variable is above `t`.

    Args:
        t: Value of the statistic.
        dof: Degrees of freedom, at least 2; infinite for a normal variable.
        shift: The noncentrality: the true effect in standard errors.

    Returns:
        A probability, to eight digits or more where it is not tiny.

    Raises:
        ValueError: Fewer degrees of freedom than two.
    """
    if not dof >= LEAST_DOF:
        raise ValueError(f"dof must be at least {LEAST_DOF:g}, not {dof!r}")
    if math.isinf(dof):
        return normal_sf(t - shift)
    reach = _REACH / math.sqrt(dof)
    low, high = -reach - reach * reach / 2, reach
    points = [low + (high - low) * number / _STEPS for number in range(_STEPS + 1)]
    weights = [math.exp(dof * (u - math.expm1(2 * u) / 2)) for u in points]
    tails = (
        weight * normal_sf(t * math.exp(u) - shift)
        for weight, u in zip(weights, points, strict=True)
    )
    return math.fsum(tails) / math.fsum(weights)
