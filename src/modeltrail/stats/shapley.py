"""
Dividing an effect among its causes: Shapley values.

L. S. Shapley, "A value for n-person games" (1953). Each cause gets what it adds, averaged over
all orders in which the causes may come.
"""

from collections.abc import Callable
from fractions import Fraction
from math import factorial, lcm


def shapley_values(worth: Callable[[frozenset[int]], Fraction], causes: int) -> list[Fraction]:
    """
    Return the part of each cause; together they are exactly what all of them are worth.

    Args:
        worth: What those causes come to that have come; it is asked once for each of
            the `2 ** causes` sets of them.
    """
    sets = [
        frozenset(cause for cause in range(causes) if chosen >> cause & 1)
        for chosen in range(1 << causes)
    ]
    worths = [worth(come) for come in sets]
    # Over one denominator: to add whole numbers takes a tenth of what fractions take.
    below = lcm(*(each.denominator for each in worths))
    above = {
        come: each.numerator * (below // each.denominator)
        for come, each in zip(sets, worths, strict=True)
    }
    orders = [factorial(size) * factorial(causes - size - 1) for size in range(causes)]
    return [
        Fraction(
            sum(
                orders[len(come)] * (above[come | {cause}] - above[come])
                for come in sets
                if cause not in come
            ),
            factorial(causes) * below,
        )
        for cause in range(causes)
    ]
