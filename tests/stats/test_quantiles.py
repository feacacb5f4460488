"""
Quantiles against a bootstrap of whole users and known distributions.
"""

import json
import math
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.stats.estimate import Difference, NotEstimable, UnitSums
from modeltrail.stats.quantiles import (
    QuantileEstimate,
    Ranks,
    UnitValue,
    quantile,
    quantile_difference,
    quantile_from,
    ranks,
)

ORACLE = json.loads((Path(__file__).parent.parent / "oracle" / "analysis.json").read_text())
ARMS = ORACLE["quantiles"]["arms"]


def values(units: list[list[float]]) -> list[UnitValue]:
    return [UnitValue(f"u{i}", value) for i, calls in enumerate(units) for value in calls]


def told(found: QuantileEstimate | NotEstimable) -> QuantileEstimate:
    assert isinstance(found, QuantileEstimate), found
    return found


@pytest.mark.parametrize("expected", ORACLE["quantiles"]["quantiles"], ids=lambda e: str(e["p"]))
def test_moves_as_much_as_when_users_are_drawn_anew(expected: dict[str, Any]) -> None:
    """The values are numpy's; the standard errors agree with 8,000 draws of whole users."""
    for arm, value, deviation in zip(ARMS, expected["values"], expected["deviations"], strict=True):
        found = told(quantile(values(arm), expected["p"]))
        assert found.arm.estimate == value
        # A width between two order statistics is itself uncertain.
        assert found.arm.standard_error == pytest.approx(deviation, rel=0.2)
        assert found.design_effect > 1.5
        assert (found.arm.n_units, found.arm.count) == (150, sum(map(len, arm)))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9, 0.99])
def test_independent_calls_of_a_known_distribution(p: float) -> None:
    """Of exponential values at their own quantiles: sqrt(p (1 - p) / n) over the density."""
    n = 20_000
    exact = [[-math.log1p(-(i + 0.5) / n)] for i in range(n)]
    found = told(quantile(values(exact), p))
    assert found.arm.estimate == pytest.approx(-math.log1p(-p), rel=1e-3)
    assert found.arm.standard_error == pytest.approx(math.sqrt(p / (1 - p) / n), rel=0.02)
    assert found.design_effect == pytest.approx(1, rel=1e-3)


def test_repeated_calls_say_nothing_new() -> None:
    """Each user's one call taken ten times: the same standard error, tenfold design effect."""
    random = Random(1)
    once = [[random.lognormvariate(0, 1)] for _ in range(2_000)]
    a, b = (told(quantile(values(units), 0.5)) for units in (once, [u * 10 for u in once]))
    assert b.design_effect == pytest.approx(10, rel=0.01)
    assert b.arm.standard_error == pytest.approx(a.arm.standard_error, rel=0.25)


def test_difference_has_both_variances() -> None:
    """Treatment less control, its variance the sum of both."""
    a, b = (told(quantile(values(arm), 0.5)).arm for arm in ARMS)
    found = quantile_difference(*map(values, ARMS), 0.5)
    assert isinstance(found, Difference)
    control, treatment = ORACLE["quantiles"]["quantiles"][1]["values"]
    assert found.difference == treatment - control
    assert found.standard_error == pytest.approx(math.hypot(a.standard_error, b.standard_error))


@pytest.mark.parametrize(
    ("n", "p", "expected"),
    [
        (100, 0.5, Ranks(41, 50, 60)),
        # 100 * .55 is 55.00000000000001.
        (100, 0.55, Ranks(46, 55, 65)),
        (381, 0.99, Ranks(374, 378, 381)),
        (73, 0.95, Ranks(66, 70, 73)),
    ],
)
def test_ranks(n: int, p: float, expected: Ranks) -> None:
    """n p -/+ 1.96 sqrt(n p (1 - p)), worked out by hand."""
    assert ranks(n, p) == expected


