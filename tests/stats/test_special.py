"""
Tails and quantiles against scipy's numbers, closed forms and symmetries.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.stats import special

HERE = Path(__file__).parent.parent / "oracle"
ORACLE = json.loads((HERE / "stats.json").read_text())
ANALYSIS = json.loads((HERE / "analysis.json").read_text())


@pytest.mark.parametrize("name", ["t_sf", "t_quantile", "chi2_sf", "beta_inc", "gamma_q"])
def test_agrees_with_scipy(name: str) -> None:
    """
    Every function gives scipy's values to twelve digits, far tails included.
    """
    function = getattr(special, name)
    for *arguments, expected in ORACLE[name]:
        assert function(*arguments) == pytest.approx(expected, rel=1e-12, abs=0), arguments


@given(st.floats(1e-8, 1e12))
def test_one_degree_of_freedom_is_cauchy(t: float) -> None:
    """
    With one degree of freedom the tail is the Cauchy distribution's arc tangent.
    """
    assert special.t_sf(t, 1) == pytest.approx(math.atan(1 / t) / math.pi, rel=1e-13)


@given(st.floats(0, 700))
def test_two_degrees_of_freedom_is_exponential(x: float) -> None:
    """
    With two degrees of freedom the chi-squared tail is exp(-x / 2).
    """
    assert special.chi2_sf(x, 2) == pytest.approx(math.exp(-x / 2), rel=1e-12)


@given(st.floats(0.05, 500), st.floats(0.05, 500), st.floats(0, 1))
def test_beta_is_mirrored(a: float, b: float, x: float) -> None:
    """
    The incomplete beta function and its mirror image add up to 1.
    """
    total = special.beta_inc(a, b, x) + special.beta_inc(b, a, 1 - x)
    # 1 - x has rounded x, which the density near an end may multiply.
    assert total == pytest.approx(1, abs=1e-9) or min(x, 1 - x) < 1e-6


@given(st.floats(1e-12, 0.4999), st.floats(0.5, 1e7))
def test_quantile_undoes_survival(p: float, dof: float) -> None:
    """
    The tail beyond a quantile has the probability that was asked for.
    """
    assert special.t_sf(-special.t_quantile(p, dof), dof) == pytest.approx(p, rel=1e-12)


def test_many_degrees_of_freedom_keep_their_digits() -> None:
    """
    A million degrees of freedom cost no digits, as differences of lgamma would.
    """
    # 40-digit values of mpmath 1.4.1.
    assert special.t_sf(2.1904087301300192, 741816.4855254566) == pytest.approx(
        0.014247458784459233, rel=1e-12
    )
    assert special.t_sf(2.0, 1e10) == pytest.approx(0.02275013196167695, rel=1e-12)


@pytest.mark.parametrize("name", ["t_sf", "chi2_sf"])
def test_far_tails_keep_their_digits(name: str) -> None:
    """
    Tails from 1e-13 to 1e-298 are mpmath's, of 60 digits.
    """
    for *arguments, expected in ANALYSIS["far_tails"][name]:
        found = getattr(special, name)(*arguments)
        assert found == pytest.approx(expected, rel=1e-10, abs=0), arguments


def test_beyond_the_smallest_float_is_not_zero() -> None:
    """
    A tail that no float can tell is the smallest there is, which bounds it.
    """
    assert special.t_sf(200.0, 1e6) == special.chi2_sf(1e5, 1) == 5e-324
    assert special.t_sf(-200.0, 1e6) == 1.0


def test_a_tiny_p_is_not_zero() -> None:
    """
    A p value far below 1e-16 keeps its digits.
    """
    assert 2 * special.t_sf(9.2165, 528.74) == pytest.approx(7.2e-19, rel=0.01)


def test_a_quantile_beyond_all_numbers_is_infinite() -> None:
    """
    With hardly any degrees of freedom a far quantile is infinite, not a guess.
    """
    assert special.t_quantile(1e-10, special.LEAST_DOF) == -math.inf


@pytest.mark.parametrize(
    ("function", "arguments"), [(special.gamma_q, (50.0, 49.0)), (special.t_sf, (1.0, 50.0))]
)
def test_no_convergence_is_an_error(
    function: Callable[..., float],
    arguments: tuple[float, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A sum that has not settled is an error, never the last partial sum.
    """
    monkeypatch.setattr(special, "_MOST_TERMS", 3)
    with pytest.raises(ArithmeticError, match="did not converge"):
        function(*arguments)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (special.t_sf, (1.0, 0.0)),
        (special.t_sf, (1.0, math.inf)),
        (special.t_sf, (math.nan, 3.0)),
        (special.t_sf, (math.inf, 3.0)),
        (special.t_quantile, (0.0, 3.0)),
        (special.t_quantile, (1.0, 3.0)),
        (special.chi2_sf, (-1.0, 3.0)),
        (special.chi2_sf, (1.0, 0.0)),
        (special.beta_inc, (0.0, 1.0, 0.5)),
        (special.beta_inc, (1.0, 1.0, 1.5)),
        (special.gamma_q, (1.0, math.nan)),
    ],
)
def test_refuses_what_is_out_of_range(
    function: Callable[..., float], arguments: tuple[float, ...]
) -> None:
    """
    An argument outside the definition is an error, never a number.
    """
    with pytest.raises(ValueError, match="must"):
        function(*arguments)
