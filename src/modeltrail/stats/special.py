"""
Tails of the t and chi-squared distributions, to about twelve digits.

Formula numbers are those of the NIST Digital Library of Mathematical
Functions (DLMF, https://dlmf.nist.gov); continued fractions are evaluated as
in Thompson and Barnett, J. Comput. Phys. 64 (1986) 490 (modified Lentz).

Three traps shape this module. Differences of `lgamma` lose all digits for
many degrees of freedom, so prefactors are written around their own maximum
with Stirling's remainder (as in Loader, "Fast and accurate computation of
binomial probabilities", 2000). `log(1 - x)` loses small x, so `log1p` is used
on exact differences. And `1 - cdf` is 0 below 1e-16, so that a p value is
always computed from the upper tail itself.
"""

import math
from collections.abc import Iterator

# With fewer degrees of freedom a 95% quantile has more than 100 digits.
LEAST_DOF = 0.01

# The smallest float above 0.
SMALLEST = 5e-324

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_EPSILON = 2.0**-53
_TINY = 1e-300
_MOST_TERMS = 1_000_000
# Beyond this its square is no longer a float; no statistic of real data gets there.
_LARGEST = 1e150
# Bernoulli terms of Stirling's series, DLMF 5.11.1: B_2k / (2k (2k - 1)).
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def t_sf(t: float, dof: float) -> float:
    """
    Give the probability that a t variable is above `t`.

    P(T > t) = I_x(dof/2, 1/2) / 2 with x = dof / (dof + t^2), DLMF 8.17.

    Args:
        t: Value of the statistic; |t| / sqrt(dof) at most 1e150.
        dof: Degrees of freedom, at least `LEAST_DOF`; need not be whole.

    Returns:
        A probability; far tails keep their digits instead of becoming 0. What is too
        small for a float is `SMALLEST`, which bounds it from above.

    Raises:
        ValueError: An argument is out of range.
    """
    _require(LEAST_DOF <= dof < math.inf, f"dof must be finite and at least {LEAST_DOF}")
    _require(abs(t) <= _LARGEST * math.sqrt(dof), "t / sqrt(dof) must lie within 1e150")
    if t < 0:
        return 1.0 - t_sf(-t, dof)
    below, above = _t_shares(t, dof)
    return max(0.5 * _beta_inc(0.5 * dof, 0.5, below, above), SMALLEST)


def t_quantile(p: float, dof: float) -> float:
    """
    Give the value below which a t variable lies with probability `p`.

    For an interval ask for the small tail, `-t_quantile(alpha / 2, dof)`:
    `1 - alpha / 2` has already lost digits of a small alpha.

    Args:
        p: Probability of the lower tail, between 0 and 1 exclusive.
        dof: Degrees of freedom, at least `LEAST_DOF`.

    Returns:
        The quantile; infinite where it is beyond 1e150 sqrt(dof), which only
        dof far below 1 can reach.

    Raises:
        ValueError: An argument is out of range.
    """
    _require(0 < p < 1, "p must lie between 0 and 1")
    if p < 0.5:
        return -_upper_t(p, dof)
    return 0.0 if p == 0.5 else _upper_t(1.0 - p, dof)


def chi2_sf(x: float, dof: float) -> float:
    """
    Give the probability that a chi-squared variable is above `x`.

    P(X > x) = Q(dof/2, x/2), DLMF 8.2.4.

    Args:
        x: Value of the statistic, 0 or more.
        dof: Degrees of freedom, above 0.

    Returns:
        A probability; far tails keep their digits instead of becoming 0. What is too
        small for a float is `SMALLEST`, which bounds it from above.

    Raises:
        ValueError: An argument is out of range.
    """
    return max(gamma_q(0.5 * dof, 0.5 * x), SMALLEST)


def beta_inc(a: float, b: float, x: float) -> float:
    """
    Give the regularised incomplete beta function I_x(a, b).

    DLMF 8.17.2, by the continued fraction (9) of DiDonato and Morris,
    "Algorithm 708", ACM Trans. Math. Softw. 18 (1992) 360.

    Args:
        a: First shape, above 0.
        b: Second shape, above 0.
        x: Upper limit of the integral, from 0 to 1.

    Returns:
        The probability that a Beta(a, b) variable is below `x`.

    Raises:
        ValueError: An argument is out of range.
    """
    _require(a > 0 and b > 0 and math.isfinite(a + b), "a and b must be above 0 and finite")
    _require(0 <= x <= 1, "x must lie between 0 and 1")
    return _beta_inc(a, b, x, 1.0 - x)


def gamma_q(a: float, x: float) -> float:
    """
    Give the regularised upper incomplete gamma function Q(a, x).

    DLMF 8.2.4, by the series 8.7.1 below x = a + 1, and by the continued
    fraction 8.9.2 above.

    Args:
        a: Shape, above 0.
        x: Lower limit of the integral, 0 or more.

    Returns:
        The probability that a Gamma(a, 1) variable is above `x`.

    Raises:
        ValueError: An argument is out of range.
    """
    _require(a > 0 and math.isfinite(a), "a must be above 0 and finite")
    _require(x >= 0 and math.isfinite(x), "x must be 0 or more and finite")
    if x == 0:
        return 1.0
    if x < a + 1:
        return 1.0 - _gamma_density(a, x) / a * _gamma_series(a, x)
    return _gamma_density(a, x) * _continued_fraction(_gamma_terms(a, x))


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _t_shares(t: float, dof: float) -> tuple[float, float]:
    # dof and t^2 as shares of their sum: both are wanted to full precision.
    ratio = (t / math.sqrt(dof)) ** 2
    return 1.0 / (1.0 + ratio), ratio / (1.0 + ratio)


