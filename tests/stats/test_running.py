"""
The running ratio says what going through all units says.
"""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.stats.estimate import NotEstimable, RatioEstimate, UnitSums, ratio
from modeltrail.stats.running import RunningRatio

pieces = st.lists(
    st.tuples(st.integers(0, 12), st.integers(-(10**12), 10**12), st.integers(0, 4)), max_size=60
)


def summed(told: list[tuple[int, int, int]]) -> list[UnitSums]:
    """Sum up by unit; one that has done nothing is none."""
    sums: dict[int, tuple[int, int]] = {}
    for unit, total, count in told:
        if total or count:
            before = sums.get(unit, (0, 0))
            sums[unit] = before[0] + total, before[1] + count
    return [UnitSums("", str(unit), *both) for unit, both in sums.items()]


@given(pieces)
def test_it_is_the_ratio_of_all_units(told: list[tuple[int, int, int]]) -> None:
    """Piece by piece or all at once: the same estimate and spread, or none."""
    running = RunningRatio()
    for unit, total, count in told:
        running.add(str(unit), total, count)
    found, expected = running.estimate(), ratio(summed(told))
    assert isinstance(found, NotEstimable) == isinstance(expected, NotEstimable)
    if isinstance(found, RatioEstimate) and isinstance(expected, RatioEstimate):
        assert (found.n_units, found.count) == (expected.n_units, expected.count)
        assert found.k_eff == pytest.approx(expected.k_eff, rel=1e-12)
        size = max(abs(unit.total) for unit in summed(told))
        assert found.estimate == pytest.approx(expected.estimate, rel=1e-9, abs=1e-9 * size)
        spread, plain = found.standard_error, expected.standard_error
        assert spread == pytest.approx(plain, rel=1e-9, abs=1e-9 * size)


def test_by_hand() -> None:
    """
    Units of 1 of 1, 2 of 2 and 0 of 2 calls: r = 3/5; left out one by one it is 2/4, 1/3, 3/3.
    """
    running = RunningRatio()
    running.add("a", 1, 1)
    running.add("b", 1, 1)
    running.add("c", 0, 2)
    running.add("b", 1, 1)
    running.add("d", 0, 0)
    found = running.estimate(scale=10)
    assert isinstance(found, RatioEstimate)
    r = Fraction(3, 5)
    left = [Fraction(2, 4), Fraction(1, 3), Fraction(3, 3)]
    variance = Fraction(2, 3) * sum((each - r) ** 2 for each in left)
    assert (found.n_units, running.n_units, found.count) == (3, 3, 5)
    assert found.estimate == pytest.approx(6)
    assert found.variance == pytest.approx(100 * float(variance))
    assert found.k_eff == pytest.approx(25 / 9)


def test_large_sums_lose_nothing() -> None:
    """
    Costs of 10^15 that differ by 1 have a spread, which squares in floats have not.
    """
    running = RunningRatio()
    for unit in range(4):
        running.add(str(unit), 10**15 + unit % 2, 1)
    found = running.estimate()
    assert isinstance(found, RatioEstimate)
    # Deviations of a half; left out, 3 remain: 3/4 * 4 * (1/2/3)^2.
    assert found.variance == pytest.approx(1 / 12)


def test_units_that_are_alike_have_no_spread() -> None:
    """
    Exactly 0, as the sums are whole numbers.
    """
    running = RunningRatio()
    for unit in range(3):
        running.add(str(unit), 7 * (unit + 1), 3 * (unit + 1))
    found = running.estimate(0.1)
    assert isinstance(found, RatioEstimate)
    assert found.variance == 0.0
