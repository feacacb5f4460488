"""
From a trail to a comparison.
"""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recording import request, response
from typer.testing import CliRunner

import modeltrail
from modeltrail.cli.app import app
from modeltrail.errors import ConfigurationError, RecordNotFoundError
from modeltrail.experiment.analysis import Asked, analyse
from modeltrail.experiment.contrasts import ArmEstimate, Contrast
from modeltrail.experiment.plan import Margin
from modeltrail.experiment.planned import weights_from
from modeltrail.experiment.results import Comparison
from modeltrail.storage import Store
from modeltrail.storage.trials import TrialUnit
from modeltrail.trail import Trail

MMLU = Path(__file__).parent.parent / "stats" / "ab_mmlu_by_user.csv.gz"


@pytest.fixture
def trail(url: str) -> Iterator[Trail]:
    """Open a trail and let two units of each arm make calls, the second two of them."""
    with modeltrail.open(url) as opened:
        for variant in ("control", "mini"):
            for unit in (1, 2):
                for number in range(unit):
                    add(opened, variant, f"{variant}-{unit}", f"{variant}-{unit}-{number}")
        yield opened


def add(trail: Trail, variant: str | None, unit: str | None, run: str, **more: Any) -> None:
    """Make a call of 14 tokens in and 7 out, which costs 6,300 nano-dollars."""
    tags = {"experiment": "exp", "variant": variant, "unit": unit, "propensity_ppm": 250_000}
    call = trail.recorder.start(request(run, tags={**tags, "unit_type": "user", **more}))
    call.stop(response(latency_us=2_000_000))
    assert trail.flush(10)


def estimate(trail: Trail, name: str, arm: str = "control") -> tuple[float, int, float]:
    """Return a metric's estimate in an arm, its units and its calls."""
    (metric,) = (m for m in analyse(trail.store, "exp").metrics if m.metric.name == name)
    found = metric.arms[arm]
    assert isinstance(found, ArmEstimate)
    return found.estimate, found.n_units, found.n_calls


def status(found: Comparison, name: str) -> str:
    (check,) = (each for each in found.checks if each.name == name)
    return check.status


def test_metrics_are_in_their_units(trail: Trail) -> None:
    """Cost is in dollars, latency in microseconds, errors as a share."""
    assert estimate(trail, "cost") == (pytest.approx(6.3e-6), 2, 3)
    assert estimate(trail, "cost_per_ok") == (pytest.approx(6.3e-6), 2, 3)
    assert estimate(trail, "latency") == (2_000_000, 2, 3)
    assert estimate(trail, "errors") == (0, 2, 3)
    assert estimate(trail, "tokens", "mini") == (21, 2, 3)


def test_outcomes_are_metrics(trail: Trail) -> None:
    """Those of 0 and 1 are shares, others scores; one named like a metric is kept apart."""
    for unit, value in (("control-1", 1), ("control-2", 0), ("mini-1", 1)):
        trail.outcome("resolved", value, unit=unit)
        trail.outcome("latency", value / 2, unit=unit)
    assert trail.flush(10)
    found = {each.metric.name: each.metric for each in analyse(trail.store, "exp").metrics}
    assert list(found)[:2] == ["outcome:latency", "outcome:resolved"]
    resolved, latency = found["outcome:resolved"], found["outcome:latency"]
    assert (resolved.unit_of_measure, resolved.better) == ("share", "higher")
    assert latency.unit_of_measure == "score"
    assert estimate(trail, "outcome:resolved") == (0.5, 2, 2)
    assert estimate(trail, "outcome:latency") == (0.25, 2, 2)


def test_directions(trail: Trail) -> None:
    """Less cost, fewer errors and less time are better; tokens have no better side."""
    found = {each.metric.name: each.metric.better for each in analyse(trail.store, "exp").metrics}
    assert found == {
        "cost": "lower",
        "cost_per_ok": "lower",
        "errors": "lower",
        "latency": "lower",
        "tokens": None,
    }


