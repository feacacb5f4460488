"""
The always-valid interval against the mixture it comes from, integrated numerically.
"""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.stats.sequential import (
    always_valid,
    always_valid_p,
    half_width,
    lower_bound,
    rho_squared,
    units_needed,
)

ORACLE = json.loads((Path(__file__).parent.parent / "oracle" / "stats.json").read_text())
CASES = ORACLE["sequential"]


def arguments(case: dict[str, Any]) -> tuple[float, float, int, int, float]:
    return (
        case["estimate"],
        case["standard_error"],
        case["n_units"],
        case["plan_units"],
        case["alpha"],
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["n_units"]))
def test_is_where_the_mixture_reaches_1_over_alpha(case: dict[str, Any]) -> None:
    """
    Half the width and p are those of the integral over all effects.
    """
    estimate = case["estimate"]
    interval = always_valid(*arguments(case))
    assert interval.upper - estimate == pytest.approx(case["half_width"], rel=1e-9)
    assert estimate - interval.lower == pytest.approx(case["half_width"], rel=1e-9)
    assert always_valid_p(*arguments(case)) == pytest.approx(case["p"], rel=1e-9, abs=0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["n_units"]))
def test_one_sided_bound_is_no_closer_than_the_exact_one(case: dict[str, Any]) -> None:
    """
    The closed form of the half-normal mixture is at most 5 % wider than the exact root.
    """
    width = case["estimate"] - lower_bound(*arguments(case))
    assert 1 <= width / case["one_sided"] <= 1.05


def test_the_real_experiment() -> None:
    """
    As published in the notes: about [-19.9, -10.1] points, 3.04 standard errors a side.
    """
    interval = always_valid(-0.14990, 0.016264, 682, 700, 0.05)
    assert [round(100 * end, 1) for end in interval] == [-19.9, -10.1]
    assert half_width(1, 682, 700, 0.05) == pytest.approx(3.04, abs=0.005)
    assert half_width(1, 682, 5_000, 0.05) == pytest.approx(3.60, abs=0.005)


def test_nothing_seen_is_p_1_and_a_great_effect_is_never_0() -> None:
    """
    t = 0 gives 1; t = 38 gives far less than 1e-16, but not 0.
    """
    assert always_valid_p(0.0, 1.0, 100, 100, 0.05) == 1
    assert 0 < always_valid_p(38.0, 1.0, 1_000, 1_000, 0.05) < 1e-250


@given(
    st.floats(-10, 10),
    st.floats(0.01, 10),
    st.integers(2, 10**6),
    st.integers(2, 10**6),
    st.floats(1e-4, 0.3),
)
def test_p_and_interval_agree(
    estimate: float, error: float, n: int, plan: int, alpha: float
) -> None:
    """
    Zero is outside exactly where p is below alpha; and the interval is wider than z.
    """
    interval = always_valid(estimate, error, n, plan, alpha)
    p = always_valid_p(estimate, error, n, plan, alpha)
    if p != pytest.approx(alpha):
        assert (p < alpha) == (interval.lower > 0 or interval.upper < 0)
    assert interval.upper - estimate > error * math.sqrt(2 * math.log(1 / alpha))


@given(st.floats(0.01, 5), st.integers(20, 10_000), st.integers(20, 10_000), st.booleans())
def test_units_needed_are_just_enough(distance: float, n: int, plan: int, one_sided: bool) -> None:
    """
    With so many the interval ends within the distance, and with one less it does not.
    """
    needed = units_needed(distance, 1.0, n, plan, 0.05, one_sided=one_sided)
    if needed is None:
        assert distance < 0.3
        return

    def width(units: int) -> float:
        error = math.sqrt(n / units)
        if one_sided:
            return -lower_bound(0.0, error, units, plan, 0.05)
        return half_width(error, units, plan, 0.05)

    assert width(needed) <= distance
    assert needed == n or width(needed - 1) > distance


def test_no_number_of_units_shows_an_effect_of_0() -> None:
    """
    Neither does a thousand times as many show one that is tiny.
    """
    assert units_needed(0.0, 1.0, 100, 100, 0.05) is None
    assert units_needed(-1.0, 1.0, 100, 100, 0.05) is None
    assert units_needed(1e-6, 1.0, 100, 100, 0.05) is None


def test_the_plan_makes_it_narrowest() -> None:
    """
    At 1,000 units a plan of about 1,000 is narrower than one of 200 or 20,000.
    """
    widths = {plan: half_width(1, 1_000, plan, 0.05) for plan in (200, 1_000, 20_000)}
    assert min(widths, key=widths.__getitem__) == 1_000
    assert rho_squared(1_000, 0.05) == pytest.approx(10 * rho_squared(10_000, 0.05))


@pytest.mark.parametrize(
    "numbers",
    [(0.0, 10, 10, 0.05), (math.inf, 10, 10, 0.05), (1.0, 0, 10, 0.05), (1.0, 10, 0, 0.05)]
    + [(1.0, 10, 10, alpha) for alpha in (0.0, 0.5, 1.0)],
)
def test_impossible_numbers(numbers: tuple[float, int, int, float]) -> None:
    """
    They are errors of the caller.
    """
    with pytest.raises(ValueError, match="standard error|at least 1|alpha"):
        always_valid(0.0, *numbers)
    with pytest.raises(ValueError, match="standard error|at least 1|alpha"):
        lower_bound(0.0, *numbers)


def test_looking_after_every_unit_is_wrong_in_at_most_5_percent() -> None:
    """
    Of 400 walks of 600 tosses, looked at from the 20th on, the fixed-time rule fails a third.
    """
    lots = random.Random(20261126)
    false, naive = 0, 0
    for _ in range(400):
        total, alarmed, crossed = 0.0, False, False
        for n in range(1, 601):
            total += lots.choice((-1, 1))
            if n >= 20:
                error = math.sqrt(max(n - total * total / n, 1)) / n
                crossed = crossed or abs(total / n) > 1.96 * error
                alarmed = alarmed or abs(total / n) > half_width(error, n, 600, 0.05)
        false, naive = false + alarmed, naive + crossed
    assert false <= 20
    assert naive >= 100