@pytest.mark.parametrize(("n", "p"), [(380, 0.99), (72, 0.95), (72, 0.05), (3, 0.5), (0, 0.5)])
def test_too_few_calls_are_refused(n: int, p: float) -> None:
    """No value lies beyond the quantile's interval; how many it takes is told."""
    found = ranks(n, p)
    assert isinstance(found, NotEstimable)
    least = {0.99: 381, 0.95: 73, 0.05: 73, 0.5: 4}[p]
    assert f"takes {least}" in found.reason
    assert isinstance(ranks(least, p), Ranks)


@given(st.integers(1, 5_000), st.floats(0.01, 0.99))
def test_ranks_are_in_order(n: int, p: float) -> None:
    """Where there are ranks they are those of n values, the middle one between the others."""
    found = ranks(n, p)
    if isinstance(found, Ranks):
        assert 1 <= found.lower <= found.middle <= found.upper <= n


def test_what_has_no_spread_is_refused() -> None:
    """Equal values, one user, users that are all alike, and what is no number."""
    cases = {
        "all have the value": values([[5.0]] * 100),
        "two are the least": values([list(map(float, range(100)))]),
        "same share": values([[1.0, 2.0, 3.0, 4.0]] * 40),
        "finite": values([[math.nan]] * 100),
    }
    for reason, listed in cases.items():
        found = quantile(listed, 0.5)
        assert isinstance(found, NotEstimable) and reason in found.reason
        for pair in ((listed, values(ARMS[0])), (values(ARMS[0]), listed)):
            assert isinstance(quantile_difference(*pair, 0.5), NotEstimable)


def test_sums_will_do() -> None:
    """Three order statistics and sums per unit, as SQL gives them, are enough."""
    listed = values(ARMS[0])
    in_order = sorted(each.value for each in listed)
    lower, middle, upper = ranks(len(listed), 0.9)  # type: ignore[misc]
    value, width = in_order[middle - 1], in_order[upper - 1] - in_order[lower - 1]
    sums = [
        UnitSums("B", f"u{i}", sum(each <= value for each in calls), len(calls))
        for i, calls in enumerate(ARMS[0])
    ]
    assert quantile_from(value, width, sums, 0.9) == quantile(listed, 0.9)


def test_no_quantile_is_an_error() -> None:
    """p is a share, its ends excluded."""
    for wrong in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            ranks(1_000, wrong)


@pytest.mark.slow
@pytest.mark.parametrize(("p", "sigma"), [(0.5, 0.8), (0.95, 0.8), (0.95, 1.2)])
def test_intervals_hold_their_level(p: float, sigma: float) -> None:
    """
    Of 400 pairs of arms some 95 % of the intervals contain the true difference, 0.

    Users have a level of their own and lognormal numbers of calls. Three standard
    errors of a share of .95 of 400 are .033. Calls taken as independent do not keep it.
    """
    random = Random(20261126)
    held, held_alone, n = 0, 0, 400
    for _ in range(n):
        arms = [latencies(random, 60, sigma) for _ in range(2)]
        alone = [[UnitValue(str(i), v) for i, (_, v) in enumerate(arm)] for arm in arms]
        held += contains_0(quantile_difference(*arms, p))
        held_alone += contains_0(quantile_difference(*alone, p))
    assert 0.917 < held / n < 0.983
    assert held_alone / n < 0.91


def latencies(random: Random, users: int, sigma: float) -> list[UnitValue]:
    """Return calls of users, each with a level of their own."""
    made = []
    for user in range(users):
        level = random.gauss(0, 0.5)
        calls = range(math.ceil(random.lognormvariate(1.2, sigma)))
        made += [UnitValue(f"u{user}", math.exp(level + random.gauss(0, 0.6))) for _ in calls]
    return made


def contains_0(found: Difference | NotEstimable) -> bool:
    assert isinstance(found, Difference), found
    return found.interval.lower < 0 < found.interval.upper
