"""
Which model for which call: models compared by cost and quality.

Pure functions from answers to figures; nothing here reads a store. At best all models
answered the same questions: those of an evaluation, or calls that were sent to several
models (`shadow`). Calls that each went to ONE model can be compared, too (`frontier_unpaired`),
as well as they were given out at random. What a policy would have done on
these is another question, with another answer: `modeltrail.stats.offpolicy`. How
well a score tells hard calls from easy ones is `modeltrail.stats.callperformance`.

Intervals are those of `modeltrail.stats.estimate`, clustered by unit, for one look.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from modeltrail.errors import ConfigurationError
from modeltrail.stats.estimate import (
    Difference,
    Interval,
    NotEstimable,
    UnitSums,
    ratio,
    ratio_interval,
)
from modeltrail.stats.hull import (
    AverageQuality,
    CostQuality,
    average_quality,
    pareto,
    upper_hull,
)
from modeltrail.stats.paired import paired_difference


class Answer(NamedTuple):
    """
    What one model's answer to one question cost, and how good it was.

    Attributes:
        unit: Whose calls belong together: a user, a session; the question itself
            where questions are independent.
        question: Which question; the same for every model.
        segment: Kind of question: a feature, a domain.
        model: Who answered.
        cost_nanousd: In nano-dollars; None if unknown.
        quality: A score, the higher the better.
    """

    unit: str
    question: str
    segment: str
    model: str
    cost_nanousd: int | None
    quality: float


@dataclass(frozen=True, slots=True)
class Mean:
    """
    A mean per call.

    Attributes:
        estimate: In nano-dollars, or in the quality's unit of measure.
        interval: Of it, or why there is none.
    """

    estimate: float
    interval: Interval | NotEstimable


@dataclass(frozen=True, slots=True)
class Worth:
    """
    What a model, or a way to choose among them, costs and is worth per call.
    """

    cost_nanousd: Mean
    quality: Mean


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """
    One model on the plane of cost and quality.

    Attributes:
        n_answers: How many answers it gave.
        on_pareto: No other model is at least as good and no dearer, by the estimates.
        on_hull: No mixture of other models is, either.
        gap: Its quality less that of the best model; None if it is the best.
    """

    model: str
    n_answers: int
    worth: Worth
    on_pareto: bool
    on_hull: bool
    gap: Difference | NotEstimable | None


@dataclass(frozen=True, slots=True)
class Frontier:
    """
    Models by cost and quality.

    Attributes:
        n_questions: Questions that all models answered; None if each call went to one.
        points: The models, from the cheapest.
        aiq: Area under the hull, in both normalisations.
        oracle: What could be had by knowing every answer: the best one,
            and the cheapest of the best. No router can be better. Unknown where
            each call went to one model.
        unplaced: Models that have no place among the others, and why: their
            cost is unknown, or they have too few units.
    """

    n_questions: int | None
    points: tuple[FrontierPoint, ...]
    aiq: AverageQuality | NotEstimable
    oracle: Worth | NotEstimable
    unplaced: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ModelDifference:
    """
    Treatment less control on the same questions.
    """

    control: Worth
    treatment: Worth
    cost_nanousd: Difference | NotEstimable
    quality: Difference | NotEstimable


# One question's answers, by model.
Question = Mapping[str, Answer]


def questions_of(answers: Iterable[Answer]) -> list[Question] | NotEstimable:
    """
    Put the answers to each question together.

    Returns:
        The questions; or why they cannot be compared: a model has not answered one
        that another has, has answered it twice, a cost or a quality is unknown, or a
        question is of two units or segments.
    """
    questions: defaultdict[str, dict[str, Answer]] = defaultdict(dict)
    for answer in answers:
        if answer.model in questions[answer.question]:
            return NotEstimable(f"{answer.model} has answered {answer.question!r} more than once")
        if answer.cost_nanousd is None or not math.isfinite(answer.quality):
            return NotEstimable(
                f"cost or quality of {answer.model}'s answer to {answer.question!r} is unknown"
            )
        for other in questions[answer.question].values():
            if (other.unit, other.segment) != (answer.unit, answer.segment):
                return NotEstimable(f"{answer.question!r} belongs to two units or two segments")
        questions[answer.question][answer.model] = answer
    if not questions:
        return NotEstimable("there are no answers")
    models = {model for question in questions.values() for model in question}
    missing = sum(len(question) < len(models) for question in questions.values())
    if missing:
        return NotEstimable(
            f"{missing} of {len(questions)} questions were not answered by all "
            f"{len(models)} models: compare on those that were"
        )
    return list(questions.values())


def frontier(answers: Iterable[Answer], *, alpha: float = 0.05) -> Frontier | NotEstimable:
    """
    Show which models are worth their price.

    Args:
        answers: Of every model to the same questions.
        alpha: One less the confidence level of each interval; not adjusted for
            the number of models.

    Returns:
        The frontier; or why there is none: see `questions_of`, or fewer than two units.
    """
    questions = questions_of(answers)
    if isinstance(questions, NotEstimable):
        return questions
    groups = by_model(answer for question in questions for answer in question.values())
    oracle = worths([[_oracle(question) for question in questions]], alpha=alpha)
    if isinstance(oracle, NotEstimable):
        return oracle
    return _frontier(groups, alpha, n_questions=len(questions), oracle=oracle[0])


def frontier_unpaired(answers: Iterable[Answer], *, alpha: float = 0.05) -> Frontier | NotEstimable:
    """
    Show which models are worth their price, from calls that each went to one of them.

    It compares the models only if the calls were given out at random; else it
    also compares the calls that they got. A cost that is unknown is in no mean.

    Args:
        answers: Each to a question of its own.
        alpha: One less the confidence level of each interval.

    Returns:
        The frontier, without an oracle; or why there is none: fewer than two models
        that have two units of a known cost.
    """
    groups = by_model(answers)
    if len(groups) < 2:
        return NotEstimable(f"there is nothing to choose between: {len(groups)} in all")
    unplaced = _unplaced(groups)
    placed = {model: own for model, own in groups.items() if model not in unplaced}
    if len(placed) < 2:
        why = "; ".join(f"{model}: {reason}" for model, reason in unplaced.items())
        return NotEstimable(f"{len(placed)} of {len(groups)} can be placed: {why}")
    unknown = NotEstimable("each call was answered once: which answer is the best is unknown")
    found = _frontier(placed, alpha, n_questions=None, oracle=unknown)
    return found if isinstance(found, NotEstimable) else replace(found, unplaced=unplaced)


def _unplaced(groups: Mapping[str, Sequence[Answer]]) -> dict[str, str]:
    reasons = {}
    for model, own in sorted(groups.items()):
        quality, cost = ratio(quality_sums(own)), ratio(cost_sums(own))
        if isinstance(quality, NotEstimable):
            reasons[model] = quality.reason
        elif isinstance(cost, NotEstimable):
            reasons[model] = f"by calls of a known cost, {cost.reason}"
    return reasons


def by_model(answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    """
    Put the answers of each model together.
    """
    groups: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        groups[answer.model].append(answer)
    return dict(groups)


def _frontier(
    groups: Mapping[str, Sequence[Answer]],
    alpha: float,
    *,
    n_questions: int | None,
    oracle: Worth | NotEstimable,
) -> Frontier | NotEstimable:
    models = sorted(groups)
    found = worths([groups[model] for model in models], alpha=alpha)
    if isinstance(found, NotEstimable):
        return found
    of_model = dict(zip(models, found, strict=True))
    places = {
        model: CostQuality(each.cost_nanousd.estimate, each.quality.estimate)
        for model, each in of_model.items()
    }
    corners = upper_hull(list(places.values()))
    efficient = dict(zip(places, pareto(list(places.values())), strict=True))
    best = max(places, key=lambda model: (places[model].quality, -places[model].cost))
    return Frontier(
        n_questions=n_questions,
        points=tuple(
            FrontierPoint(
                model,
                len(groups[model]),
                of_model[model],
                efficient[model],
                places[model] in corners,
                _gap(groups, best, model, alpha),
            )
            for model in sorted(places, key=places.__getitem__)
        ),
        aiq=average_quality(list(places.values())),
        oracle=oracle,
        unplaced={},
    )


def _gap(
    groups: Mapping[str, Sequence[Answer]], best: str, model: str, alpha: float
) -> Difference | NotEstimable | None:
    if model == best:
        return None
    pair = [quality_sums(groups[name]) for name in (best, model)]
    return paired_difference(*pair, alpha=alpha)


def compare_models(
    answers: Iterable[Answer], control: str, treatment: str, *, alpha: float = 0.05
) -> ModelDifference | NotEstimable:
    """
    Compare two models on the same questions: treatment less control, for one look.

    Raises:
        ConfigurationError: There is no answer of one of the two.
    """
    questions = questions_of(answer for answer in answers if answer.model in {control, treatment})
    if isinstance(questions, NotEstimable):
        return questions
    for model in (control, treatment):
        if model not in questions[0]:
            raise ConfigurationError(f"there is no answer of {model!r}")
    pair = [[question[model] for question in questions] for model in (control, treatment)]
    found = worths(pair, alpha=alpha)
    if isinstance(found, NotEstimable):
        return found
    cost, quality = differences(*pair, alpha=alpha)
    return ModelDifference(found[0], found[1], cost, quality)


def worths(groups: Sequence[Sequence[Answer]], *, alpha: float) -> list[Worth] | NotEstimable:
    """
    Give mean cost and mean quality of each group of answers, or why one has none.
    """
    found = []
    for answers in groups:
        cost, quality = ratio(cost_sums(answers)), ratio(quality_sums(answers))
        if isinstance(cost, NotEstimable):
            return cost
        if isinstance(quality, NotEstimable):
            return quality
        found.append(
            Worth(
                Mean(cost.estimate, ratio_interval(cost, alpha=alpha)),
                Mean(quality.estimate, ratio_interval(quality, alpha=alpha)),
            )
        )
    return found


def differences(
    control: Sequence[Answer], treatment: Sequence[Answer], *, alpha: float = 0.05
) -> tuple[Difference | NotEstimable, Difference | NotEstimable]:
    """
    Give the differences in cost and in quality of two sets of answers.
    """
    return (
        paired_difference(cost_sums(control), cost_sums(treatment), alpha=alpha),
        paired_difference(quality_sums(control), quality_sums(treatment), alpha=alpha),
    )


def cost_sums(answers: Iterable[Answer]) -> list[UnitSums]:
    """
    Sum up the costs that are known by unit.
    """
    return _by_unit(
        (answer.unit, float(answer.cost_nanousd))
        for answer in answers
        if answer.cost_nanousd is not None
    )


def quality_sums(answers: Iterable[Answer]) -> list[UnitSums]:
    """
    Sum up qualities by unit.
    """
    return _by_unit((answer.unit, answer.quality) for answer in answers)


def _oracle(question: Question) -> Answer:
    return min(question.values(), key=lambda answer: (-answer.quality, answer.cost_nanousd or 0))


def _by_unit(rows: Iterable[tuple[str, float]]) -> list[UnitSums]:
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    for unit, value in rows:
        sums[unit][0] += value
        sums[unit][1] += 1
    return [UnitSums("", unit, total, count) for unit, (total, count) in sums.items()]
