"""
Shapley values against games whose solution is known.
"""

from fractions import Fraction

from modeltrail.stats.shapley import shapley_values

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
