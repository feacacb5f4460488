"""
Units and effects against statsmodels, and what must hold for all of them.
"""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrail.stats.estimate import NotEstimable, RatioEstimate
from modeltrail.stats.noncentral import noncentral_t_sf
from modeltrail.stats.power import (
    Plan,
    Spread,
    Units,
    arm_spread,
    effect_found,
    power_of,
    share_design_effect,
    share_spread,
    units_needed,
)

ORACLE = json.loads((Path(__file__).parent.parent / "oracle" / "analysis.json").read_text())
ONE = Spread(1.0)
KNOWN = Spread(1.0, math.inf)


def shares(before: float, effect: float, **more: float) -> Plan:
    return Plan(share_spread(before), share_spread(before + effect), **more)


def told(found: Units | float | NotEstimable) -> Units | float:
    assert not isinstance(found, NotEstimable), found
    return found


@pytest.mark.parametrize("case", ORACLE["noncentral_t"])
def test_noncentral_t_is_an_integral(case: list[float]) -> None:
    """The tail that power is made of is mpmath's integral over S, to eight digits or more."""
    *arguments, expected = case
    assert noncentral_t_sf(*arguments) == pytest.approx(expected, rel=1e-8)


def test_noncentral_t_tends_to_the_normal() -> None:
    """With many degrees of freedom it is a shifted normal tail, 1/2 at its centre."""
    assert noncentral_t_sf(3.0, math.inf, 3.0) == 0.5
    assert noncentral_t_sf(3.0, 1e12, 1.0) == pytest.approx(0.02275013194817921, rel=1e-9)
    with pytest.raises(ValueError, match="at least 2"):
        noncentral_t_sf(1.0, 1.9, 1.0)


@pytest.mark.parametrize("case", ORACLE["shares"])
def test_units_for_shares_are_statsmodels(case: list[float]) -> None:
    """Units per arm for a difference of shares: the next whole number."""
    before, effect, alpha, power, expected, _ = case
    found = units_needed(shares(before, effect, alpha=alpha, power=power), effect)
    assert found == Units(math.ceil(expected), math.ceil(expected))


def test_the_documented_number() -> None:
    """From 80 % to 82 %: 6,036 per arm, as by the arcsine too."""
    assert units_needed(shares(0.8, 0.02), 0.02) == (6036, 6036)
    assert math.ceil(ORACLE["shares"][0][-1]) == 6036


@pytest.mark.parametrize("case", ORACLE["means"])
def test_units_for_means_are_statsmodels(case: list[float]) -> None:
    """Units of both arms for a difference of means, also where one arm is larger."""
    effect, alpha, power, ratio, expected = case
    plan = Plan(ONE, ONE, treated=ratio / (1 + ratio), alpha=alpha, power=power)
    # Ours has Welch's degrees of freedom, which are fewer than n - 2 in unequal arms.
    slack = 0 if ratio == 1 else 0.01
    control, treatment = told(units_needed(plan, effect))
    assert math.ceil(expected) <= control <= math.ceil(expected * (1 + slack))
    assert math.ceil(ratio * expected) <= treatment <= math.ceil(ratio * expected * (1 + slack))


@pytest.mark.parametrize("case", ORACLE["always_valid"])
def test_looking_often_has_its_price(case: list[float]) -> None:
    """The always-valid interval takes the units that a test of its smaller alpha takes."""
    effect, alpha, power, _, expected = case
    plan = Plan(KNOWN, KNOWN, alpha=alpha, power=power, rule="always_valid")
    assert units_needed(plan, effect) == (math.ceil(expected), math.ceil(expected))


@pytest.mark.parametrize("case", ORACLE["effects"])
def test_effects_are_statsmodels(case: list[float]) -> None:
    """The smallest effect that so many units per arm find; statsmodels' solver is no finer."""
    n, alpha, power, expected = case
    plan = Plan(ONE, ONE, alpha=alpha, power=power)
    assert effect_found(plan, 2 * n) == pytest.approx(expected, rel=3e-5)


def test_units_of_a_log_that_is_clustered() -> None:
    """n units of unequal sizes have n times the variance, and k_eff / n effective units each."""
    arm = RatioEstimate(n_units=335, k_eff=268.0, count=6700, estimate=0.8, variance=0.0004)
    spread = arm_spread(arm)
    assert spread == Spread(335 * 0.0004, 0.8)
    # p (1 - p) / 6,700 would be the variance of independent calls.
    assert share_design_effect(arm) == pytest.approx(0.0004 / (0.16 / 6700))
    # 20 calls per unit: the same variance by way of the design effect.
    by_share = share_spread(0.8, calls_per_unit=20, design_effect=0.0004 / (0.16 / 6700))
    assert by_share.variance == pytest.approx(335 * 0.0004)