def test_caps_and_earlier_names(trail: Trail) -> None:
    """6.3 millionths of a dollar, capped at 5; `cost_per_call` is the cost."""
    found = analyse(trail.store, "exp", Asked(metrics=("cost:cap=5e-6", "cost_per_call")))
    capped, cost = (each.arms["control"] for each in found.metrics)
    assert isinstance(capped, ArmEstimate)
    assert isinstance(cost, ArmEstimate)
    assert (capped.estimate, cost.estimate) == (pytest.approx(5e-6), pytest.approx(6.3e-6))
    assert [each.metric.name for each in found.metrics] == ["cost:cap=5e-06", "cost"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("beauty", "no metric is named 'beauty'; choose from cost, cost_per_ok, errors"),
        ("errors:cap=1", "errors has no cap"),
        ("cost:cap=0", "no number above 0"),
        ("cost:cap=much", "no number above 0"),
    ],
)
def test_metrics_that_are_none(trail: Trail, word: str, message: str) -> None:
    """They are answered with what there is."""
    with pytest.raises(ConfigurationError, match=message):
        analyse(trail.store, "exp", Asked(metrics=(word,)))


def test_sample_ratio_is_checked_by_logged_propensities(trail: Trail) -> None:
    """A quarter each is a half each of those who take part."""
    found = analyse(trail.store, "exp")
    assert found.plan.weights == {"control": 0.5, "mini": 0.5}
    assert (found.checks[0].status, found.plan.unit_type) == ("ok", "user")


def test_unlogged_propensity_leaves_the_ratio_unchecked(trail: Trail) -> None:
    """One unit without a propensity, and the plan is not known; unless it is named."""
    add(trail, "mini", "mini-3", "run", propensity_ppm=None)
    assert analyse(trail.store, "exp").checks[0].status == "unknown"
    named = analyse(trail.store, "exp", Asked(weights={"control": 1, "mini": 1}))
    assert named.checks[0].status == "ok"


def unit(variant: str, ppm: int | None) -> TrialUnit:
    return TrialUnit(variant, "u", None, 1, 0, 1, None, ppm, ())


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        ([("a", 500_000), ("b", 300_000), ("a", 500_000)], {"a": 0.625, "b": 0.375}),
        ([("a", 500_000), ("b", 300_000), ("b", 400_000)], None),
        ([("a", 500_000), ("a", None), ("b", 300_000)], None),
        ([("a", 500_000), ("b", None)], None),
        ([("a", 0), ("b", 300_000)], None),
        ([("b", 300_000)], {"b": 1.0}),
        ([], None),
    ],
)
def test_weights(logged: list[Any], expected: dict[str, float] | None) -> None:
    """Weights are known if each variant has exactly one propensity."""
    assert weights_from([unit(*each) for each in logged]) == expected


def test_control_is_the_one_named_so_or_the_one_asked_for(trail: Trail) -> None:
    """Any arm can be the control."""
    assert analyse(trail.store, "exp").plan.control == "control"
    assert analyse(trail.store, "exp", Asked(control="mini")).plan.control == "mini"
    with pytest.raises(ConfigurationError, match="choose from control, mini"):
        analyse(trail.store, "exp", Asked(control="maxi"))


def test_control_that_is_not_clear_is_asked_for(url: str) -> None:
    """Without an arm of that name the arms are listed; calls without one are counted."""
    with modeltrail.open(url) as trail:
        add(trail, "B", "u-1", "run-1")
        add(trail, "A", "u-2", "run-2")
        add(trail, None, "u-3", "run-3")
        with pytest.raises(ConfigurationError, match="--control: A, B$"):
            analyse(trail.store, "exp")
        found = analyse(trail.store, "exp", Asked(control="A"))
    assert status(found, "assigned") == "warn"


