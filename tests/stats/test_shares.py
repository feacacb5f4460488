"""
Differences of shares.
"""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.stats.estimate import NotEstimable
from modeltrail.stats.shares import (
    ShareDifference,
    benjamini_hochberg,
    holm,
    share_difference,
    wilson,
)


def difference(before: tuple[int, int], after: tuple[int, int]) -> ShareDifference:
    """Return a difference that can be told."""
    found = share_difference(before, after)
    assert isinstance(found, ShareDifference)
    return found


@pytest.mark.parametrize(
    ("after", "before", "lower", "upper"),
    [
        # Newcombe 1998, table II, method 10: p1 - p2 of his examples (a) to (h).
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_interval_is_newcombes(
    after: tuple[int, int], before: tuple[int, int], lower: float, upper: float
) -> None:
    """The published intervals, to four digits."""
    assert difference(before, after).interval == pytest.approx((lower, upper), abs=6e-5)


def test_p_is_that_of_the_four_fold_table() -> None:
    """chi2 = n (ad - bc)^2 / (row and column sums); its tail for one degree is erfc(sqrt(x/2))."""
    a, b, c, d = 930, 70, 980, 20
    chi2 = 2000 * (a * d - b * c) ** 2 / (1000 * 1000 * 1910 * 90)
    found = difference((980, 1000), (930, 1000))
    assert found.p == pytest.approx(math.erfc(math.sqrt(chi2 / 2)), rel=1e-9)
    assert (found.before, found.after) == (0.98, 0.93)
    assert found.difference == pytest.approx(-0.05)


@pytest.mark.parametrize("sides", [((0, 10), (0, 20)), ((7, 7), (9, 9))])
def test_equal_certainties_do_not_differ(sides: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """None on both sides, or all on both: p is 1."""
    assert difference(*sides).p == 1.0


def test_no_calls_no_answer() -> None:
    """A side without calls is refused."""
    assert isinstance(share_difference((0, 0), (1, 2)), NotEstimable)
    assert isinstance(share_difference((1, 2), (0, 0)), NotEstimable)
    for impossible in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="is no share"):
            wilson(*impossible)


@given(st.integers(1, 500), st.integers(1, 500), st.floats(0, 1), st.floats(0, 1))
def test_interval_holds_the_difference(n: int, m: int, a: float, b: float) -> None:
    """It holds the estimate, keeps to -1..1, and turns over when the sides do."""
    before, after = (round(a * n), n), (round(b * m), m)
    found, turned = difference(before, after), difference(after, before)
    slack = 1e-12
    assert -1 - slack <= found.interval.lower <= found.difference + slack
    assert found.difference - slack <= found.interval.upper <= 1 + slack
    assert turned.interval == pytest.approx((-found.interval.upper, -found.interval.lower))
    assert turned.p == pytest.approx(found.p)


def test_interval_covers_the_truth() -> None:
    """At shares of .98 and .93 of 300, 95 % of the intervals hold -.05, give or take."""
    random = Random("coverage")
    held = 0
    for _ in range(1000):
        before = sum(random.random() < 0.98 for _ in range(300))
        after = sum(random.random() < 0.93 for _ in range(300))
        lower, upper = difference((before, 300), (after, 300)).interval
        held += lower <= -0.05 <= upper
    assert 930 <= held <= 972


def test_benjamini_and_hochberg_as_they_published_it() -> None:
    """Their example of 15 p values: at 5 % four are believed, where Holm would believe three."""
    published = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
        0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
    ]  # fmt: skip
    assert benjamini_hochberg(published) == [True] * 4 + [False] * 11
    assert benjamini_hochberg(published[::-1]) == [False] * 11 + [True] * 4
    assert benjamini_hochberg([]) == []
    # A small one carries a larger one below its own bound.
    assert benjamini_hochberg([0.04, 0.03]) == [True, True]


def test_holm() -> None:
    """
    By hand: 4 x .01, 3 x .013, 2 x .03 and .04, none below the one before.
    """
    assert holm([0.04, 0.01, 0.03, 0.013]) == pytest.approx([0.06, 0.04, 0.06, 0.04])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
