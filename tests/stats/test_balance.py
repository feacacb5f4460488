"""
The sample-ratio check against scipy, and its alarms.
"""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.stats.balance import Independence, SampleRatio, independence, sample_ratio
from modeltrail.stats.estimate import NotEstimable

ORACLE = json.loads((Path(__file__).parent.parent / "oracle" / "stats.json").read_text())
HALVES = {"A": 0.5, "B": 0.5}


def checked(counts: dict[str, int], weights: dict[str, float]) -> SampleRatio:
    found = sample_ratio(counts, weights)
    assert isinstance(found, SampleRatio)
    return found


@pytest.mark.parametrize("case", ORACLE["sample_ratio"], ids=lambda case: str(case["counts"]))
def test_agrees_with_scipy(case: dict[str, Any]) -> None:
    """
    Chi-squared, its degrees of freedom, p and the log e-value are scipy's.
    """
    arms = "ABC"[: len(case["counts"])]
    found = checked(
        dict(zip(arms, case["counts"], strict=True)), dict(zip(arms, case["weights"], strict=True))
    )
    assert found.chi2 == pytest.approx(case["chi2"], rel=1e-12)
    assert found.dof == case["dof"]
    assert found.p == pytest.approx(case["p"], rel=1e-11, abs=0)
    assert found.log_e_value == pytest.approx(case["log_e_value"], abs=1e-9)


def test_an_arm_of_weight_zero_adds_no_degree_of_freedom() -> None:
    """
    60, 40 and 0 units of 50/50/0 give p = .0455, not the .1353 of two degrees.
    """
    found = checked({"A": 60, "B": 40, "C": 0}, {**HALVES, "C": 0})
    assert found.p == pytest.approx(0.0455, abs=5e-5)
    assert not found.alarm


@pytest.mark.parametrize("weights", [HALVES, {**HALVES, "C": 0.0}])
def test_a_unit_in_an_unplanned_arm_is_an_alarm(weights: dict[str, float]) -> None:
    """
    One unit in an arm that has no planned weight is an alarm by itself.
    """
    found = checked({"A": 50, "B": 50, "C": 1}, weights)
    assert found.unplanned == ("C",)
    assert found.alarm
    assert found.n_units == 100
    assert checked({"C": 1}, weights).alarm


def test_alarm_by_chi2_alone() -> None:
    """
    52/48 of 10,000 is an alarm by p < .001 and by the e-value, 51.7/48.3 by p alone.
    """
    both = checked({"A": 5_200, "B": 4_800}, HALVES)
    assert both.p < 0.001
    assert both.log_e_value > math.log(100)
    assert both.alarm
    one = checked({"A": 5_170, "B": 4_830}, HALVES)
    assert one.p < 0.001
    assert one.log_e_value < math.log(100)
    assert one.alarm


def test_chi2_raises_no_alarm_where_it_does_not_hold() -> None:
    """
    One unit in an arm of .1% after ten units is a chance of 1%, whatever chi-squared says.
    """
    found = checked({"A": 9, "B": 1}, {"A": 0.999, "B": 0.001})
    assert found.p < 1e-20
    assert found.least_expected == pytest.approx(0.01)
    assert not found.alarm


def test_weights_are_scaled() -> None:
    """
    Weights of 1 and 1 mean the same as halves.
    """
    assert checked({"A": 347, "B": 335}, {"A": 1, "B": 1}) == checked({"A": 347, "B": 335}, HALVES)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0.01, 0.99))
def test_names_and_order_of_arms_do_not_matter(a: int, b: int, weight: float) -> None:
    """
    The same counts under other names and in another order give the same answer.
    """
    if a + b == 0:
        return
    one = checked({"A": a, "B": b}, {"A": weight, "B": 1 - weight})
    other = checked({"y": b, "x": a}, {"y": 1 - weight, "x": weight})
    assert one.p == pytest.approx(other.p, rel=1e-9, abs=0)
    assert one.alarm == other.alarm
    assert 0 <= one.p <= 1


@pytest.mark.parametrize(
    ("counts", "weights", "reason"),
    [
        ({}, HALVES, "no units"),
        ({"A": 0, "B": 0}, HALVES, "no units"),
        ({"A": 5}, {"A": 1.0}, "fewer than two arms"),
        ({"A": 5}, {"A": 1.0, "B": 0.0}, "fewer than two arms"),
        ({"A": 5}, {"A": 1.5, "B": -0.5}, "negative"),
        ({"A": 5}, {"A": 0.5, "B": math.nan}, "finite"),
        ({"A": -5, "B": 3}, HALVES, "below 0"),
    ],
)
def test_what_cannot_be_checked(
    counts: dict[str, int], weights: dict[str, float], reason: str
) -> None:
    """
    Without units or a usable plan there is a reason and no number.
    """
    found = sample_ratio(counts, weights)
    assert isinstance(found, NotEstimable)
    assert reason in found.reason


@pytest.mark.parametrize("case", ORACLE["independence"], ids=lambda case: str(case["table"]))
def test_independence_agrees_with_scipy(case: dict[str, Any]) -> None:
    """
    Chi-squared of a table of arms and kinds, its degrees of freedom and p are scipy's.
    """
    table = {
        arm: dict(zip("xyz", row, strict=False))
        for arm, row in zip("ABC", case["table"], strict=False)
    }
    found = independence(table)
    assert isinstance(found, Independence)
    assert found.chi2 == pytest.approx(case["chi2"], rel=1e-12)
    assert found.dof == case["dof"]
    assert found.p == pytest.approx(case["p"], rel=1e-11, abs=0)
    assert found.sparse == (case["least_expected"] < 5)


def test_a_sparse_table_raises_no_alarm() -> None:
    """
    Four units of each of 20 kinds, each in one arm: two are expected in a cell.
    """
    table = {"A": {f"a{n}": 4 for n in range(10)}, "B": {f"b{n}": 4 for n in range(10)}}
    found = independence(table)
    assert isinstance(found, Independence)
    assert found.p < 0.001
    assert (found.sparse, found.alarm) == (True, False)
    dense = independence({"A": {"a": 40}, "B": {"b": 40}})
    assert isinstance(dense, Independence)
    assert dense.alarm


@pytest.mark.parametrize("table", [{}, {"A": {"x": 3}}, {"A": {"x": 3}, "B": {"x": 2, "y": 0}}])
def test_nothing_to_tell_apart(table: dict[str, dict[str, int]]) -> None:
    """
    One arm, or one kind, is no table.
    """
    assert isinstance(independence(table), NotEstimable)
