"""
Models on the same questions: real answers against plain formulas, and what is refused.
"""

import csv
import gzip
import math
from functools import cache
from pathlib import Path
from statistics import fmean, stdev

import pytest

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.routing import (
    Answer,
    Frontier,
    ModelDifference,
    Worth,
    compare_models,
    frontier,
)
from modeltrail.stats.estimate import Difference, Interval, NotEstimable
from modeltrail.stats.hull import AverageQuality

HERE = Path(__file__).parent
HAIKU, FLASH = "claude-3-haiku-20240307", "gemini-2.0-flash-001"
# Student's t with 808 degrees of freedom, two-sided 95 %: Abramowitz and Stegun 26.7.5.
Z = 1.959963984540054
T_808 = Z + (Z**3 + Z) / (4 * 808) + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * 808**2)


@cache
def arena() -> list[Answer]:
    """Return RouterArena's answers of two models with what they cost."""
    with gzip.open(HERE / "routerarena.csv.gz", "rt") as file:
        return [
            Answer(
                row["question_id"],
                row["question_id"],
                row["feature"],
                row["model"],
                round(float(row["cost_usd"]) * 1e9),
                float(row["score"]),
            )
            for row in csv.DictReader(file)
        ]


def column(model: str, field: str) -> list[float]:
    """Return a column of a model's answers, by question."""
    rows = sorted((a for a in arena() if a.model == model), key=lambda answer: answer.question)
    return [float(getattr(answer, field)) for answer in rows]


def answer(question: str, model: str, cost: int | None, quality: float) -> Answer:
    """Return an answer to an independent question."""
    return Answer(question, question, "s", model, cost, quality)


def told(found: Frontier | NotEstimable) -> Frontier:
    """Return a frontier that is one."""
    assert isinstance(found, Frontier), found
    return found


def test_two_models_on_the_same_questions() -> None:
    """
    RouterArena's figures: .5234 and .6901, and the interval of the paired difference.
    """
    found = compare_models(arena(), HAIKU, FLASH)
    assert isinstance(found, ModelDifference)
    assert found.control.quality.estimate == pytest.approx(0.5234, abs=5e-5)
    assert found.treatment.quality.estimate == pytest.approx(0.6901, abs=5e-5)
    # In nano-dollars a call: dollars per 1,000 calls are a millionth.
    assert found.control.cost_nanousd.estimate / 1e6 == pytest.approx(0.1760, abs=5e-5)
    assert found.treatment.cost_nanousd.estimate / 1e6 == pytest.approx(0.0475, abs=5e-5)
    assert isinstance(found.quality, Difference)
    assert found.quality.difference == pytest.approx(0.1668, abs=5e-5)
    assert found.quality.interval == pytest.approx((0.1335, 0.2001), abs=5e-5)


@pytest.mark.parametrize("field", ["quality", "cost_nanousd"])
def test_paired_formula(field: str) -> None:
    """
    Difference, error and interval are those of the column of differences.
    """
    gaps = [b - a for a, b in zip(column(HAIKU, field), column(FLASH, field), strict=True)]
    assert len(gaps) == 809
    error = stdev(gaps) / math.sqrt(809)
    found = compare_models(arena(), HAIKU, FLASH)
    assert isinstance(found, ModelDifference)
    difference = getattr(found, field)
    assert difference.difference == pytest.approx(fmean(gaps), rel=1e-9)
    assert difference.standard_error == pytest.approx(error, rel=1e-9)
    half = (difference.interval.upper - difference.interval.lower) / 2
    assert half == pytest.approx(T_808 * error, rel=1e-6)


