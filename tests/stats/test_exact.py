"""
Sums, quotients and shares that must be whole.
"""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.stats.exact import apportion, rounded, sum_known

third = Fraction(1, 3)


@pytest.mark.parametrize(
    ("figures", "expected"), [([1, None, 2], 3), ([0, None], 0), ([None, None], None), ([], None)]
)
def test_unknown_is_not_zero(figures: list[int | None], expected: int | None) -> None:
    """A sum of nothing known is unknown, and one of known zeros is 0."""
    assert sum_known(figures) == expected


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**12))
def test_quotients_are_rounded_as_fractions_are(dividend: int, divisor: int) -> None:
    """Half to even, however large."""
    assert rounded(dividend, divisor) == round(Fraction(dividend, divisor))


def test_largest_remainders_are_rounded_up() -> None:
    """10 by 4.5, 3.3 and 2.2 is 5, 3 and 2; three thirds of 1 go to the first."""
    assert apportion([Fraction(45, 10), Fraction(33, 10), Fraction(22, 10)], 10) == [5, 3, 2]
    assert apportion([third] * 3, 1) == [1, 0, 0]
    assert apportion([2 * third] * 3, 2) == [0, 1, 1]
    assert apportion([-third] * 3, -1) == [-1, 0, 0]


@given(
    st.lists(st.fractions(-(10**12), 10**12, max_denominator=10**6), min_size=1, max_size=6),
    st.integers(-(10**6), 10**6),
)
def test_whole_numbers_add_up(parts: list[Fraction], total: int) -> None:
    """The sum is exact, no part moves by 1, and negated parts give negated numbers."""
    exact = [*parts, total - sum(parts)]
    found = apportion(exact, total)
    assert sum(found) == total
    assert all(abs(number - part) < 1 for number, part in zip(found, exact, strict=True))
    assert apportion([-part for part in exact], -total) == [-number for number in found]