def test_unknown_experiment_names_the_known(trail: Trail, tmp_path: Any) -> None:
    """An experiment without calls is none."""
    with pytest.raises(RecordNotFoundError, match="known: exp$"):
        analyse(trail.store, "other")
    with (
        modeltrail.open(f"sqlite:///{tmp_path}/empty.db") as empty,
        pytest.raises(RecordNotFoundError, match="known: none$"),
    ):
        analyse(empty.store, "exp")


def test_calls_without_a_unit_are_no_units(url: str) -> None:
    """Then no variant has any, and which is the control is not known."""
    with modeltrail.open(url) as trail:
        add(trail, "control", None, "run-1")
        with pytest.raises(ConfigurationError, match="--control: none$"):
            analyse(trail.store, "exp")


def declare(trail: Trail, **changes: Any) -> None:
    given: dict[str, Any] = {
        "control": "control",
        "primary": "cost_per_call",
        "guardrails": {"errors": 0.05},
        "plan_units": 300,
        "alpha": 0.1,
    }
    trail.experiment("exp", {"control": 0.6, "mini": 0.4}, **given | changes)
    assert trail.flush(10)


def test_what_was_declared_counts(url: str) -> None:
    """Control, weights, primary metric, guardrails, planned units and alpha."""
    with modeltrail.open(url) as trail:
        declare(trail)
        add(trail, "control", "u-1", "run-1")
        add(trail, "mini", "u-2", "run-2")
        found = analyse(trail.store, "exp")
        other = analyse(trail.store, "exp", Asked(control="mini", plan_units=10, alpha=0.2))
    plan = found.plan
    assert (plan.control, plan.primary, plan.plan_units, plan.alpha) == (
        "control",
        "cost",
        300,
        0.1,
    )
    assert plan.weights == {"control": 0.6, "mini": 0.4}
    assert plan.guardrails == (Margin("errors", 0.05),)
    assert [(m.metric.name, m.role) for m in found.metrics][:2] == [
        ("cost", "primary"),
        ("errors", "secondary"),
    ]
    assert status(found, "plan") == "ok"
    assert (other.plan.control, other.plan.plan_units, other.plan.alpha) == ("mini", 10, 0.2)


@pytest.mark.parametrize(
    ("units", "verdict"), [(0, "undecided"), (2, "undecided"), (30, "invalid")]
)
def test_declared_control_without_calls(url: str, units: int, verdict: str) -> None:
    """It is the control all the same: its sample ratio tells what is wrong, once enough came."""
    with modeltrail.open(url) as trail:
        declare(trail)
        for number in range(units):
            add(trail, "mini", f"u-{number}", f"run-{number}")
        found = analyse(trail.store, "exp")
    assert (found.verdict, list(found.decisions)) == (verdict, ["mini"])
    assert found.units == {"control": 0, "mini": units}


def test_declared_outcomes_before_the_first_one_is_known(url: str) -> None:
    """They decide as declared, so that nothing is decided yet; other words are no metric."""
    guardrails = {"complaints:lower": 0.1}
    with modeltrail.open(url) as trail:
        declare(trail, primary="outcome:resolved", guardrails=guardrails)
        for number in range(40):
            add(trail, ("control", "mini")[number % 2], f"u-{number}", f"run-{number}")
        found = analyse(trail.store, "exp")
        with pytest.raises(ConfigurationError, match="no metric is named 'beauty'"):
            analyse(trail.store, "exp", Asked(metrics=("beauty",)))
        for number in range(40):
            trail.outcome("complaints", 0, unit=f"u-{number}")
        assert trail.flush(10)
        later = analyse(trail.store, "exp")
    for each in (found, later):
        assert each.verdict == "undecided"
        assert [m.metric.name for m in each.metrics[:2]] == [
            "outcome:resolved",
            "outcome:complaints:lower",
        ]
        assert status(each, "missing") == "warn"
    assert "outcome:resolved: control 20 of 20, mini 20 of 20" in found.checks[3].detail
    assert "complaints" in found.checks[3].detail
    assert "complaints" not in later.checks[3].detail


