"""
An experiment whose weights were changed on the way.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from recording import request, response

import modeltrail
from modeltrail.experiment.analysis import Asked, analyse
from modeltrail.experiment.checks import Check, Exposed
from modeltrail.experiment.compare import Evidence, compare
from modeltrail.experiment.contrasts import ArmEstimate, Contrast
from modeltrail.experiment.metrics import Metric
from modeltrail.experiment.phases import Phases
from modeltrail.experiment.plan import Plan
from modeltrail.experiment.results import Comparison, MetricComparison
from modeltrail.stats.estimate import NotEstimable, UnitSums
from modeltrail.trail import Trail

SCORE = Metric("score", "score", "higher")
# Variant, phase, units, mean: values are one less and one more in turn.
SIMPSON = [("A", "1", 40, 10), ("B", "1", 10, 10), ("A", "2", 10, 20), ("B", "2", 40, 20)]
WEIGHTS = {"1": {"A": 0.8, "B": 0.2}, "2": {"A": 0.2, "B": 0.8}}


def compared(
    arms: list[tuple[str, str, int, int]], weights: Any = WEIGHTS, metric: Metric = SCORE
) -> Comparison:
    rows, of_unit = [], {}
    for variant, phase, number, mean in arms:
        for n in range(number):
            unit = f"{variant}{phase}-{n}"
            of_unit[unit] = phase
            rows.append(UnitSums(variant, unit, mean + (-1, 1)[n % 2], 1))
    exposed = [Exposed(each.variant, each.unit) for each in rows]
    evidence = Evidence({metric.name: rows}, exposed, phases=Phases(weights, of_unit, 0))
    return compare("x", [metric], evidence, Plan("A", {"A": 0.5, "B": 0.5}))


def contrast(found: MetricComparison, name: str = "B") -> Contrast:
    one = found.contrasts[name]
    assert isinstance(one, Contrast)
    return one


def check(found: Comparison, name: str) -> Check:
    (one,) = (each for each in found.checks if each.name == name)
    return one


def test_change_of_weights_makes_no_difference() -> None:
    """
    Means of 12 and 18 over all units are 15 and 15 within phases of 50 units each.

    A mean of n values at a distance of 1 has the variance 1 / (n - 1); that of an arm is
    .25 / 39 + .25 / 9 = .03419, of the difference twice that. Satterthwaite's degrees of
    freedom of an arm are .03419^2 / ((.25 / 39)^2 / 39 + (.25 / 9)^2 / 9) = 13.47.
    """
    (metric,) = compared(SIMPSON).metrics
    arms = [each for each in metric.arms.values() if isinstance(each, ArmEstimate)]
    assert [each.estimate for each in arms] == [15, 15]
    assert [each.n_units for each in arms] == [50, 50]
    found = contrast(metric)
    assert (found.difference, found.n_units) == (0, 100)
    assert found.standard_error**2 == pytest.approx(2 * (0.25 / 39 + 0.25 / 9))
    assert found.dof == pytest.approx(26.94, abs=0.01)


def test_phases_count_by_their_units() -> None:
    """A difference of 0 in 50 units and one of 3 in 150 are one of 2.25."""
    arms = [*SIMPSON[:2], ("A", "2", 30, 20), ("B", "2", 120, 23)]
    assert contrast(compared(arms).metrics[0]).difference == pytest.approx(2.25)


def test_each_phase_has_its_own_sample_ratio() -> None:
    """40 and 10 fit .8 and .2; had .5 and .5 been planned in one phase, it fails."""
    as_planned = check(compared(SIMPSON), "sample_ratio")
    assert as_planned.status == "ok"
    assert as_planned.detail.startswith("phase 1: units: A 40, B 10; p=1, ")
    assert "; phase 2: units: A 10, B 40; p=1, " in as_planned.detail
    broken = compared(SIMPSON, {**WEIGHTS, "2": {"A": 0.5, "B": 0.5}})
    assert check(broken, "sample_ratio").status == "fail"
    assert broken.verdict == "invalid"
    unknown = compared(SIMPSON, {**WEIGHTS, "2": None})
    assert check(unknown, "sample_ratio").status == "unknown"
    assert unknown.verdict == "undecided"


def test_phase_of_few_units_does_not_count_yet() -> None:
    """Nine of an arm are not ten; with no phase left there is no difference."""
    found = compared([*SIMPSON[:2], ("A", "2", 9, 20), ("B", "2", 36, 20)])
    assert contrast(found.metrics[0]).n_units == 50
    none = compared([("A", "1", 36, 10), ("B", "1", 9, 10)], {"1": WEIGHTS["1"]})
    refused = none.metrics[0].contrasts["B"]
    assert isinstance(refused, NotEstimable)
    assert "no phase has 10 units of each" in refused.reason


def test_shares_of_single_calls_within_phases() -> None:
    """Newcombe's interval knows no phases; an arm of nothing but zeros may still fail."""
    rows = [UnitSums(v, f"{v}{n}", 0, 1) for v in "AB" for n in range(40)]
    phases = Phases(
        {"1": {"A": 0.5, "B": 0.5}, "2": {"A": 0.5, "B": 0.5}},
        {row.unit: "12"[place % 2] for place, row in enumerate(rows)},
        0,
    )
    exposed = [Exposed(each.variant, each.unit) for each in rows]
    errors = Metric("errors", "share", "lower")
    evidence = Evidence({"errors": rows}, exposed, phases=phases)
    found = contrast(compare("x", [errors], evidence, Plan("A")).metrics[0])
    assert (found.fixed_method, found.design_effect) == ("t", None)
    # 2 of 24 in each phase and arm: 4 W^2 p (1 - p) / 24 with W = 1/2.
    assert found.standard_error**2 == pytest.approx(2 / 24 * 22 / 24 / 24)


