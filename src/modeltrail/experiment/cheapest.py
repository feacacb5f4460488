"""
The cheapest model of each segment that is not worse.

Not worse than what? Either than a baseline that was named, or than the best model of the
segment, whichever that may be. A model is not worse than the best by a margin if
it is not worse by the margin than ANY other one. So its p value is then the
largest of its one-sided tests against each of the others, and no correction for having
looked for the best is needed (intersection-union test: Berger, Technometrics 24
(1982) 295). All claims of a recommendation hold together with probability
1 - alpha: the p values of all segments and models are adjusted by Holm.

What the recommended policy is worth is measured on other units than those that
chose it (cross-fitting with two folds): a choice is always flattered by its own data.
Where all models answered the same questions, their answers are at hand; where each call
went to one model, the value is that of `modeltrail.stats.offpolicy`.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.routing import (
    Answer,
    Question,
    Worth,
    by_model,
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
FOLDS = 2

# Of each segment the answers of each model.
Segments = Mapping[str, Mapping[str, Sequence[Answer]]]
# From segment to model, of each fold of units.
Routes = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Choice:
    """
    The model for one segment.

    Attributes:
        n_units: Units of the segment.
        model: The cheapest of those shown to be not worse, and of the model that
            stays otherwise, which needs no proof.
        p: Of each other model, adjusted by Holm over all segments and models:
            at or below alpha it is shown to be not worse. Models without
            `LEAST_UNITS` units have none.
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
        margin: By how much quality may be lower than the baseline's, or the best model's.
        alpha: One less the confidence of all choices together, and of each interval.
        baseline: The model that stays where nothing cheaper is shown to be not worse:
            the one named, else the one with the highest mean quality.
        choices: By segment.
        alike: For how many segments either half of the units chooses what all of them choose.
        policy: What choosing like this is worth, on units that did not choose.
        single: What the baseline is worth; if none was named, the best single
            model, chosen and measured likewise.
        singles: Which model `single` is, by the half of the units that it is measured on.
        random: What drawing lots among all models is worth.
        cost_nanousd: Cost of a call of the policy less that of `single`.
        quality: Quality of the policy less that of `single`.
    """

    margin: float
    alpha: float
    baseline: str
    choices: tuple[Choice, ...]
    alike: int
    policy: Worth | NotEstimable
    single: Worth | NotEstimable
    singles: tuple[str, ...]
    random: Worth | NotEstimable
    cost_nanousd: Difference | NotEstimable
    quality: Difference | NotEstimable


def cheapest_not_worse(
    answers: Sequence[Answer], *, margin: float, alpha: float = 0.05, baseline: str | None = None
) -> Recommendation | NotEstimable:
    """
    Recommend for each segment the cheapest model that is not worse.

    Args:
        answers: Of every model to the same questions.
        margin: By how much the mean quality may be lower, above 0; decide on it
            before looking at the data.
        alpha: Probability that any choice of a cheaper model is wrong.
        baseline: The model not to be worse than, and that stays otherwise. Without
            one it is the best of each segment.

    Returns:
        The recommendation; or why there is none: see `questions_of`, or too few units.

    Raises:
        ConfigurationError: The margin or alpha is no such number, or there is no
            answer of the baseline.
    """
    questions = questions_of(answers)
    if isinstance(questions, NotEstimable):
        check(margin, alpha)
        return questions
    everything = [answer for question in questions for answer in question.values()]
    check(margin, alpha, baseline, questions[0])
    routes, best = fitted(everything, margin, alpha, baseline)
    routed, single = [], []
    for question in questions:
        half = fold(_one(question).unit, FOLDS)
        routed.append(question[routes[half].get(_one(question).segment, best[half])])
        single.append(question[best[half]])
    found = worths([routed, single, everything], alpha=alpha)
    if isinstance(found, NotEstimable):
        return found
    policy, alone, lots = found
    cost, quality = differences(single, routed, alpha=alpha)
    choices = choose(everything, margin, alpha, baseline)
    return Recommendation(
        margin=margin,
        alpha=alpha,
        baseline=baseline or best_single(everything),
        choices=choices,
        alike=agreeing(choices, routes, best),
        policy=policy,
        single=alone,
        singles=tuple(best),
        random=lots,
        cost_nanousd=cost,
        quality=quality,
    )


def check(
    margin: float, alpha: float, baseline: str | None = None, models: Iterable[str] = ()
) -> None:
    """
    Refuse what no recommendation can be made with.

    Raises:
        ConfigurationError: The margin, alpha or the baseline is none.
    """
    if not (0 < margin < math.inf and 0 < alpha < 1):
        raise ConfigurationError("margin must be above 0, alpha between 0 and 1")
    if baseline is not None and baseline not in (known := sorted(models)):
        raise ConfigurationError(
            f"there is no answer of {baseline!r}; choose from {', '.join(known) or 'none'}"
        )


def fitted(
    answers: Sequence[Answer], margin: float, alpha: float, baseline: str | None
) -> tuple[Routes, Sequence[str]]:
    """
    Choose for the units of each fold on the answers of the others.

    Returns:
        The routes of each fold, and the model that stays otherwise.
    """
    routes, best = [], []
    for own in range(FOLDS):
        # With all units in one fold there is nothing to choose on, and no unit to value.
        others = [each for each in answers if fold(each.unit, FOLDS) != own] or answers
        chosen = choose(others, margin, alpha, baseline)
        routes.append({each.segment: each.model for each in chosen})
        best.append(baseline or best_single(others))
    return routes, best


def agreeing(choices: Iterable[Choice], routes: Routes, best: Sequence[str]) -> int:
    """
    Count the segments for which every fold has the choice of all.
    """
    return sum(
        all(
            route.get(choice.segment, other) == choice.model
            for route, other in zip(routes, best, strict=True)
        )
        for choice in choices
    )


def choose(
    answers: Sequence[Answer], margin: float, alpha: float, baseline: str | None
) -> tuple[Choice, ...]:
    """
    Choose a model for each segment.
    """
    stays = baseline or best_single(answers)
    segments = _segments(answers)
    tests = {
        (segment, model): _not_worse(own, model, rivals, margin)
        for segment, own in sorted(segments.items())
        for model in sorted(own)
        if model != stays
        and (rivals := _rivals(own, model, baseline))
        and all(_units(own[each]) >= LEAST_UNITS for each in (model, *rivals))
    }
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
    choices = []
    for segment, own in sorted(segments.items()):
        p = {model: p for (where, model), p in adjusted.items() if where == segment}
        shown = [stays, *(model for model in p if p[model] <= alpha)]
        units = _units([answer for each in own.values() for answer in each])
        choices.append(Choice(segment, units, _cheapest(own, stays, shown), p))
    return tuple(choices)


def best_single(answers: Iterable[Answer]) -> str:
    """
    Return the model with the highest mean quality; of equals the cheapest.

    One of a few lucky answers is not the best: it has `LEAST_UNITS`, if any model has.
    """
    groups = by_model(answers)
    enough = {model: own for model, own in groups.items() if _units(own) >= LEAST_UNITS}
    groups = enough or groups
    return min(groups, key=lambda model: (-_mean_quality(groups[model]), _cost(groups[model])))


def _segments(answers: Iterable[Answer]) -> Segments:
    segments: defaultdict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        segments[answer.segment].append(answer)
    return {segment: by_model(own) for segment, own in segments.items()}


def _rivals(
    models: Mapping[str, Sequence[Answer]], model: str, baseline: str | None
) -> tuple[str, ...]:
    return tuple(each for each in models if each != model and baseline in {None, each})


def _units(answers: Sequence[Answer]) -> int:
    return len({answer.unit for answer in answers})


def _not_worse(
    models: Mapping[str, Sequence[Answer]], model: str, rivals: Sequence[str], margin: float
) -> float:
    own = quality_sums(models[model])
    return max(
        _one_sided(paired_difference(quality_sums(models[other]), own), margin) for other in rivals
    )


def _one_sided(gap: Difference | NotEstimable, margin: float) -> float:
    # Without any spread nothing is shown, however small the difference looks.
    if isinstance(gap, NotEstimable):
        return 1.0
    return t_sf((gap.difference + margin) / gap.standard_error, gap.dof)


def _cheapest(models: Mapping[str, Sequence[Answer]], stays: str, shown: Sequence[str]) -> str:
    # Nothing is known to be cheaper than what has a cost that nobody knows.
    if stays in models and _cost(models[stays]) == math.inf:
        return stays
    return min(shown, key=lambda model: _cost(models.get(model, ())))


def _mean_quality(answers: Sequence[Answer]) -> float:
    return math.fsum(answer.quality for answer in answers) / len(answers)


def _cost(answers: Sequence[Answer]) -> float:
    """
    Return the mean cost; what is unknown is never the cheapest.
    """
    known = [answer.cost_nanousd for answer in answers if answer.cost_nanousd is not None]
    return sum(known) / len(known) if known else math.inf


def _one(question: Question) -> Answer:
    return next(iter(question.values()))
