"""
Shapley values against games whose solution is known, and sums that must be whole.
"""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from modeltrail.stats.shapley import apportion, shapley_values

half, third, sixth = (Fraction(1, n) for n in (2, 3, 6))


def test_glove_game() -> None:
    """One left glove, two right ones, only pairs are worth something: 2/3, 1/6, 1/6."""
    found = shapley_values(lambda come: Fraction(0 in come and len(come) > 1), 3)
    assert found == [2 * third, sixth, sixth]


def test_airport_game() -> None:
    """Runways of 1, 2 and 3: each length is shared by those who need it."""
    found = shapley_values(lambda come: Fraction(max((n + 1 for n in come), default=0)), 3)
    assert found == [third, third + half, third + half + 1]


def test_nothing_to_divide() -> None:
    """Who adds nothing gets nothing."""
    assert shapley_values(lambda come: Fraction(5 * (1 in come)), 3) == [0, 5, 0]


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
