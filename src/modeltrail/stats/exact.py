"""
Whole numbers that stay exact: sums of what is known, quotients, shares of a total.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction


def sum_known(figures: Iterable[int | None]) -> int | None:
    """
    Add up what is known; None if nothing is.
    """
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None


def rounded(dividend: int, divisor: int) -> int:
    """
    Return a quotient as a whole number, half to even.
    """
    # In integers: a float has not enough digits for nano-dollars.
    quotient, rest = divmod(dividend, divisor)
    if 2 * rest > divisor or (2 * rest == divisor and quotient % 2):
        return quotient + 1
    return quotient


def apportion(parts: Sequence[Fraction], total: int) -> list[int]:
    """
    Return whole numbers near the parts that add up to their total.

    By largest remainder: each differs from its part by less than 1. Of the
    negated parts it returns the negated numbers.
    """
    nearest = [round(part) for part in parts]
    missing = total - sum(nearest)
    step = 1 if missing > 0 else -1
    short = sorted(range(len(parts)), key=lambda place: step * (nearest[place] - parts[place]))
    for place in short[: abs(missing)]:
        nearest[place] += step
    return nearest
