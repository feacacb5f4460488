"""
Estimates against brute force and scipy, and refusals of what cannot be estimated.
"""

import csv
import gzip
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modeltrail.stats.estimate import (
    Difference,
    NotEstimable,
    RatioEstimate,
    RelativeDifference,
    UnitSums,
    difference,
    ratio,
    ratio_interval,
    relative_difference,
)

HERE = Path(__file__).parent
ORACLE = json.loads((HERE.parent / "oracle" / "stats.json").read_text())

arms = st.lists(st.tuples(st.floats(0.01, 1e3), st.integers(1, 50)), min_size=3, max_size=12)


def rows(totals: list[float], counts: list[float], variant: str = "A") -> list[UnitSums]:
    units = enumerate(zip(totals, counts, strict=True))
    return [UnitSums(variant, f"u{i}", total, count) for i, (total, count) in units]


def estimated(totals: list[float], counts: list[float]) -> RatioEstimate:
    found = ratio(rows(totals, counts))
    assert isinstance(found, RatioEstimate)
    return found


def ab_mmlu(metric: str) -> list[RatioEstimate]:
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0])
    with gzip.open(HERE / "ab_mmlu_by_user.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            unit = sums[row["variant"], row["user_id"]]
            unit[0] += float(row[metric])
            unit[1] += 1
    return [
        estimated(*map(list, zip(*(s for (v, _), s in sums.items() if v == name), strict=True)))
        for name in "AB"
    ]


def assert_arm(found: RatioEstimate, expected: dict[str, Any]) -> None:
    assert found.n_units == expected["n_units"]
    assert found.count == expected["count"]
    assert found.k_eff == pytest.approx(expected["k_eff"], rel=1e-12)
    assert found.estimate == pytest.approx(expected["estimate"], rel=1e-12)
    # Brute force subtracts nearly equal ratios, and so has fewer digits than we.
    assert found.variance == pytest.approx(expected["variance"], rel=1e-9)
    assert ratio_interval(found) == pytest.approx(expected["interval"], rel=1e-9)


def assert_difference(found: Difference | NotEstimable, expected: dict[str, Any]) -> None:
    assert isinstance(found, Difference)
    assert found.difference == pytest.approx(expected["estimate"], rel=1e-9)
    assert found.standard_error == pytest.approx(expected["standard_error"], rel=1e-9)
    assert found.dof == pytest.approx(expected["dof"], rel=1e-9)
    assert found.interval == pytest.approx(expected["interval"], rel=1e-9)
    assert found.p == pytest.approx(expected["p"], rel=1e-7, abs=0)


def assert_relative(found: RelativeDifference | NotEstimable, expected: dict[str, Any]) -> None:
    assert isinstance(found, RelativeDifference)
    assert found.relative == pytest.approx(expected["relative"], rel=1e-9)
    assert found.dof == pytest.approx(expected["dof"], rel=1e-9)
    assert found.interval == pytest.approx(expected["interval"], rel=1e-8)


@pytest.mark.parametrize("pair", ORACLE["pairs"], ids=lambda pair: f"{pair['a']['n_units']}")
def test_equals_deleting_each_unit(pair: dict[str, Any]) -> None:
    """
    Arms and their difference equal numpy's brute-force jackknife with scipy's t.
    """
    a, b = (estimated(pair[name]["totals"], pair[name]["counts"]) for name in "ab")
    assert_arm(a, pair["a"])
    assert_arm(b, pair["b"])
    assert_difference(difference(a, b), pair["difference"])
    if pair["a"]["interval"][0] > 0:
        assert_relative(relative_difference(a, b), pair["relative"])
    else:
        assert "includes 0" in refusal(relative_difference(a, b))


@pytest.mark.parametrize("metric", ["correct", "cost_usd"])
def test_equals_brute_force_on_real_outcomes(metric: str) -> None:
    """
    The 682 users of the MMLU test give the oracle's arms, difference and ratio.
    """
    expected = ORACLE["ab_mmlu"][metric]
    a, b = ab_mmlu(metric)
    assert_arm(a, expected["a"])
    assert_arm(b, expected["b"])
    assert_difference(difference(a, b), expected["difference"])
    assert_relative(relative_difference(a, b), expected["relative"])


def test_published_numbers() -> None:
    """
    The numbers that our documentation prints for the MMLU test come out.
    """
    found = difference(*ab_mmlu("correct"))
    assert isinstance(found, Difference)
    assert found.difference == pytest.approx(-0.14990, abs=5e-6)
    assert found.standard_error == pytest.approx(0.016264, abs=5e-7)
    assert found.dof == pytest.approx(528.7, abs=0.05)
    assert found.interval == pytest.approx((-0.18185, -0.11795), abs=5e-6)
    assert found.p == pytest.approx(7.2e-19, rel=0.01, abs=0)
    # Known, since both models answered every question: counting calls as
    # independent would have claimed [-.1642, -.1356] and missed it.
    assert found.interval.lower < -0.12496 < found.interval.upper


def test_one_call_per_unit_is_welchs_t_test() -> None:
    """
    Where every unit has one call, all of it is scipy's Welch t test.
    """
    expected = ORACLE["unit_is_call"]
    a, b = (estimated(expected[name], [1] * len(expected[name])) for name in "ab")
    found = difference(a, b)
    assert isinstance(found, Difference)
    assert found.difference / found.standard_error == pytest.approx(expected["t"], rel=1e-12)
    assert found.dof == pytest.approx(expected["dof"], rel=1e-12)
    assert found.p == pytest.approx(expected["p"], rel=1e-10)
    assert found.interval == pytest.approx(expected["interval"], rel=1e-10)


@given(arms, arms)
def test_swapping_arms_mirrors_the_contrast(
    one: list[tuple[float, int]], other: list[tuple[float, int]]
) -> None:
    """
    Exchanging control and treatment negates the difference and keeps p.
    """
    a, b = (estimated(*map(list, zip(*arm, strict=True))) for arm in (one, other))
    there, back = difference(a, b), difference(b, a)
    assume(isinstance(there, Difference) and isinstance(back, Difference))
    assert isinstance(there, Difference)
    assert isinstance(back, Difference)
    assert back.difference == -there.difference
    assert back.interval == (-there.interval.upper, -there.interval.lower)
    assert back.p == there.p
    assert 0 <= there.p <= 1


@given(arms, st.floats(1e-9, 1e9))
def test_scale_of_the_metric_does_not_matter(arm: list[tuple[float, int]], scale: float) -> None:
    """
    In another unit of measure the estimate and its error scale alike.
    """
    totals, counts = map(list, zip(*arm, strict=True))
    plain, scaled = estimated(totals, counts), estimated([t * scale for t in totals], counts)
    assert scaled.estimate == pytest.approx(plain.estimate * scale)
    assert scaled.standard_error == pytest.approx(
        plain.standard_error * scale, rel=1e-6, abs=1e-9 * scaled.estimate
    )


def refusal(found: object) -> str:
    assert isinstance(found, NotEstimable), found
    return found.reason


@pytest.mark.parametrize(
    ("units", "reason"),
    [
        ([], "two are the least"),
        (rows([1], [1]), "two are the least"),
        (rows([1, 2], [0, 0]), "add up to 0"),
        (rows([1, 2], [3, 0]), "all the counts"),
        (rows([1, 2], [1e9, 1]), "nearly all the counts"),
        (rows([1, 2, 3], [1, 5, -1]), "below 0"),
        (rows([1, math.nan], [1, 1]), "not a finite number"),
        (rows([1, 2], [1, math.inf]), "not a finite number"),
        (rows([1, 2], [-math.inf, math.inf]), "not a finite number"),
        (rows([1, 2], [1, 1]) + rows([1], [1]), "more than once"),
    ],
)
def test_an_arm_that_cannot_be_estimated(units: list[UnitSums], reason: str) -> None:
    """
    An arm without enough sound units is refused with the reason.
    """
    assert reason in refusal(ratio(units))


def test_no_variation_is_refused() -> None:
    """
    Two arms without spread give no interval, not one of width 0 with p = 1.
    """
    a, b = estimated([0, 0, 0], [1, 2, 3]), estimated([1, 2], [1, 2])
    assert a.variance == b.variance == 0
    assert "no variation" in refusal(difference(a, b))
    assert "no variation" in refusal(relative_difference(b, b))
    assert "same value" in refusal(ratio_interval(a))


def test_rounding_is_not_variation() -> None:
    """
    A constant price per call has no variance, although its sums were rounded.
    """
    counts = [3.0, 7.0, 11.0, 1.0]
    assert estimated([sum([0.1] * int(n)) for n in counts], counts).variance == 0


def test_one_constant_arm_leaves_the_other_arms_error() -> None:
    """
    Against an arm of constant cost, error and degrees of freedom are the other's.
    """
    a, b = estimated([2, 4, 6], [1, 2, 3]), estimated([1, 3, 4], [1, 1, 1])
    found = difference(a, b)
    assert isinstance(found, Difference)
    assert found.standard_error == b.standard_error
    assert found.dof == pytest.approx(b.k_eff - 1)
    assert isinstance(relative_difference(a, b), RelativeDifference)


def test_relative_difference_needs_a_control_clearly_above_zero() -> None:
    """
    A ratio to an arm at, below or not clearly above 0 is refused.
    """
    sound = estimated([5, 6, 7], [1, 1, 1])
    zero = estimated([-1, 0, 1], [1, 1, 1])
    unclear = estimated([0, 0, 5], [1, 1, 1])
    assert "above 0" in refusal(relative_difference(zero, sound))
    assert "above 0" in refusal(relative_difference(sound, zero))
    assert "includes 0" in refusal(relative_difference(unclear, sound))


def test_an_interval_without_an_end_is_refused() -> None:
    """
    Where one unit weighs nearly everything, no infinite interval is given.
    """
    lopsided = estimated([1, 2], [1, 150])
    assert lopsided.k_eff - 1 < 0.02
    assert "no end" in refusal(ratio_interval(lopsided, alpha=1e-4))
    assert "no end" in refusal(difference(lopsided, lopsided, alpha=1e-9))
    assert "no end" in refusal(relative_difference(lopsided, lopsided, alpha=1e-9))
    constant = estimated([2, 4, 6], [1, 2, 3])
    assert "no end" in refusal(relative_difference(constant, lopsided, alpha=1e-9))
    wide = estimated([1, 20], [1, 10])
    assert "no finite upper end" in refusal(relative_difference(constant, wide))
