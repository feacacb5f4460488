"""
From a trail to the curve of a router: questions that two models answered, and a score of each.

A score is told by a free tag of the calls (`tag.NAME`), which the router may have set or an
import kept, or by an outcome (`outcome:NAME`), which can be told later.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.answers import OUTCOME, LeftOut, Source, gather
from modeltrail.experiment.routing import Answer, Question
from modeltrail.stats.callperformance import Curve, ScoredCall, curve
from modeltrail.stats.estimate import NotEstimable
from modeltrail.storage import Store

TAG = "tag."


@dataclass(frozen=True, slots=True)
class Scored:
    """
    What a score is worth.

    Attributes:
        strong: The model that gets the calls with the highest scores; None if it is
            not clear which.
        weak: The model that gets the others.
        curve: Or why there is none.
        no_score: Questions without a score, which are in no figure.
    """

    strong: str | None
    weak: str | None
    curve: Curve | NotEstimable
    no_score: int
    left_out: LeftOut


def scored(
    store: Store, source: Source, score: str, strong: str | None, weak: str | None, alpha: float
) -> Scored:
    """
    Judge a score by questions that both models answered.

    Args:
        source: Which calls; `question` says what calls to one question share.
        score: `tag.NAME` or `outcome:NAME`; the higher, the sooner the strong model is asked.
        strong: By default, of two models, the one with the better answers.
        weak: By default the other one.
        alpha: One less the confidence level.

    Raises:
        ConfigurationError: The score is of no kind, or a model is unknown.
    """
    if score.removeprefix(OUTCOME) in {score, ""} and score.removeprefix(TAG) in {score, ""}:
        raise ConfigurationError(f"{score!r} is no score; use {TAG}NAME or {OUTCOME}NAME")
    by_tag = score.startswith(TAG)
    # A score is judged by what it does to the quality; what answers cost is another question.
    source = replace(source, priced=False, segment=score if by_tag else source.segment)
    found = gather(store, source)
    strong, weak = _pair(found.answers, strong, weak)
    questions = _questions(each for each in found.answers if each.model in {strong, weak})
    if isinstance(questions, NotEstimable):
        return Scored(strong, weak, questions, 0, found.left_out)
    # In the place of the quality: of whichever calls to a question have one.
    told = found if by_tag else gather(store, replace(source, quality=score))
    scores = _of_tags(questions) if by_tag else _of_outcome(told.answers)
    if isinstance(scores, NotEstimable):
        return Scored(strong, weak, scores, 0, found.left_out)
    calls = [
        ScoredCall(question[strong].quality, question[weak].quality, scores[name])
        for question in questions
        if (name := question[strong].question) in scores
    ]
    lacking = len(questions) - len(calls)
    return Scored(strong, weak, _curve(calls, alpha), lacking, found.left_out)


def _curve(calls: Sequence[ScoredCall], alpha: float) -> Curve | NotEstimable:
    if not calls:
        return NotEstimable("no question that both models answered has a score")
    return curve(calls, alpha=alpha)


def _pair(answers: Iterable[Answer], strong: str | None, weak: str | None) -> tuple[str, str]:
    qualities: defaultdict[str, list[float]] = defaultdict(list)
    for answer in answers:
        qualities[answer.model].append(answer.quality)
    known = ", ".join(sorted(qualities)) or "none"
    for name in (strong, weak):
        if name is not None and name not in qualities:
            raise ConfigurationError(f"nothing that is compared is named {name!r}: {known}")
    left = sorted(qualities.keys() - {strong, weak}, key=lambda name: -fmean(qualities[name]))
    missing = [strong, weak].count(None)
    if missing and len(left) != missing:
        raise ConfigurationError(f"name two with --strong and --weak: {known}")
    if strong is not None and strong == weak:
        raise ConfigurationError(f"{strong!r} cannot be both the strong and the weak one")
    strong = left.pop(0) if strong is None else strong
    return strong, left.pop(0) if weak is None else weak


def _questions(answers: Iterable[Answer]) -> list[Question] | NotEstimable:
    questions: defaultdict[str, dict[str, Answer]] = defaultdict(dict)
    for answer in answers:
        known = questions[answer.question]
        if answer.model in known:
            return NotEstimable(f"{answer.model} has answered {answer.question!r} more than once")
        if any(each.segment != answer.segment for each in known.values()):
            return NotEstimable(f"{answer.question!r} has two different scores, or features")
        known[answer.model] = answer
    return list(questions.values())


def _of_tags(questions: Sequence[Question]) -> dict[str, float] | NotEstimable:
    scores: dict[str, float] = {}
    for question in questions:
        answer = next(iter(question.values()))
        if not answer.segment:
            continue
        try:
            scores[answer.question] = float(answer.segment)
        except ValueError:
            return NotEstimable(f"the score {answer.segment!r} of {answer.question!r} is no number")
    return scores


def _of_outcome(answers: Iterable[Answer]) -> dict[str, float] | NotEstimable:
    scores: dict[str, float] = {}
    for answer in answers:
        if scores.setdefault(answer.question, answer.quality) != answer.quality:
            return NotEstimable(f"{answer.question!r} has two different scores")
    return scores
