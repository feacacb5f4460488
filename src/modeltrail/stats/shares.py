"""
Shares of calls, their differences, and many comparisons at once.

The interval of one share is Wilson's score interval (J. Am. Stat. Assoc. 22
(1927) 209). That of a difference of two is the hybrid of two of them, method
10 of Newcombe ("Interval estimation for the difference between independent
proportions", Statistics in Medicine 17 (1998) 873): it keeps to -1..1 and holds
its level near 0 and 1, where shares of formats and errors live. The p value is
that of Pearson's chi-squared with one degree of freedom, the score test of equal shares.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modeltrail.stats.estimate import Interval, NotEstimable
from modeltrail.stats.special import chi2_sf

# Of a normal distribution, two-sided 95 %.
Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class ShareDifference:
    """
    The share after less the share before, as shares of 1.

    Attributes:
        interval: Newcombe's, at 95 % unless another level was asked for.
        p: Two-sided.
    """

    before: float
    after: float
    difference: float
    interval: Interval
    p: float


def wilson(successes: int, n: int, z: float = Z_95) -> Interval:
    """
    Give the score interval of a share.

    Raises:
        ValueError: The numbers are no share.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} of {n} is no share")
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(max(centre - half, 0.0), min(centre + half, 1.0))


def share_difference(
    before: tuple[int, int], after: tuple[int, int], z: float = Z_95
) -> ShareDifference | NotEstimable:
    """
    Compare two independent shares.

    Args:
        before: How many of how many.
        after: The same.
        z: Quantile of the normal distribution for the interval's level.

    Returns:
        The difference; or why there is none: a side without any.
    """
    if before[1] == 0 or after[1] == 0:
        return NotEstimable("one side has no calls that tell")
    p1, p2 = before[0] / before[1], after[0] / after[1]
    low1, high1 = wilson(*before, z)
    low2, high2 = wilson(*after, z)
    difference = p2 - p1
    interval = Interval(
        difference - math.hypot(p2 - low2, high1 - p1),
        difference + math.hypot(high2 - p2, p1 - low1),
    )
    return ShareDifference(p1, p2, difference, interval, _p(before, after))


def _p(before: tuple[int, int], after: tuple[int, int]) -> float:
    pooled = (before[0] + after[0]) / (before[1] + after[1])
    variance = pooled * (1 - pooled) * (1 / before[1] + 1 / after[1])
    if variance == 0:
        return 1.0
    difference = after[0] / after[1] - before[0] / before[1]
    return chi2_sf(difference**2 / variance, 1)


def benjamini_hochberg(p_values: Sequence[float], rate: float = 0.05) -> list[bool]:
    """
    Tell which of many findings may be believed.

    Benjamini and Hochberg, J. R. Stat. Soc. B 57 (1995) 289: of those that
    are believed at most the `rate` are expected to be false, and where there is
    nothing to find, one or more are believed with at most that probability.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    believed = 0
    for rank, place in enumerate(order, 1):
        if p_values[place] <= rate * rank / len(p_values):
            believed = rank
    found = [False] * len(p_values)
    for place in order[:believed]:
        found[place] = True
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """
    Adjust p values so that all findings at once are right with probability 1 - alpha.

    Holm, Scand. J. Stat. 6 (1979) 65: the i-th smallest of m times (m - i + 1), at
    least as large as the one before, at most 1. Believe those at or below alpha.
    """
    adjusted = [1.0] * len(p_values)
    least = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = least
    return adjusted
