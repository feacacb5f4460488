"""
The comparison of variants: its checks, its verdicts and its JSON.
"""

import csv
import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.checks import Check
from modeltrail.experiment.compare import (
    ArmEstimate,
    Comparison,
    Contrast,
    Metric,
    MetricComparison,
    compare,
)
from modeltrail.stats.estimate import NotEstimable, UnitSums

TESTS = Path(__file__).parent.parent
ORACLE = json.loads((TESTS / "oracle" / "stats.json").read_text())
HALVES = {"A": 0.5, "B": 0.5}
CORRECT = Metric("correct", "share", "higher", "Share of correct answers.")
COST = Metric("cost_usd", "usd", "lower", "Derived cost per call.")
SCORE = Metric("score", "score", "higher")


def arm(variant: str, values: list[float], start: int = 0) -> list[UnitSums]:
    return [UnitSums(variant, f"{variant}{start + i}", v, 1) for i, v in enumerate(values)]


def two_arms(shift: float = 0.0, number: int = 40) -> list[UnitSums]:
    values = [5.0 + (i % 7) for i in range(number)]
    return arm("A", values) + arm("B", [v + shift for v in values])


def check(found: Comparison, name: str) -> Check:
    (one,) = (c for c in found.checks if c.name == name)
    return one


def only(found: Comparison) -> MetricComparison:
    (metric,) = found.metrics
    return metric


