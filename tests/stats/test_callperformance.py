"""
Routers' scores on RouteLLM's published answers, and invariants.
"""

import csv
import gzip
import math
from functools import cache
from pathlib import Path
from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modeltrail.stats.callperformance import Curve, ScoredCall, curve
from modeltrail.stats.estimate import NotEstimable

DATA = Path(__file__).parents[1] / "experiment" / "routellm.csv.gz"


@cache
def answers(benchmark: str) -> list[ScoredCall]:
    """Return what both models made of each question, scored by its length."""
    with gzip.open(DATA, "rt") as file:
        return [
            ScoredCall(float(row["gpt_4"]), float(row["mixtral"]), float(row["prompt_chars"]))
            for row in csv.DictReader(file)
            if row["benchmark"] == benchmark
        ]


def told(found: Curve | NotEstimable) -> Curve:
    """Return a curve that is one."""
    assert isinstance(found, Curve), found
    return found


@pytest.mark.parametrize(
    ("benchmark", "n", "strong", "weak", "best", "best_share"),
    [
        ("mmlu", 14_037, 0.80587, 0.68091, 0.85873, 0.1778),
        ("gsm8k", 1_307, 0.85769, 0.63734, 0.92961, 0.2923),
    ],
)
def test_published_answers(
    benchmark: str, n: int, strong: float, weak: float, best: float, best_share: float
) -> None:
    """
    Both models, the optimal router and the one that draws lots, without contaminated questions.
    """
    found = told(curve([call._replace(score=0) for call in answers(benchmark)]))
    assert found.n_calls == n
    assert found.strong == pytest.approx(strong, abs=5e-6)
    assert found.weak == pytest.approx(weak, abs=5e-6)
    assert found.optimal.quality == pytest.approx(best, abs=5e-6)
    assert found.optimal.strong_share == pytest.approx(best_share, abs=5e-5)
    assert found.threshold(0.5) == pytest.approx(0.5)
    assert found.threshold(0.8) == pytest.approx(0.8)
    assert found.apgr == pytest.approx(0.5)


@pytest.mark.parametrize(("benchmark", "binned"), [("mmlu", 0.5832), ("gsm8k", 0.5982)])
def test_router_by_length(benchmark: str, binned: float) -> None:
    """
    The longer question goes to the stronger model: the area in RouteLLM's ten bins, and below ours.
    """
    found = told(curve(answers(benchmark)))
    gap = found.strong - found.weak
    tenths = [(found.quality_at(i / 10) - found.weak) / gap for i in range(11)]
    area = fmean((a + b) / 2 for a, b in zip(tenths, tenths[1:], strict=False))
    # What is published broke ties by a hash, and not by drawing lots on average.
    assert area == pytest.approx(binned, abs=1e-3)
    assert area < found.apgr < area + 0.005
    # By ranks, as the area under a curve is: the mean gain of calls times the share below them.
    calls = sorted(answers(benchmark), key=lambda call: call.score)
    scores = [call.score for call in calls]
    ranks = {s: (scores.index(s) + scores.count(s) / 2) / len(calls) for s in set(scores)}
    by_ranks = fmean((c.strong - c.weak) * ranks[c.score] for c in calls) / gap
    assert found.apgr == pytest.approx(by_ranks, rel=1e-9)
    assert found.apgr_interval.lower > 0.5
    for recovered in (0.5, 0.8):
        share = found.threshold(recovered)
        assert found.quality_at(share) == pytest.approx(found.weak + recovered * gap)
        assert share < recovered


def test_drawing_lots() -> None:
    """
    Fifty routers that draw lots scatter about 1/2 as their standard error says.
    """
    random = Random(5)
    found = [
        told(curve([call._replace(score=random.random()) for call in answers("gsm8k")]))
        for _ in range(50)
    ]
    areas = [each.apgr for each in found]
    # Published for thirty: .500 with .020.
    assert fmean(areas) == pytest.approx(0.5, abs=4 * 0.02 / math.sqrt(50))
    assert stdev(areas) == pytest.approx(found[0].apgr_standard_error, rel=0.4)
    assert found[0].apgr_standard_error == pytest.approx(0.02, rel=0.1)
    assert sum(e.apgr_interval.lower < 0.5 < e.apgr_interval.upper for e in found) >= 43


def test_standard_error_is_that_of_other_questions() -> None:
    """
    Drawn anew (bootstrap), the area of a score that means something scatters as the error says.
    """
    random = Random(11)
    calls = answers("gsm8k")
    areas = [told(curve(random.choices(calls, k=len(calls)))).apgr for _ in range(100)]
    assert told(curve(calls)).apgr_standard_error == pytest.approx(stdev(areas), rel=0.3)


calls_of = st.lists(
    st.builds(ScoredCall, st.floats(1, 2), st.floats(0, 0.9), st.integers(0, 5)), min_size=3
)


@given(calls_of)
@settings(deadline=None)
def test_any_score(calls: list[ScoredCall]) -> None:
    """
    A score and its opposite share the gap; drawing lots has half; no score beats the optimum.
    """
    found = curve(calls)
    assume(isinstance(found, Curve))
    opposite = told(curve([call._replace(score=-call.score) for call in calls]))
    lots = told(curve([call._replace(score=1) for call in calls]))
    assert told(found).apgr + opposite.apgr == pytest.approx(1)
    assert lots.apgr == pytest.approx(0.5)
    assert all(point.quality <= told(found).optimal.quality + 1e-9 for point in told(found).points)
    assert told(found).threshold(0) == 0
    assert told(found).threshold(1) == pytest.approx(1)
    assert told(found).quality_at(0) == pytest.approx(told(found).weak)
    assert told(found).quality_at(1) == pytest.approx(told(found).strong)


def test_a_score_that_costs_quality_on_the_way() -> None:
    """
    The threshold is the first share that recovers the gap.
    """
    gains = [1.0] * 6 + [-0.5] * 2 + [0.5] * 2
    found = told(curve([ScoredCall(1 + g, 1, -i) for i, g in enumerate(gains)]))
    # The gap is 6 in ten calls; the curve reaches it after six, and then loses 1 and wins it back.
    assert found.threshold(1) == pytest.approx(0.6)
    assert found.threshold(0.5) == pytest.approx(0.3)
    assert found.quality_at(0.8) == pytest.approx(1.5)


def test_refusals() -> None:
    """
    Where the strong model is not shown to be better there is no gap to recover.
    """
    # Better in 51 of 100 and worse in the others: no more than chance.
    same = [ScoredCall(i < 51, i >= 51, i) for i in range(100)]
    found = curve(same)
    assert isinstance(found, NotEstimable) and "not shown to be better" in found.reason
    for calls, why in (
        ([], "two are the least"),
        ([ScoredCall(1, 0, 1)] * 9, "same in every unit"),
        ([ScoredCall(1, 0, math.nan)] * 9, "not a finite number"),
    ):
        found = curve(calls)
        assert isinstance(found, NotEstimable) and why in found.reason
    for method in (
        told(curve(answers("gsm8k"))).threshold,
        told(curve(answers("gsm8k"))).quality_at,
    ):
        for wrong in (-0.1, 1.1, math.nan):
            with pytest.raises(ValueError):
                method(wrong)