def _upper_t(q: float, dof: float) -> float:
    """
    Solve P(T > t) = q for q below one half, by Newton steps inside a bracket.
    """
    lower, upper = 0.0, 1.0
    while t_sf(upper, dof) > q:
        lower, upper = upper, upper * 2.0
        if upper > _LARGEST * math.sqrt(dof):
            return math.inf
    t = 0.5 * (lower + upper)
    for _ in range(200):
        tail = t_sf(t, dof)
        lower, upper = (t, upper) if tail > q else (lower, t)
        # A step on log(tail): tails fall by orders of magnitude.
        step = t + tail * math.log(tail / q) / _t_density(t, dof)
        following = step if lower < step < upper else 0.5 * (lower + upper)
        if abs(following - t) <= 4 * _EPSILON * t:
            return following
        t = following
    # Rounding of the tail keeps the last digits moving; the bracket holds them.
    return t


def _t_density(t: float, dof: float) -> float:
    # The derivative of t_sf by the chain rule: dI/dx = D / (x y), dx/dt = -2 x y / t.
    below, above = _t_shares(t, dof)
    return _beta_density(0.5 * dof, 0.5, below, above) / t


def _beta_inc(a: float, b: float, x: float, y: float) -> float:
    """
    Give I_x(a, b) where y = 1 - x is known better than x can tell.
    """
    if x == 0 or y == 0:
        return float(y == 0)
    # The fraction converges fast below the mean; above it, mirror (8.17.4).
    if x * b > y * a:
        return 1.0 - _beta_density(b, a, y, x) * _continued_fraction(_beta_terms(b, a, y, x))
    return _beta_density(a, b, x, y) * _continued_fraction(_beta_terms(a, b, x, y))


def _beta_density(a: float, b: float, x: float, y: float) -> float:
    """
    Give x^a y^b / B(a, b), written around its maximum at x = a / (a + b).
    """
    away = x * b - y * a
    log_peak = 0.5 * math.log(a / (a + b) * b) - _HALF_LOG_2PI
    remainders = _stirling_remainder(a + b) - _stirling_remainder(a) - _stirling_remainder(b)
    fall = a * _log_ratio(x, a, b, away) + b * _log_ratio(y, b, a, -away)
    return math.exp(log_peak + remainders + fall)


def _log_ratio(x: float, a: float, b: float, away: float) -> float:
    # log(x / (a / (a + b))); log1p only near the maximum, where log loses digits.
    if abs(away) < 0.5 * a:
        return math.log1p(away / a)
    return math.log(x) + math.log1p(b / a)


def _beta_terms(a: float, b: float, x: float, y: float) -> Iterator[tuple[float, float]]:
    """
    Give the partial numerators and denominators of DiDonato and Morris (9).

    Unlike DLMF 8.17.22 these know y = 1 - x by itself: with a million degrees
    of freedom x alone has lost five digits of it.
    """
    beyond = y * a - x * b + 1
    yield 1.0, beyond * a / (a + 1)
    n = 0
    while True:
        n += 1
        middle = a + 2 * n - 1
        shared = n * (b - n) * x / middle
        slope = (a + n) / (a + 2 * n + 1)
        numerator = (a + n - 1) * (a + b + n - 1) / middle * shared * x
        yield numerator, n + shared + slope * (beyond + n * (1 + y))


def _gamma_density(a: float, x: float) -> float:
    """
    Give x^a e^-x / Gamma(a), written around its maximum at x = a.
    """
    away = (x - a) / a
    log_ratio = math.log1p(away) if abs(away) < 0.5 else math.log(x / a)
    fall = a * (log_ratio - away)
    return math.exp(0.5 * math.log(a) - _HALF_LOG_2PI - _stirling_remainder(a) + fall)


def _gamma_series(a: float, x: float) -> float:
    """
    Sum x^n / ((a + 1) ... (a + n)), DLMF 8.7.1.
    """
    total = term = 1.0
    for n in range(1, _MOST_TERMS):
        term *= x / (a + n)
        total += term
        if term < _EPSILON * total:
            return total
    raise ArithmeticError("the series of the incomplete gamma function did not converge")


def _gamma_terms(a: float, x: float) -> Iterator[tuple[float, float]]:
    """
    Give the partial numerators and denominators of DLMF 8.9.2, even part.
    """
    yield 1.0, x + 1 - a
    n = 0
    while True:
        n += 1
        yield n * (a - n), x + 1 - a + 2 * n


def _continued_fraction(terms: Iterator[tuple[float, float]]) -> float:
    """
    Evaluate a1 / (b1 + a2 / (b2 + ...)) until it no longer changes.
    """
    value = front = _TINY
    back = 0.0
    for _, (numerator, denominator) in zip(range(_MOST_TERMS), terms, strict=False):
        back = 1.0 / (denominator + numerator * back or _TINY)
        front = denominator + numerator / front or _TINY
        value *= front * back
        if abs(front * back - 1.0) <= 2 * _EPSILON:
            return value
    raise ArithmeticError("a continued fraction did not converge")


def _stirling_remainder(z: float) -> float:
    """
    Give log Gamma(z) less Stirling's leading terms, DLMF 5.11.1.
    """
    if z < 10:
        return math.lgamma(z) - ((z - 0.5) * math.log(z) - z + _HALF_LOG_2PI)
    square = 1.0 / (z * z)
    total = 0.0
    for coefficient in reversed(_STIRLING):
        total = total * square + coefficient
    return total / z
