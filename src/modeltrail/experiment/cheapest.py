"""
The cheapest model of each segment that is not worse than the best.

A model is not worse than the best of a segment by a margin, whichever the best
may be, if it is not worse by the margin than ANY other one. So its p value is the
largest of its one-sided tests against each of the others, and no correction for having
looked for the best is needed (intersection-union test: Berger, Technometrics 24
(1982) 295). All claims of a recommendation hold together with probability
1 - alpha: the p values of all segments and models are adjusted by Holm.

What the recommended policy is worth is measured on other units than those that
chose it (cross-fitting with two folds): a choice is always flattered by its own data.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.routing import (
    Answer,
    Question,
    Worth,
    differences,
    quality_sums,
    questions_of,
    worths,
)
from modeltrail.stats.estimate import Difference, NotEstimable
from modeltrail.stats.expected import fold
from modeltrail.stats.paired import paired_difference
from modeltrail.stats.shares import holm
from modeltrail.stats.special import t_sf

# A t test on fewer does not hold its level for scores of 0 and 1.
LEAST_UNITS = 30
_FOLDS = 2


@dataclass(frozen=True, slots=True)
class Choice:
    """
    The model for one segment.

    Attributes:
        n_units: Units of the segment.
        model: The cheapest of those shown to be not worse than the best, and of
            the best single model, which needs no proof.
        p: Of each other model, adjusted by Holm over all segments and models:
            at or below alpha it is shown to be not worse. Empty below
            `LEAST_UNITS` units.
    """

    segment: str
    n_units: int
    model: str
    p: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """
    A model for each segment, and what that is worth.

    Attributes:
        margin: By how much quality may be lower than the best model's.
        alpha: One less the confidence of all choices together, and of each interval.
        best_single: The model with the highest mean quality; where nothing cheaper
            is shown to be not worse, it stays.
        choices: By segment.
        policy: What choosing like this is worth, on units that did not choose.
        single: What the best single model is worth, chosen and measured likewise.
        random: What drawing lots among all models is worth.
        cost_nanousd: Cost of a call of the policy less that of the best single model.
        quality: Quality of the policy less that of the best single model.
    """

    margin: float
    alpha: float
    best_single: str
    choices: tuple[Choice, ...]
    policy: Worth
    single: Worth
    random: Worth
    cost_nanousd: Difference | NotEstimable
    quality: Difference | NotEstimable


def cheapest_not_worse(
    answers: Sequence[Answer], *, margin: float, alpha: float = 0.05
) -> Recommendation | NotEstimable:
    """
    Recommend for each segment the cheapest model that is not worse than the best.

    Args:
        answers: Of every model to the same questions.
        margin: By how much the mean quality may be lower, above 0; decide on it
            before looking at the data.
        alpha: Probability that any choice of a cheaper model is wrong.

    Returns:
        The recommendation; or why there is none: see `questions_of`, or too few units.

    Raises:
        ConfigurationError: The margin or alpha is no such number.
    """
    if not (0 < margin < math.inf and 0 < alpha < 1):
        raise ConfigurationError("margin must be above 0, alpha between 0 and 1")
    questions = questions_of(answers)
    if isinstance(questions, NotEstimable):
        return questions
    routed, single = _held_out(questions, margin, alpha)
    everything = [answer for question in questions for answer in question.values()]
    found = worths([routed, single, everything], alpha=alpha)
    if isinstance(found, NotEstimable):
        return found
    policy, alone, lots = found
    cost, quality = differences(single, routed, alpha=alpha)
    return Recommendation(
        margin=margin,
        alpha=alpha,
        best_single=_best_single(questions),
        choices=_choose(questions, margin, alpha),
        policy=policy,
        single=alone,
        random=lots,
        cost_nanousd=cost,
        quality=quality,
    )


def _held_out(
    questions: Sequence[Question], margin: float, alpha: float
) -> tuple[list[Answer], list[Answer]]:
    # What the policy, and the best single model, of the other half would have answered.
    routed, single = [], []
    for half in range(_FOLDS):
        chosen_on = [each for each in questions if fold(_one(each).unit, _FOLDS) != half]
        # With all units in the other half there is nothing to choose on, and no unit to value.
        if not chosen_on:
            chosen_on = list(questions)
        best = _best_single(chosen_on)
        models = {each.segment: each.model for each in _choose(chosen_on, margin, alpha)}
        for question in questions:
            if fold(_one(question).unit, _FOLDS) == half:
                routed.append(question[models.get(_one(question).segment, best)])
                single.append(question[best])
    return routed, single


def _choose(questions: Sequence[Question], margin: float, alpha: float) -> tuple[Choice, ...]:
    best = _best_single(questions)
    segments: defaultdict[str, list[Question]] = defaultdict(list)
    for question in questions:
        segments[_one(question).segment].append(question)
    units = {name: len({_one(each).unit for each in own}) for name, own in segments.items()}
    tests = {
        (segment, model): _not_worse(own, model, margin)
        for segment, own in segments.items()
        if units[segment] >= LEAST_UNITS
        for model in sorted(own[0])
        if model != best
    }
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
    choices = []
    for segment, own in sorted(segments.items()):
        p = {model: p for (where, model), p in adjusted.items() if where == segment}
        shown = [best, *(model for model in p if p[model] <= alpha)]
        choices.append(Choice(segment, units[segment], _cheapest(own, shown), p))
    return tuple(choices)


def _not_worse(questions: Sequence[Question], model: str, margin: float) -> float:
    own = quality_sums(question[model] for question in questions)
    return max(
        _one_sided(
            paired_difference(quality_sums(question[other] for question in questions), own), margin
        )
        for other in questions[0]
        if other != model
    )


def _one_sided(gap: Difference | NotEstimable, margin: float) -> float:
    # Without any spread nothing is shown, however small the difference looks.
    if isinstance(gap, NotEstimable):
        return 1.0
    return t_sf((gap.difference + margin) / gap.standard_error, gap.dof)


def _best_single(questions: Sequence[Question]) -> str:
    return min(
        questions[0],
        key=lambda model: (
            -math.fsum(question[model].quality for question in questions),
            _cost(questions, model),
        ),
    )


def _cheapest(questions: Sequence[Question], models: Sequence[str]) -> str:
    return min(models, key=lambda model: _cost(questions, model))


def _cost(questions: Sequence[Question], model: str) -> int:
    return sum(question[model].cost_nanousd or 0 for question in questions)


def _one(question: Question) -> Answer:
    return next(iter(question.values()))