def test_frontier_of_real_models() -> None:
    """
    The cheaper model is the better one: the dearer one is off the frontier; knowing all helps.
    """
    found = told(frontier(arena()))
    assert found.n_questions == 809
    assert [(p.model, p.on_pareto, p.on_hull) for p in found.points] == [
        (FLASH, True, True),
        (HAIKU, False, False),
    ]
    flash = column(FLASH, "quality")
    interval = found.points[0].worth.quality.interval
    assert isinstance(interval, Interval)
    assert interval == pytest.approx(
        (
            fmean(flash) - T_808 * stdev(flash) / math.sqrt(809),
            fmean(flash) + T_808 * stdev(flash) / math.sqrt(809),
        ),
        rel=1e-6,
    )
    assert found.aiq == AverageQuality(
        pytest.approx(fmean(flash)), pytest.approx(fmean(flash) * (1 - 0.0475 / 0.1760), rel=1e-3)
    )
    best, cost = [], []
    for haiku, other, haiku_cost, other_cost in zip(
        column(HAIKU, "quality"),
        flash,
        column(HAIKU, "cost_nanousd"),
        column(FLASH, "cost_nanousd"),
        strict=True,
    ):
        best.append(max(haiku, other))
        if haiku == other:
            cost.append(min(haiku_cost, other_cost))
        else:
            cost.append(haiku_cost if haiku > other else other_cost)
    assert isinstance(found.oracle, Worth)
    assert found.oracle.quality.estimate == pytest.approx(fmean(best))
    assert found.oracle.cost_nanousd.estimate == pytest.approx(fmean(cost))
    assert fmean(best) > fmean(flash) + 0.05


def test_frontier_by_hand() -> None:
    """
    Three models whose middle one is off the hull, and twins that share a place.
    """
    rows = [("cheap", 1, (0, 1)), ("middle", 3, (0.1, 1)), ("dear", 5, (0.8, 1.2))]
    found = told(
        frontier(
            answer(f"q{i}", model, cost, quality)
            for model, cost, qualities in [*rows, ("twin", 5, (0.8, 1.2))]
            for i, quality in enumerate(qualities)
        )
    )
    assert [(p.model, p.on_pareto, p.on_hull) for p in found.points] == [
        ("cheap", True, True),
        ("middle", True, False),
        ("dear", True, True),
        ("twin", True, True),
    ]
    # (.5 + 1) / 2 on average over costs of 1 to 5: 3, of a range of 4 or a largest cost of 5.
    assert found.aiq == AverageQuality(pytest.approx(0.75), pytest.approx(0.6))
    # Of 5 calls' cost each, as both twins are best on both questions.
    assert isinstance(found.oracle, Worth)
    assert found.oracle.quality.estimate == pytest.approx(1.0)
    assert found.oracle.cost_nanousd.estimate == 5
    assert isinstance(found.points[0].worth.cost_nanousd.interval, NotEstimable)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([], "no answers"),
        ([answer("q", "a", 1, 1), answer("q", "a", 1, 1)], "more than once"),
        ([answer("q", "a", None, 1)], "is unknown"),
        ([answer("q", "a", 1, math.nan)], "is unknown"),
        ([answer("q", "a", 1, 1), answer("r", "b", 1, 1)], "2 of 2 questions"),
        ([answer("q", "a", 1, 1), answer("q", "b", 1, 1)], "two are the least"),
        (
            [answer("q", "a", 1, 1), answer("q", "b", 1, 1)._replace(unit="u")],
            "two units or two segments",
        ),
        (
            [answer("q", "a", 1, 1), answer("q", "b", 1, 1)._replace(segment="t")],
            "two units or two segments",
        ),
    ],
)
def test_what_cannot_be_compared(answers: list[Answer], why: str) -> None:
    """
    Models are compared on questions that all of them answered, at a known cost.
    """
    found = frontier(answers)
    assert isinstance(found, NotEstimable)
    assert why in found.reason


def test_models_that_are_not_there() -> None:
    """
    A model without an answer is the caller's mistake; too few questions are not.
    """
    with pytest.raises(ConfigurationError, match="no answer of 'gpt'"):
        compare_models(arena(), HAIKU, "gpt")
    found = compare_models([answer("q", "a", 1, 1), answer("q", "b", 1, 1)], "a", "b")
    assert isinstance(found, NotEstimable)
    assert isinstance(compare_models([], "a", "b"), NotEstimable)