@pytest.fixture(scope="module")
def ab_mmlu() -> dict[str, list[UnitSums]]:
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0])
    with gzip.open(TESTS / "stats" / "ab_mmlu_by_user.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            unit = sums[row["variant"], row["user_id"]]
            unit[0] += float(row["correct"])
            unit[1] += float(row["cost_usd"])
            unit[2] += 1
    return {
        name: [UnitSums(v, u, s[index], s[2]) for (v, u), s in sums.items()]
        for index, name in enumerate(("correct", "cost_usd"))
    }


def test_a_real_experiment(ab_mmlu: dict[str, list[UnitSums]]) -> None:
    """
    The MMLU test passes its checks: B is worse at answering and better in cost.
    """
    found = compare("rl-mmlu", [CORRECT, COST], ab_mmlu, control="A", weights=HALVES)
    assert found.verdict == "valid"
    assert [c.name for c in found.checks] == [
        "sample_ratio",
        "crossover",
        "heaviest_unit",
        "missing",
        "variation",
    ]
    assert {c.status for c in found.checks} == {"ok"}
    assert check(found, "sample_ratio").detail == "units: A 347, B 335; p=0.65, ln e=-0.94"
    assert [m.verdicts for m in found.metrics] == [{"B": "worse"}, {"B": "better"}]


@pytest.mark.parametrize("index", [0, 1])
def test_a_real_experiment_in_numbers(ab_mmlu: dict[str, list[UnitSums]], index: int) -> None:
    """
    Arms and contrasts of the MMLU test are those of the oracle.
    """
    found = compare("rl-mmlu", [CORRECT, COST], ab_mmlu, control="A").metrics[index]
    expected = ORACLE["ab_mmlu"][found.metric.name]
    for name, oracle in (("A", expected["a"]), ("B", expected["b"])):
        one = found.arms[name]
        assert isinstance(one, ArmEstimate)
        assert (one.n_units, one.n_calls) == (oracle["n_units"], oracle["count"])
        assert one.k_eff == pytest.approx(oracle["k_eff"])
        assert one.estimate == pytest.approx(oracle["estimate"])
        assert one.interval == pytest.approx(oracle["interval"])
    contrast = found.contrasts["B"]
    assert isinstance(contrast, Contrast)
    assert contrast.difference == pytest.approx(expected["difference"]["estimate"])
    assert contrast.interval == pytest.approx(expected["difference"]["interval"])
    assert contrast.p == pytest.approx(expected["difference"]["p"], rel=1e-7, abs=0)
    assert contrast.dof == pytest.approx(expected["difference"]["dof"])
    assert contrast.standard_error == pytest.approx(expected["difference"]["standard_error"])
    assert contrast.relative == pytest.approx(expected["relative"]["relative"])
    assert contrast.relative_interval == pytest.approx(expected["relative"]["interval"])


def test_a_failed_sample_ratio_blanks_every_verdict() -> None:
    """
    With units lost in one arm nothing is better or worse, however clear it looks.
    """
    units = {"score": arm("A", [1, 2, 3] * 40) + arm("B", [7, 8, 9] * 15)}
    found = compare("x", [SCORE], units, control="A", weights=HALVES)
    assert check(found, "sample_ratio").status == "fail"
    assert found.verdict == "invalid"
    assert only(found).verdicts == {"B": "invalid"}


def test_a_unit_in_an_unplanned_arm_is_a_failure() -> None:
    """
    A unit in a variant without planned weight fails the sample ratio by name.
    """
    units = {"score": two_arms() + arm("C", [1])}
    found = compare("x", [SCORE], units, control="A", weights=HALVES)
    assert check(found, "sample_ratio").status == "fail"
    assert "unplanned arms: C" in check(found, "sample_ratio").detail


def test_without_weights_the_sample_ratio_is_unknown() -> None:
    """
    Without a plan the comparison is unchecked, yet has its verdicts.
    """
    found = compare("x", [SCORE], {"score": two_arms(3)}, control="A")
    assert check(found, "sample_ratio").status == "unknown"
    assert found.verdict == "unchecked"
    assert only(found).verdicts == {"B": "better"}


@pytest.mark.parametrize(
    ("shift", "better", "verdict"),
    [
        (3, "higher", "better"),
        (3, "lower", "worse"),
        (-3, "higher", "worse"),
        (-3, "lower", "better"),
        (0.1, "higher", "undecided"),
        (3, None, None),
    ],
)
def test_verdicts(
    shift: float, better: Literal["lower", "higher"] | None, verdict: str | None
) -> None:
    """
    A verdict follows the interval and the metric's good direction, if it has one.
    """
    metric = Metric("score", "score", better)
    found = compare("x", [metric], {"score": two_arms(shift)}, control="A", weights=HALVES)
    assert only(found).verdicts == {"B": verdict}


def test_a_unit_in_two_variants_is_left_out() -> None:
    """
    A unit seen in two variants, even in different metrics, is in no estimate.
    """
    units = {"score": two_arms(), "cost_usd": [*two_arms(), UnitSums("B", "A0", 9, 1)]}
    found = compare("x", [SCORE, COST], units, control="A", weights=HALVES)
    crossover = check(found, "crossover")
    assert crossover.status == "warn"
    assert crossover.detail == "1 of 80 units in more than one variant: left out"
    for metric in found.metrics:
        control, other = metric.arms["A"], metric.arms["B"]
        assert isinstance(control, ArmEstimate)
        assert isinstance(other, ArmEstimate)
        assert (control.n_units, other.n_units) == (39, 40)


def test_a_heavy_unit_is_a_warning() -> None:
    """
    One unit with a tenth of an arm's cost is named as a share of metric and arm.
    """
    units = {"score": arm("A", [1.0, 2.0] * 30) + arm("B", [1.0] * 90 + [10.0])}
    found = check(compare("x", [SCORE], units, control="A"), "heaviest_unit")
    assert found.status == "warn"
    assert found.detail == "10.0% of score in B"


def test_missing_values_are_counted_by_arm() -> None:
    """
    Units that lack a metric which others have are a warning with their numbers.
    """
    units = {"score": two_arms()[:-3], "cost_usd": two_arms()}
    found = check(compare("x", [SCORE, COST], units, control="A"), "missing")
    assert found.status == "warn"
    assert found.detail == "units without a value: score: A 0 of 40, B 3 of 40"
    alone = compare("x", [SCORE], units, control="A")
    assert check(alone, "missing").status == "unknown"


def test_an_arm_without_spread_is_a_warning() -> None:
    """
    A constant arm has no interval, which a check says beside the contrast.
    """
    units = {"score": arm("A", [0.0] * 50) + arm("B", [0.0] * 40 + [1.0] * 10)}
    found = compare("x", [SCORE], units, control="A", weights=HALVES)
    assert check(found, "variation").status == "warn"
    assert "score in A" in check(found, "variation").detail
    control, contrast = only(found).arms["A"], only(found).contrasts["B"]
    assert isinstance(control, ArmEstimate)
    assert isinstance(control.interval, NotEstimable)
    assert isinstance(contrast, Contrast)
    assert isinstance(contrast.relative, NotEstimable)
    assert isinstance(contrast.relative_interval, NotEstimable)


@pytest.mark.parametrize(
    ("units", "reason"),
    [
        ({}, "control 'A': 0 unit(s)"),
        ({"score": arm("B", [1, 2, 3])}, "control 'A': 0 unit(s)"),
        ({"score": arm("A", [1, 2, 3])}, "variant 'B': 0 unit(s)"),
        ({"score": arm("A", [1, 2, 3]) + arm("B", [1])}, "variant 'B': 1 unit(s)"),
        ({"score": arm("A", [1, 1]) + arm("B", [2, 2])}, "no variation"),
    ],
)
def test_what_cannot_be_estimated_is_refused(units: dict[str, list[UnitSums]], reason: str) -> None:
    """
    Too little data gives a reason and an undecided verdict, never a number.
    """
    found = only(compare("x", [SCORE], units, control="A", weights=HALVES))
    contrast = found.contrasts["B"]
    assert isinstance(contrast, NotEstimable)
    assert reason in contrast.reason
    # Three units against none are too few to call the split broken.
    assert found.verdicts == {"B": "undecided"}


def test_three_arms_are_each_compared_with_control() -> None:
    """
    Every other variant has its own contrast; control has none and comes first.
    """
    units = {"score": arm("C", [3.0, 4, 5]) + arm("A", [1.0, 2, 3]) + arm("B", [2.0, 3, 5])}
    found = only(compare("x", [SCORE], units, control="B"))
    assert list(found.arms) == ["B", "A", "C"]
    assert list(found.contrasts) == ["A", "C"]


def test_nothing_is_sure_without_units() -> None:
    """
    An experiment that has not begun is unchecked: every check is unknown or idle.
    """
    found = compare("x", [SCORE], {}, control="A", weights=HALVES)
    assert found.verdict == "unchecked"
    assert check(found, "crossover").status == "unknown"
    assert check(found, "heaviest_unit").status == "unknown"


@given(
    st.lists(st.integers(1, 1000), min_size=3, max_size=8),
    st.lists(st.integers(1, 1000), min_size=3, max_size=8),
)
def test_exchanging_control_negates_the_contrast(one: list[int], other: list[int]) -> None:
    """
    With the other arm as control the difference is the same with the other sign.
    """
    units = {"score": arm("A", [*map(float, one)]) + arm("B", [*map(float, other)])}
    there = only(compare("x", [SCORE], units, control="A")).contrasts["B"]
    back = only(compare("x", [SCORE], units, control="B")).contrasts["A"]
    if isinstance(there, NotEstimable):
        assert back == there
        return
    assert isinstance(back, Contrast)
    assert back.difference == -there.difference
    assert back.p == pytest.approx(there.p)
    if isinstance(there.relative, float) and isinstance(back.relative, float):
        assert (1 + there.relative) * (1 + back.relative) == pytest.approx(1)


def test_plain_data_is_json(ab_mmlu: dict[str, list[UnitSums]]) -> None:
    """
    The comparison as plain data survives JSON, refusals and tiny p included.
    """
    units = {**ab_mmlu, "score": arm("A", [1.0])}
    found = compare("rl-mmlu", [CORRECT, SCORE], units, control="A", weights=HALVES).to_dict()
    back: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
    assert back == found
    assert back["schema"] == "modeltrail.compare/1"
    assert "one look" in back["method"]
    assert back["metrics"][0]["metric"]["unit_of_measure"] == "share"
    assert back["metrics"][0]["contrasts"]["B"]["p"] == pytest.approx(7.2e-19, rel=0.01, abs=0)
    assert len(back["metrics"][0]["contrasts"]["B"]["interval"]) == 2
    assert "not_estimable" in back["metrics"][1]["contrasts"]["B"]


@pytest.mark.parametrize(
    ("metrics", "options", "message"),
    [
        ([], {}, "at least one metric"),
        ([SCORE, SCORE], {}, "same name"),
        ([SCORE], {"alpha": 0.0}, "alpha"),
        ([SCORE], {"alpha": 1.0}, "alpha"),
        ([SCORE], {"weights": {"B": 0.5, "C": 0.5}}, "control 'A'"),
        ([SCORE], {"weights": {"A": 0.0, "B": 0.5, "C": 0.5}}, "control 'A'"),
    ],
)
def test_a_question_that_makes_no_sense(
    metrics: list[Metric], options: dict[str, Any], message: str
) -> None:
    """
    A question that no data could answer is an error of the caller.
    """
    with pytest.raises(ConfigurationError, match=message):
        compare("x", metrics, {}, control="A", **options)
