"""
From the calls of a trail to answers: who answered, at what cost, and how well.

How good a call was is told by an outcome. One that belongs to the call itself counts
before one of its trace, that before one of its session, and that before one of its unit. A
call, trace or session has the value that was recorded last: late and corrected
outcomes simply count. A unit has the mean of its values.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.declaration import declarations
from modeltrail.experiment.routing import Answer
from modeltrail.stats.estimate import NotEstimable
from modeltrail.stats.offpolicy import LoggedCall
from modeltrail.storage import Filters, OutcomeValues, RoutedCall, Store

OK = "ok"
OUTCOME = "outcome:"
_PPM = 1_000_000
# Outcomes that are shared by calls, of which some may be of another kind.
SHARED = ("session", "unit")


@dataclass(frozen=True, slots=True)
class Source:
    """
    Which calls are compared, and how.

    Attributes:
        arm: The dimension to choose between, such as `model` or `variant`.
        segment: The dimension that a route may depend on.
        quality: `ok`, the share of calls without an error, or `outcome:NAME`.
        question: What calls to the same question share: `trace`, or a dimension
            such as `tag.question`. None if each call went to one arm.
        priced: Whether answers to a question are compared by their cost, too, so that
            those of unknown cost are left out.
    """

    arm: str
    segment: str = "feature"
    quality: str = OK
    question: str | None = None
    filters: Filters = field(default_factory=Filters)
    priced: bool = True


class Judged(NamedTuple):
    """
    A call and how good it was.
    """

    call: RoutedCall
    quality: float


class _Attempt(NamedTuple):
    """
    A call that was to answer a question.
    """

    answer: Answer
    is_ok: bool


@dataclass(frozen=True, slots=True)
class LeftOut:
    """
    What is not compared, and why.

    Attributes:
        no_arm: Calls that do not tell which arm they belong to.
        no_quality: Calls without the outcome, by arm.
        no_cost: Calls, or answers, whose cost is unknown: they are in no mean cost;
            where questions are paired they are left out.
        failed_cost: Failed attempts of unknown cost at questions that were
            answered: their cost is missing in the answer's.
        no_question: Calls that do not tell which question they answer.
        incomplete: Questions that not all arms answered at a known cost and quality.
    """

    no_arm: int = 0
    no_quality: dict[str, int] = field(default_factory=dict)
    no_cost: int = 0
    failed_cost: int = 0
    no_question: int = 0
    incomplete: int = 0


class Gathered(NamedTuple):
    """
    Answers, and what was left out.

    Attributes:
        shared: Calls whose quality is that of their session or unit, by which of the two.
        refusal: Why the answers must not be compared.
    """

    answers: list[Answer]
    left_out: LeftOut
    shared: Counter[str]
    refusal: NotEstimable | None = None


class _Paired(NamedTuple):
    gathered: Gathered
    unpriced: list[Answer]


class Log(NamedTuple):
    """
    Calls that each went to one arm, to be valued.

    Attributes:
        quality: The calls whose quality is known.
        cost: The calls whose cost is known, in nano-dollars, and their quality too.
    """

    quality: list[LoggedCall]
    cost: list[LoggedCall]
    left_out: LeftOut
    shared: Counter[str]


def gather(store: Store, source: Source) -> Gathered:
    """
    Read answers from a trail.

    Where questions are named, an arm's answer to one is the call that ended well, or
    the last one; what failed attempts before it cost is part of its cost. Questions
    that not all arms have answered, at a known cost and quality, are left out.

    Raises:
        ConfigurationError: A dimension or the quality is unknown.
    """
    judging = _Judging(store, source)
    if source.question is None:
        answers = [_answer(each, judging.known) for each in judging]
        unknown = sum(each.cost_nanousd is None for each in answers)
        return Gathered(answers, _with(judging.left_out(), no_cost=unknown), +judging.shared)
    found = _paired(judging, priced=source.priced)
    failed = sum(each.quality == 0 for each in found.unpriced) if source.quality == OK else 0
    return found.gathered._replace(refusal=_refusal(failed) or _no_question(found.gathered))


def read_log(store: Store, source: Source) -> Log:
    """
    Read calls of which each went to one arm, with their propensities.

    Raises:
        ConfigurationError: A dimension or the quality is unknown.
    """
    judging = _Judging(store, source)
    # What served a call, unlike its variant, was not drawn with that probability.
    enrolled = _enrolled(store, source) if source.arm == "variant" else None
    logged: list[LoggedCall] = []
    priced: list[LoggedCall] = []
    for judged in judging:
        own = _logged(judged, enrolled, judging.known)
        logged.append(own)
        if (cost_nanousd := judged.call.cost_nanousd) is not None:
            priced.append(own._replace(reward=float(cost_nanousd)))
    left_out = _with(judging.left_out(), no_cost=len(logged) - len(priced))
    return Log(logged, priced, left_out, +judging.shared)


class _Judging:
    """
    The calls of a trail that can be judged, one after the other, and what became of the others.

    Attributes:
        shared: Calls whose quality is that of their session or unit, by which of the two.
        known: Texts and figures that many calls have, each once: a log of a million calls is kept.
    """

    def __init__(self, store: Store, source: Source) -> None:
        _check_experiment(store, source)
        self.shared: Counter[str] = Counter()
        self.known: dict[Any, Any] = {}
        self._no_arm = 0
        self._no_quality: Counter[str] = Counter()
        self._values = _values(store, source.quality)
        self._calls = store.routed_calls(
            source.arm, source.segment, source.filters, question=source.question
        )

    def __iter__(self) -> Iterator[Judged]:
        for call in self._calls:
            found = _ok(call) if self._values is None else _value_of(call, self._values)
            if call.arm is None:
                self._no_arm += 1
            elif found is None:
                self._no_quality[call.arm] += 1
            else:
                self.shared[found[0]] += found[0] in SHARED
                yield Judged(call, found[1])

    def left_out(self) -> LeftOut:
        """
        Return what could not be judged, once all calls are read.
        """
        return LeftOut(no_arm=self._no_arm, no_quality=dict(self._no_quality))


def _check_experiment(store: Store, source: Source) -> None:
    # Variants of two experiments may have the same name.
    if source.arm != "variant" or source.filters.experiment is not None:
        return
    if len(known := store.experiments()) > 1:
        raise ConfigurationError(f"which experiment? name it with --experiment: {', '.join(known)}")


def _values(store: Store, quality: str) -> OutcomeValues | None:
    if quality == OK:
        return None
    name = quality.removeprefix(OUTCOME)
    if name in {quality, ""}:
        raise ConfigurationError(f"{quality!r} is no quality; use ok or outcome:NAME")
    values = store.outcome_values(name)
    if not any(values):
        known = ", ".join(f"{OUTCOME}{each}" for each in store.all_outcome_names())
        raise ConfigurationError(f"no outcome is named {name!r}; use {known or 'ok'}")
    return values


def _ok(call: RoutedCall) -> tuple[str, float]:
    return "call", float(call.status == "ok")


def _value_of(call: RoutedCall, values: OutcomeValues) -> tuple[str, float] | None:
    for kind, key, known in (
        ("call", call.id, values.of_call),
        ("trace", call.trace_id, values.of_trace),
        ("session", call.session_ref, values.of_session),
        ("unit", call.unit_ref, values.of_unit),
    ):
        if key is not None and key in known:
            return kind, known[key]
    return None


def _unit(call: RoutedCall, otherwise: str) -> str:
    """
    Return whose calls belong together: the unit, or else the user, or else the session.
    """
    return call.unit_ref or call.user_ref or call.session_ref or otherwise


def _enrolled(store: Store, source: Source) -> dict[str | None, float]:
    """
    Return which share of all units took part, by the phases that were declared.

    The log has no others, so that the probabilities that count are those of units that took part.
    """
    known = [source.filters.experiment] if source.filters.experiment else store.experiments()
    declared = [each.declaration for key in known for each in declarations(store, key)]
    return {each.phase: each.enrolled for each in declared}


def _logged(
    judged: Judged, enrolled: Mapping[str | None, float] | None, known: dict[Any, Any]
) -> LoggedCall:
    call, quality = judged
    propensity = None
    if enrolled is not None and call.propensity_ppm is not None:
        propensity = _within(call.propensity_ppm, enrolled.get(call.phase, 1.0))
    unit = _unit(call, call.trace_id or call.id)
    segment, arm = call.segment or "", str(call.arm)
    return LoggedCall(
        known.setdefault(unit, unit),
        known.setdefault(segment, segment),
        known.setdefault(arm, arm),
        known.setdefault(propensity, propensity),
        known.setdefault(quality, quality),
    )


def _within(propensity_ppm: int, enrolled: float) -> float:
    """
    Return the probability of a variant for a unit that takes part.

    A log tells millionths: what is above 1 by no more than that is 1.
    """
    propensity = propensity_ppm / _PPM / enrolled
    return 1.0 if 1 < propensity <= (propensity_ppm + 1) / propensity_ppm else propensity


def _answer(judged: Judged, known: dict[Any, Any]) -> Answer:
    call, quality = judged
    unit = _unit(call, call.question or call.trace_id or call.id)
    # Where none was asked for, no two calls answer the same one.
    row = (unit, call.question or "", call.segment or "", str(call.arm))
    unit, question, segment, arm = (known.setdefault(each, each) for each in row)
    return Answer(
        unit, question, segment, arm, call.cost_nanousd, known.setdefault(quality, quality)
    )


def _paired(judging: _Judging, *, priced: bool) -> _Paired:
    attempts: defaultdict[tuple[str, str], list[_Attempt]] = defaultdict(list)
    no_question = 0
    for each in judging:
        if each.call.question is None:
            no_question += 1
        else:
            answer = _answer(each, judging.known)
            attempts[answer.question, answer.model].append(
                _Attempt(answer, each.call.status == "ok")
            )
    arms = {arm for _, arm in attempts}
    failed_cost, answers = 0, []
    for own in attempts.values():
        own_answers, unknown = _kept(own)
        failed_cost += unknown
        answers += own_answers
    unpriced = [each for each in answers if priced and each.cost_nanousd is None]
    kept = [each for each in answers if not priced or each.cost_nanousd is not None]
    complete = _complete(kept, arms)
    questions = {question for question, _ in attempts}
    left_out = _with(
        judging.left_out(),
        no_question=no_question,
        no_cost=len(unpriced),
        failed_cost=failed_cost if priced else 0,
        incomplete=len(questions) - len({each.question for each in complete}),
    )
    return _Paired(Gathered(complete, left_out, +judging.shared), unpriced)


def _refusal(failed: int) -> NotEstimable | None:
    if not failed:
        return None
    return NotEstimable(
        f"{failed} questions were not answered, at an unknown cost: without them every model would "
        "look as if it never failed; judge by an outcome, or price the calls that failed"
    )


def _no_question(found: Gathered) -> NotEstimable | None:
    if found.answers or not found.left_out.incomplete:
        return None
    return NotEstimable(
        f"none of {found.left_out.incomplete:,} questions was answered by all at a known cost and "
        "quality"
    )


def _kept(attempts: Sequence[_Attempt]) -> tuple[list[Answer], int]:
    """
    Return an arm's answers to a question, and how many failed attempts have no known cost.

    More than one is kept: which of them counts is not for us to say.
    """
    first, *others = [each.answer for each in attempts if each.is_ok] or [attempts[-1].answer]
    failed = [each.answer for each in attempts if each.answer is not first and not each.is_ok]
    known = [each.cost_nanousd for each in failed if each.cost_nanousd is not None]
    if first.cost_nanousd is not None:
        first = first._replace(cost_nanousd=first.cost_nanousd + sum(known))
    return [first, *others], len(failed) - len(known)


def _complete(answers: Sequence[Answer], arms: set[str]) -> list[Answer]:
    who: defaultdict[str, set[str]] = defaultdict(set)
    for answer in answers:
        who[answer.question].add(answer.model)
    return [answer for answer in answers if who[answer.question] == arms]


def _with(left_out: LeftOut, **more: int) -> LeftOut:
    return LeftOut(left_out.no_arm, left_out.no_quality, **more)