@pytest.fixture
def trail(url: str) -> Iterator[Trail]:
    with modeltrail.open(url) as opened:
        yield opened


def begin(trail: Trail, control: float) -> str:
    arms = {"control": control, "mini": 1 - control}
    phase = trail.experiment("exp", arms, control="control", plan_units=60).phase
    assert trail.flush(10)
    return phase


def call(trail: Trail, phase: str | None, variant: str, unit: str, seconds: int) -> None:
    tags = {"experiment": "exp", "variant": variant, "unit": unit, "phase": phase}
    tags |= {"unit_type": "user", "feature": "chat"}
    run = f"{phase}-{variant}-{unit}-{seconds}"
    ended = response(latency_us=seconds * 1_000_000)
    trail.recorder.start(request(run, tags=tags)).stop(ended)


def test_phases_through_the_store(trail: Trail) -> None:
    """
    After a change from .5 to .6 what a unit does later is in no figure, nor its outcome.

    Calls of the first phase last 1 or 3 s, in the second 5 or 7 s, whatever the variant: the
    difference is 0 within each. u-0 came back, in the other variant.
    """
    first = begin(trail, 0.5)
    for n in range(24):
        call(trail, first, ("control", "mini")[n % 2], f"u-{n}", (1, 3)[n % 4 > 1])
    second = begin(trail, 0.6)
    for n in range(40):
        call(trail, second, ("control", "mini")[n % 2], f"v-{n}", (5, 7)[n % 4 > 1])
    call(trail, second, "mini", "u-0", 9_000)
    trail.outcome("resolved", 1, unit="u-0")
    assert trail.flush(20)
    asked = Asked(metrics=("latency", "latency:p50", "outcome:resolved"), by_feature=True)
    found = analyse(trail.store, "exp", asked)
    assert first != second
    assert found.units == {"control": 32, "mini": 32}
    assert check(found, "crossover").status == "ok"
    phases = check(found, "phases")
    assert (phases.status, "1 units came back" in phases.detail) == ("ok", True)
    assert check(found, "sample_ratio").detail.count("control 12, mini 12") == 1
    latency = found.metrics[0]
    assert contrast(latency, "mini").difference == pytest.approx(0, abs=1e-6)
    control = latency.arms["control"]
    assert isinstance(control, ArmEstimate)
    # 24 units of 2 s and 40 of 6 s.
    assert control.estimate == pytest.approx(4_500_000)
    resolved = found.metrics[2].arms
    assert isinstance(resolved["mini"], NotEstimable)
    assert found.segments[0].n_units == 64
    assert found.method.endswith("within phases, weighted by their units")
    assert "phases" not in {each.name for each in analyse(trail.store, "exp", halves()).checks}


def halves() -> Asked:
    return Asked(weights={"control": 0.5, "mini": 0.5})


def test_calls_of_no_declared_phase_decide_nothing(trail: Trail) -> None:
    """Their planned weights are not known."""
    begin(trail, 0.5)
    second = begin(trail, 0.6)
    for n in range(24):
        call(trail, second, ("control", "mini")[n % 2], f"u-{n}", 1 + n % 3)
        call(trail, None, ("control", "mini")[n % 2], f"v-{n}", 1 + n % 3)
    assert trail.flush(20)
    ratio = check(analyse(trail.store, "exp"), "sample_ratio")
    assert ratio.status == "unknown"
    assert ratio.detail.endswith("phase undeclared: the planned weights are not known")