def test_fewer_effective_units_take_more_units() -> None:
    """Where few units make most calls, t is wider: more of them are needed."""
    spreads = (Spread(1.0, share) for share in (1.0, 0.5, 0.2))
    all_alike, half, fifth = (told(units_needed(Plan(each, each), 1.0))[0] for each in spreads)
    assert all_alike == 17 < half < fifth
    # Twenty of which four count have 2 (4 - 1) degrees of freedom: t is 2.447, not 2.024.
    wide = power_of(Plan(Spread(1.0, 0.2), Spread(1.0, 0.2)), 1.0, 40)
    shift = math.sqrt(20 / 2)
    expected = noncentral_t_sf(2.4469118, 6, shift) + noncentral_t_sf(2.4469118, 6, -shift)
    assert wide == pytest.approx(expected, rel=1e-6)


@settings(max_examples=12, deadline=None)
@given(st.floats(0.05, 3), st.floats(0.1, 0.9), st.sampled_from(["one_look", "always_valid"]))
def test_what_is_needed_is_enough_and_no_more(effect: float, treated: float, rule: str) -> None:
    """With the units needed the power is reached, with a few less it is not."""
    plan = Plan(ONE, Spread(2.5), treated=treated, rule=rule)  # type: ignore[arg-type]
    total = sum(told(units_needed(plan, effect)))
    assert power_of(plan, effect, total) >= 0.8 - 1e-9
    assert power_of(plan, effect, total - 2) < 0.8
    assert told(effect_found(plan, total)) <= effect * (1 + 1e-9)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 3), st.integers(10, 1000))
def test_looking_once_finds_more(effect: float, units: int) -> None:
    """What holds at every look has less power than what holds at one."""
    once, often = (Plan(ONE, ONE, rule=rule) for rule in ("one_look", "always_valid"))
    if units >= 20:
        assert power_of(often, effect, units) <= power_of(once, effect, units)
    assert power_of(once, effect, units) == power_of(once, -effect, units)


def test_power_without_an_effect_is_alpha() -> None:
    """An interval excludes 0 with probability alpha where there is nothing."""
    assert power_of(Plan(ONE, Spread(4.0), alpha=0.1), 0.0, 37) == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize(
    ("plan", "effect", "reason"),
    [
        (Plan(ONE, ONE), 0.0, "effect of 0"),
        (Plan(ONE, ONE), math.nan, "effect of 0"),
        (Plan(Spread(0.0), Spread(0.0)), 1.0, "no variation"),
        (Plan(ONE, ONE), 1e-9, "more than 1e"),
    ],
)
def test_what_no_number_of_units_finds(plan: Plan, effect: float, reason: str) -> None:
    """It is refused, not answered by a number."""
    found = units_needed(plan, effect)
    assert isinstance(found, NotEstimable) and reason in found.reason


def test_effects_of_too_few_units_are_refused() -> None:
    """Two units have no interval; units that are all alike no spread."""
    few, alike = effect_found(Plan(ONE, ONE), 2), effect_found(Plan(Spread(0.0), Spread(0.0)), 50)
    assert isinstance(few, NotEstimable) and "too few" in few.reason
    assert isinstance(alike, NotEstimable) and "no variation" in alike.reason
    same = arm_spread(RatioEstimate(10, 10.0, 10, 0.5, 0.0))
    assert isinstance(same, NotEstimable) and "same value" in same.reason
    assert isinstance(share_design_effect(RatioEstimate(9, 9.0, 9, 1.0, 0.0)), NotEstimable)


@pytest.mark.parametrize(
    "wrong", [{"treated": 0.0}, {"treated": 1.0}, {"alpha": 0.5}, {"power": 0.05}, {"power": 1.0}]
)
def test_a_plan_that_makes_no_sense_is_an_error(wrong: dict[str, float]) -> None:
    """Nothing is computed from it."""
    with pytest.raises(ValueError, match="must lie between"):
        Plan(ONE, ONE, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"share": 1.1}, {"share": 0.5, "calls_per_unit": 0}, {"share": 0.5, "design_effect": 0}],
)
def test_a_share_that_makes_no_sense_is_an_error(wrong: dict[str, float]) -> None:
    """Nothing is computed from it either."""
    with pytest.raises(ValueError, match="no share|above 0"):
        share_spread(**wrong)
