"""
From a trail to a comparison.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from recording import request, response

import modeltrail
from modeltrail.errors import ConfigurationError, RecordNotFoundError
from modeltrail.experiment.analysis import analyse, weights_from
from modeltrail.experiment.compare import ArmEstimate
from modeltrail.storage.queries import Propensity
from modeltrail.trail import Trail


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
    call = trail.recorder.start(request(run, tags={**tags, **more}))
    call.stop(response(latency_us=2_000_000))
    assert trail.flush(10)


def estimate(trail: Trail, name: str, arm: str = "control") -> tuple[float, int, float]:
    """Return a metric's estimate in an arm, its units and its calls."""
    (metric,) = (m for m in analyse(trail.store, "exp").metrics if m.metric.name == name)
    found = metric.arms[arm]
    assert isinstance(found, ArmEstimate)
    return found.estimate, found.n_units, found.n_calls


def test_metrics_are_in_their_units(trail: Trail) -> None:
    """Cost is in dollars, latency in microseconds, errors as a share."""
    assert estimate(trail, "cost_per_call") == (pytest.approx(6.3e-6), 2, 3)
    assert estimate(trail, "latency") == (2_000_000, 2, 3)
    assert estimate(trail, "error_share") == (0, 2, 3)
    assert estimate(trail, "output_tokens", "mini") == (7, 2, 3)


def test_outcomes_are_metrics(trail: Trail) -> None:
    """Each outcome is a score; one named like a metric of ours is kept apart."""
    for unit, value in (("control-1", 1), ("control-2", 0), ("mini-1", 1)):
        trail.outcome("resolved", value, unit=unit)
        trail.outcome("latency", value, unit=unit)
    assert trail.flush(10)
    found = {each.metric.name: each.metric for each in analyse(trail.store, "exp").metrics}
    assert list(found)[4:] == ["outcome:latency", "resolved"]
    assert (found["resolved"].unit_of_measure, found["resolved"].better) == ("score", "higher")
    assert estimate(trail, "resolved") == (0.5, 2, 2)


def test_directions(trail: Trail) -> None:
    """Less cost, fewer errors and less time are better; tokens have no better side."""
    found = {each.metric.name: each.metric.better for each in analyse(trail.store, "exp").metrics}
    assert found == {
        "cost_per_call": "lower",
        "error_share": "lower",
        "latency": "lower",
        "output_tokens": None,
    }


def test_sample_ratio_is_checked_by_logged_propensities(trail: Trail) -> None:
    """A quarter each is a half each of those who take part."""
    assert trail.store.propensities("exp") == [
        Propensity("control", 250_000, 250_000, 0),
        Propensity("mini", 250_000, 250_000, 0),
    ]
    found = analyse(trail.store, "exp")
    assert (found.checks[0].status, found.verdict) == ("ok", "valid")


def test_unlogged_propensity_leaves_the_ratio_unchecked(trail: Trail) -> None:
    """One unit without a propensity, and the plan is not known."""
    add(trail, "mini", "mini-3", "run", propensity_ppm=None)
    found = analyse(trail.store, "exp")
    assert (found.checks[0].status, found.verdict) == ("unknown", "unchecked")


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        ([("a", 500_000, 500_000, 0), ("b", 300_000, 300_000, 0)], {"a": 0.625, "b": 0.375}),
        ([("a", 500_000, 500_000, 0), ("b", 300_000, 400_000, 0)], None),
        ([("a", 500_000, 500_000, 1), ("b", 300_000, 300_000, 0)], None),
        ([("a", 500_000, 500_000, 0), ("b", None, None, 2)], None),
        ([("a", 0, 0, 0), ("b", 300_000, 300_000, 0)], None),
        ([("b", 300_000, 300_000, 0)], None),
        ([], None),
    ],
)
def test_weights(logged: list[Any], expected: dict[str, float] | None) -> None:
    """Weights are known if each variant has exactly one propensity."""
    assert weights_from([Propensity(*each) for each in logged], "a") == expected


def test_control_is_the_one_named_so_or_the_one_asked_for(trail: Trail) -> None:
    """Any arm can be the control."""
    assert analyse(trail.store, "exp").control == "control"
    assert analyse(trail.store, "exp", control="mini").control == "mini"
    with pytest.raises(ConfigurationError, match="choose from control, mini"):
        analyse(trail.store, "exp", control="maxi")


def test_control_that_is_not_clear_is_asked_for(url: str) -> None:
    """Without an arm of that name the arms are listed; calls without one are none."""
    with modeltrail.open(url) as trail:
        add(trail, "B", "u-1", "run-1")
        add(trail, "A", "u-2", "run-2")
        add(trail, None, "u-3", "run-3")
        with pytest.raises(ConfigurationError, match="--control: A, B$"):
            analyse(trail.store, "exp")


def test_unknown_experiment_names_the_known(trail: Trail, tmp_path: Any) -> None:
    """An experiment without calls is none."""
    with pytest.raises(RecordNotFoundError, match="known: exp$"):
        analyse(trail.store, "other")
    with (
        modeltrail.open(f"sqlite:///{tmp_path}/empty.db") as empty,
        pytest.raises(RecordNotFoundError, match="known: none$"),
    ):
        analyse(empty.store, "exp")


def test_calls_without_a_unit_cannot_be_compared(url: str) -> None:
    """Arms without units have no estimate."""
    with modeltrail.open(url) as trail:
        add(trail, "control", None, "run-1")
        add(trail, "mini", None, "run-2")
        found = analyse(trail.store, "exp")
    assert found.verdict == "unchecked"
    assert not any(isinstance(arm, ArmEstimate) for m in found.metrics for arm in m.arms.values())