def test_outcomes_from_before_a_unit_came_are_told_of(url: str) -> None:
    """They are in no figure; those of metrics that are not compared are not spoken of."""
    with modeltrail.open(url) as trail:
        for number in range(4):
            trail.outcome("resolved", 0, unit=f"u-{number}")
            trail.outcome("stars", 3, unit=f"u-{number}")
        assert trail.flush(10)
        for number in range(4):
            add(trail, ("control", "mini")[number % 2], f"u-{number}", f"run-{number}")
            trail.outcome("resolved", 1, unit=f"u-{number}")
        assert trail.flush(10)
        assert estimate(trail, "outcome:resolved") == (1, 2, 2)
        found = analyse(trail.store, "exp", Asked(metrics=("resolved",)))
        other = analyse(trail.store, "exp", Asked(metrics=("cost",)))
    (early,) = (each for each in found.checks if each.name == "early")
    assert early.status == "warn"
    assert early.detail.startswith("4 outcomes were known before the first call of their unit")
    assert "early" not in {each.name for each in other.checks}


def test_what_was_declared_late_or_changed_is_said(url: str) -> None:
    """After the first call, or twice; changed weights are those of nobody."""
    with modeltrail.open(url) as trail:
        add(trail, "control", "u-1", "run-1")
        add(trail, "mini", "u-2", "run-2")
        undeclared = analyse(trail.store, "exp")
        declare(trail)
        late = analyse(trail.store, "exp")
        trail.experiment("exp", {"control": 0.5, "mini": 0.5}, primary="errors")
        assert trail.flush(10)
        twice = analyse(trail.store, "exp")
    details = [each.checks[-2].detail for each in (undeclared, late, twice)]
    assert details[0].startswith("not declared before the data; no planned number of units")
    assert details[1] == "declared after the first call"
    assert details[2].startswith("declared 2 times, the last one counts; declared after")
    assert (late.checks[0].status, twice.checks[0].status) == ("ok", "unknown")
    assert twice.plan.primary == "errors"


def test_a_real_experiment_through_the_store(url: str, tmp_path: Path) -> None:
    """The MMLU log, imported: -.14990, s.e. .016264, 528.7 degrees, p 7.2e-19, [-19.9, -10.1]."""
    path = tmp_path / "log.csv"
    with gzip.open(MMLU, "rt") as file:
        path.write_text(file.read())
    maps = ["variant=variant", "unit=user_id", "cost_usd=cost_usd"]
    sets = ["experiment=rl", "unit_type=user", "propensity_ppm=500000", "started_at=2026-03-02"]
    words = ["--db", url, "import", "calls", str(path), "--outcome", "correct=correct"]
    words += [word for each in maps for word in ("--map", each)]
    words += [word for each in sets for word in ("--set", each)]
    imported = CliRunner().invoke(app, words)
    assert imported.exit_code == 0, imported.output
    store = Store.open(url, create=False)
    found = analyse(store, "rl", Asked(control="A", primary="correct", plan_units=700))
    store.close()
    correct = found.metrics[0].contrasts["B"]
    assert isinstance(correct, Contrast)
    assert correct.difference == pytest.approx(-0.14990, abs=5e-6)
    assert correct.standard_error == pytest.approx(0.016264, abs=5e-7)
    assert correct.dof == pytest.approx(528.7, abs=0.05)
    assert correct.fixed == pytest.approx((-0.18185, -0.11795), abs=5e-6)
    assert correct.fixed_p == pytest.approx(7.2e-19, rel=0.01, abs=0)
    assert correct.always_valid == pytest.approx((-0.199, -0.101), abs=5e-4)
    assert found.decisions["B"].verdict == "worse"
    with gzip.open(MMLU, "rt") as file:
        rows = list(csv.DictReader(file))
    assert sum(found.calls.values()) == len(rows) == 14_037
