"""
The cheapest model that is not worse: by formula on real answers, and how often it is wrong.
"""

import csv
import gzip
import math
from collections import defaultdict
from functools import cache
from pathlib import Path
from random import Random
from statistics import NormalDist, fmean, stdev

import pytest

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.cheapest import Recommendation, cheapest_not_worse
from modeltrail.experiment.logged import Calls, cheapest_by_log
from modeltrail.experiment.routing import Answer, Worth
from modeltrail.stats.estimate import Difference, NotEstimable
from modeltrail.stats.expected import fold
from modeltrail.stats.offpolicy import LoggedCall

HERE = Path(__file__).parent


@cache
def mmlu() -> list[Answer]:
    """Return both models' answers, at the list prices of an answer's input (derived)."""
    with gzip.open(HERE / "routellm.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["benchmark"] == "mmlu"]
    return [
        Answer(
            row["question_id"],
            row["question_id"],
            row["feature"],
            model,
            round(int(row["prompt_chars"]) / 4 * nanousd_per_token),
            float(row[model]),
        )
        for row in rows
        for model, nanousd_per_token in (("gpt_4", 24_700), ("mixtral", 240))
    ]


def told(found: Recommendation | NotEstimable) -> Recommendation:
    """Return a recommendation that is one."""
    assert isinstance(found, Recommendation), found
    return found


def worth(found: Worth | NotEstimable) -> Worth:
    """Return a worth that is one."""
    assert isinstance(found, Worth), found
    return found


def gaps_by_domain() -> dict[str, list[float]]:
    """Return Mixtral's quality less GPT-4's, by domain."""
    pairs: dict[str, dict[str, float]] = defaultdict(dict)
    for answer in mmlu():
        pairs[answer.question][answer.model] = answer.quality
    domains: dict[str, list[float]] = defaultdict(list)
    for question, pair in pairs.items():
        domains[question.split("/")[1]].append(pair["mixtral"] - pair["gpt_4"])
    return domains


def test_real_domains() -> None:
    """
    The domains where Mixtral is shown to be within .1 of GPT-4 are those of the plain z test.
    """
    found = told(cheapest_not_worse(mmlu(), margin=0.1))
    domains = gaps_by_domain()
    p = {}
    for domain, gaps in domains.items():
        z = (fmean(gaps) + 0.1) / (stdev(gaps) / math.sqrt(len(gaps)))
        p[domain] = NormalDist().cdf(-z)
    expected = set()
    for rank, domain in enumerate(sorted(p, key=p.__getitem__)):
        # Holm goes on until the first that fails.
        if p[domain] * (len(p) - rank) > 0.05:
            break
        expected.add(domain)
    chosen = {choice.segment for choice in found.choices if choice.model == "mixtral"}
    assert found.baseline == "gpt_4"
    assert len(found.choices) == 57
    assert chosen == expected
    assert 0 < len(chosen) < 20


def test_policy_is_valued_on_the_other_half() -> None:
    """
    Each half of the questions has the choices of the other half; beside it stand both baselines.
    """
    found = told(cheapest_not_worse(mmlu(), margin=0.1))
    by_half = [[a for a in mmlu() if fold(a.unit, 2) == half] for half in (0, 1)]
    total, cost, n = 0.0, 0, 0
    for half in (0, 1):
        others = told(cheapest_not_worse(by_half[1 - half], margin=0.1))
        models = {choice.segment: choice.model for choice in others.choices}
        routed = [a for a in by_half[half] if a.model == models[a.segment]]
        total += sum(a.quality for a in routed)
        cost += sum(a.cost_nanousd or 0 for a in routed)
        n += len(routed)
    assert n == 14_037
    assert worth(found.policy).quality.estimate == pytest.approx(total / n)
    assert worth(found.policy).cost_nanousd.estimate == pytest.approx(cost / n)
    gpt_4, mixtral = 0.8058702, 0.6809147
    assert worth(found.single).quality.estimate == pytest.approx(gpt_4, abs=1e-7)
    assert worth(found.random).quality.estimate == pytest.approx((gpt_4 + mixtral) / 2, abs=1e-7)
    assert isinstance(found.quality, Difference)
    assert found.quality.difference == pytest.approx(total / n - gpt_4, abs=1e-7)
    assert isinstance(found.cost_nanousd, Difference)
    assert found.cost_nanousd.interval.upper < 0


def made(
    random: Random, chances: dict[str, dict[str, float]], n: int, costs: dict[str, int]
) -> list[Answer]:
    """Return answers that are right with these chances, by segment and model."""
    return [
        Answer(f"{s}{i}", f"{s}{i}", s, model, costs[model], float(random.random() < chance))
        for s, models in chances.items()
        for i in range(n)
        for model, chance in models.items()
    ]


COSTS = {"small": 1, "medium": 10, "large": 100}


def test_three_models() -> None:
    """
    In each segment the cheapest that is good enough; where that is not shown the best stays.
    """
    chances = {
        "easy": {"small": 0.95, "medium": 0.95, "large": 0.95},
        "hard": {"small": 0.2, "medium": 0.9, "large": 0.9},
        "hardest": {"small": 0.1, "medium": 0.3, "large": 0.9},
    }
    answers = made(Random(4), chances, 800, COSTS)
    few = made(Random(4), {"few": chances["easy"]}, 29, COSTS)
    found = told(cheapest_not_worse([*answers, *few], margin=0.1))
    assert {choice.segment: choice.model for choice in found.choices} == {
        "easy": "small",
        "few": "large",
        "hard": "medium",
        "hardest": "large",
    }
    assert {choice.segment: choice.n_units for choice in found.choices}["few"] == 29
    assert {choice.segment: set(choice.p) for choice in found.choices} == {
        "easy": {"small", "medium"},
        "few": set(),
        "hard": {"small", "medium"},
        "hardest": {"small", "medium"},
    }
    assert worth(found.policy).cost_nanousd.estimate == pytest.approx((1 + 10 + 100) / 3, rel=0.1)
    assert worth(found.random).cost_nanousd.estimate == pytest.approx(37)
    assert worth(found.single).cost_nanousd.estimate == 100


def test_not_worse_than_a_baseline() -> None:
    """
    A model that is as good as the baseline will do, though another one is better than both.
    """
    chances = {"s": {"small": 0.7, "medium": 0.7, "large": 0.95}}
    answers = made(Random(8), chances, 800, COSTS)
    assert told(cheapest_not_worse(answers, margin=0.1)).choices[0].model == "large"
    found = told(cheapest_not_worse(answers, margin=0.1, baseline="medium"))
    assert (found.baseline, found.choices[0].model) == ("medium", "small")
    assert worth(found.single).cost_nanousd.estimate == COSTS["medium"]
    with pytest.raises(ConfigurationError, match="no answer of 'huge'; choose from large, medium"):
        cheapest_not_worse(answers, margin=0.1, baseline="huge")


def test_best_single_that_is_the_cheapest() -> None:
    """
    Where the cheapest model is the best one nothing is cheaper.
    """
    chances = {"s": {"small": 0.9, "large": 0.5}}
    found = told(cheapest_not_worse(made(Random(4), chances, 300, COSTS), margin=0.1))
    assert found.baseline == found.choices[0].model == "small"
    assert isinstance(found.quality, NotEstimable)
    assert found.policy == found.single


@pytest.mark.slow
def test_of_which_model_the_best_single_one_is() -> None:
    """
    Each half of the units has the best one of the other half: it is told if these differ.
    """
    random = Random(2)
    names = [f"q{i}" for i in range(400)]
    # In one half the one model is the better one, in the other half the other.
    chances = {"a": (0.9, 0.6), "b": (0.6, 0.9)}
    answers = [
        Answer(name, name, "f", model, cost, float(random.random() < both[fold(name, 2)]))
        for name in names
        for (model, both), cost in zip(chances.items(), (7, 9), strict=True)
    ]
    found = told(cheapest_not_worse(answers, margin=0.01))
    assert found.singles == ("b", "a")
    half = sum(fold(name, 2) for name in names) / len(names)
    expected = 9 * (1 - half) + 7 * half
    assert worth(found.single).cost_nanousd.estimate == pytest.approx(expected)
    named = told(cheapest_not_worse(answers, margin=0.01, baseline="a"))
    assert named.singles == ("a", "a")


def test_how_many_choices_are_those_of_the_halves() -> None:
    """
    A segment of 44 units is chosen for by all of them; either half has too few.
    """
    random = Random(4)
    answers = [
        Answer(f"{segment}{i}", f"{segment}{i}", segment, model, cost, float(random.random() < 0.9))
        for segment, n in (("few", 44), ("many", 400))
        for i in range(n)
        for model, cost in (("small", 1), ("large", 9))
    ]
    found = told(cheapest_not_worse(answers, margin=0.3, baseline="large"))
    assert [choice.model for choice in found.choices] == ["small", "small"]
    assert found.alike == 1
    # What is valued is the one choice, of 400 in 444.
    expected = (400 * 1 + 44 * 9) / 444
    assert worth(found.policy).cost_nanousd.estimate == pytest.approx(expected)


def one_each(counts: dict[str, int], cost: dict[str, int | None]) -> list[Answer]:
    """Return answers of which nine in ten are right, each to a question of its own."""
    return [
        Answer(f"{model}{i}", "", "f", model, cost[model], float(i % 10 > 0 or n == 1))
        for model, n in counts.items()
        for i in range(n)
    ]


def log_of(answers: list[Answer]) -> Calls:
    """Return them as a log that was drawn by halves."""
    quality = [LoggedCall(each.unit, "f", each.model, 0.5, each.quality) for each in answers]
    cost = [
        call._replace(reward=each.cost_nanousd)
        for call, each in zip(quality, answers, strict=True)
        if each.cost_nanousd is not None
    ]
    return Calls(quality, cost)


def test_one_lucky_answer_makes_no_best_model() -> None:
    """
    A model that was tried once, and was right, does not stay where nothing else is shown.
    """
    answers = one_each({"a": 200, "b": 200, "tried": 1}, {"a": 5, "b": 5, "tried": 1})
    found = told(cheapest_by_log(answers, log_of(answers), margin=0.2))
    assert found.baseline == "a"
    assert [choice.model for choice in found.choices] == ["a"]
    # Of models that all have few answers the best one is still the best.
    few = one_each({"a": 9, "b": 1}, {"a": 5, "b": 5})
    assert told(cheapest_by_log(few, log_of(few), margin=0.2)).baseline == "b"


def test_nothing_is_cheaper_than_an_unknown_cost() -> None:
    """
    Where the cost of the model that stays is unknown nobody can say that another one is cheaper.
    """
    counts = {"own": 400, "paid": 400}
    known = one_each(counts, {"own": 5, "paid": 1})
    found = told(cheapest_by_log(known, log_of(known), margin=0.2, baseline="own"))
    assert [choice.model for choice in found.choices] == ["paid"]
    answers = one_each(counts, {"own": None, "paid": 1})
    found = told(cheapest_by_log(answers, log_of(answers), margin=0.2, baseline="own"))
    assert [choice.model for choice in found.choices] == ["own"]
    assert isinstance(found.single, NotEstimable)
    assert "by calls of a known cost, no overlap" in found.single.reason
    assert "'own' for 'f (half 1)'" in found.single.reason


def test_how_often_a_choice_is_wrong() -> None:
    """
    With models that are worse by just the margin in ten segments, one choice in twenty fails.
    """
    random = Random(8)
    chances = {f"s{i}": {"small": 0.7, "medium": 0.7, "large": 0.8} for i in range(10)}
    wrong = 0
    for _ in range(200):
        found = told(cheapest_not_worse(made(random, chances, 60, COSTS), margin=0.1))
        wrong += any(choice.model != "large" for choice in found.choices)
    # Four standard errors of a share of .05 of 200 are .062.
    assert 0 < wrong / 200 < 0.112


def test_refusals() -> None:
    """
    A margin of nothing is a mistake; answers that cannot be compared are refused.
    """
    answers = made(Random(1), {"s": {"small": 0.5, "large": 0.7}}, 50, COSTS)
    for margin, alpha in ((0, 0.05), (-0.1, 0.05), (math.inf, 0.05), (math.nan, 0.05), (0.1, 1)):
        with pytest.raises(ConfigurationError):
            cheapest_not_worse(answers, margin=margin, alpha=alpha)
    assert isinstance(cheapest_not_worse([], margin=0.1), NotEstimable)
    assert isinstance(cheapest_not_worse(answers[:-1], margin=0.1), NotEstimable)
    assert isinstance(cheapest_not_worse(answers[:2], margin=0.1), NotEstimable)
