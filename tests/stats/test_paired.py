"""
Differences of arms that share units, against the paired t test and brute force.
"""

import math
from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modeltrail.stats.estimate import Difference, NotEstimable, UnitSums, difference, ratio
from modeltrail.stats.estimate import RatioEstimate as Ratio
from modeltrail.stats.paired import paired_difference


def told(found: Difference | NotEstimable) -> Difference:
    """Return a difference that is one."""
    assert isinstance(found, Difference), found
    return found


def arm(rows: dict[str, tuple[float, float]]) -> list[UnitSums]:
    """Return sums per unit."""
    return [UnitSums("any", unit, total, count) for unit, (total, count) in rows.items()]


def test_paired_t_test() -> None:
    """
    Ten patients' hours of sleep (Student, Biometrika 6 (1908) 1): t = 4.0621, p = .00283.
    """
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = told(
        paired_difference(
            arm({str(i): (x, 1) for i, x in enumerate(first)}),
            arm({str(i): (x, 1) for i, x in enumerate(second)}),
        )
    )
    assert found.difference == pytest.approx(1.58)
    assert found.difference / found.standard_error == pytest.approx(4.0621, abs=5e-5)
    assert found.dof == pytest.approx(9)
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert found.interval == pytest.approx((0.7001142, 2.4598858), abs=5e-7)


sums = st.dictionaries(
    st.sampled_from("abcdefghij"),
    st.tuples(st.floats(-100, 100), st.integers(1, 9)),
    min_size=3,
)


@settings(max_examples=100, deadline=None)
@given(sums, sums)
def test_leaving_out_each_unit(
    first: dict[str, tuple[float, float]], second: dict[str, tuple[float, float]]
) -> None:
    """
    The error is that of leaving each unit out of whichever arm has it.
    """

    def value(rows: dict[str, tuple[float, float]]) -> float:
        return sum(total for total, _ in rows.values()) / sum(n for _, n in rows.values())

    def moved(rows: dict[str, tuple[float, float]], unit: str) -> float:
        if unit not in rows:
            return 0.0
        rest = {name: row for name, row in rows.items() if name != unit}
        return math.sqrt((len(rows) - 1) / len(rows)) * (value(rows) - value(rest))

    squares = [(moved(second, u) - moved(first, u)) ** 2 for u in {*first, *second}]
    assume(sum(squares) > 1e-6)
    found = told(paired_difference(arm(first), arm(second)))
    assert found.difference == pytest.approx(value(second) - value(first), abs=1e-9)
    assert found.standard_error == pytest.approx(math.sqrt(sum(squares)), rel=1e-6)


def test_without_a_common_unit() -> None:
    """
    Arms of different users have the variance of two independent arms.
    """
    random = Random(1)
    first = arm({f"a{i}": (random.gauss(3, 1), 1 + i % 3) for i in range(20)})
    second = arm({f"b{i}": (random.gauss(4, 1), 1 + i % 2) for i in range(30)})
    a, b = ratio(first), ratio(second)
    assert isinstance(a, Ratio) and isinstance(b, Ratio)
    apart = told(difference(a, b))
    found = told(paired_difference(first, second))
    assert found.standard_error == pytest.approx(apart.standard_error, rel=1e-12)
    assert found.dof == pytest.approx(min(a.k_eff, b.k_eff) - 1)


def test_what_moves_together_is_told_apart_sooner() -> None:
    """
    Questions that are hard for both models do not blur their difference.
    """
    random = Random(2)
    hard = [random.gauss(0, 10) for _ in range(50)]
    gaps = [random.gauss(1, 0.1) for _ in hard]
    first = arm({str(i): (h, 1) for i, h in enumerate(hard)})
    second = arm({str(i): (h + g, 1) for i, (h, g) in enumerate(zip(hard, gaps, strict=True))})
    found = told(paired_difference(first, second))
    assert found.difference == pytest.approx(fmean(gaps))
    assert found.standard_error == pytest.approx(stdev(gaps) / math.sqrt(50), rel=1e-9)


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ({"a": (1, 1)}, {"a": (1, 1), "b": (2, 1)}, "two are the least"),
        ({"a": (1, 1), "b": (2, 1)}, {"a": (1, 1)}, "two are the least"),
        ({"a": (1, 1), "b": (2, 1)}, {"a": (2, 1), "b": (3, 1)}, "same in every unit"),
        ({"a": (0, 1), "b": (0, 1)}, {"a": (0, 1), "b": (0, 1)}, "same in every unit"),
    ],
)
def test_refusals(
    first: dict[str, tuple[float, float]], second: dict[str, tuple[float, float]], why: str
) -> None:
    """
    Too few units, and a difference without spread, are refused.
    """
    found = paired_difference(arm(first), arm(second))
    assert isinstance(found, NotEstimable)
    assert why in found.reason
