"""
A comparison as it went on: what one would have seen at earlier looks.

Up to 40 looks are taken at moments of the same distance, from one pass over the calls, and one over
each outcome that decides: sums per unit and span of time, put one upon the other. The last
look is the comparison itself. Units that were seen in two variants are left out of all looks.
On a million calls of 10,000 users this takes about twice the CPU of the comparison itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from modeltrail.experiment.contrasts import with_spread
from modeltrail.experiment.metrics import Metric, Source, metric_named, outcome_named
from modeltrail.experiment.plan import Plan
from modeltrail.experiment.results import Comparison
from modeltrail.experiment.unit_rows import MICROS
from modeltrail.stats.estimate import Interval, NotEstimable, difference
from modeltrail.stats.running import RunningRatio
from modeltrail.stats.sequential import LEAST_UNITS, always_valid
from modeltrail.storage import Store
from modeltrail.storage.trials_over_time import Spans, SpanSums, Times

LOOKS = 40


class Look(NamedTuple):
    """
    What was known at one moment.

    Attributes:
        at_us: All before it, microseconds UTC.
        n_units: Units with a value, in both arms.
        difference: Variant less control, in the metric's unit of measure.
        always_valid: Interval of it that holds at all looks together.
    """

    at_us: int
    n_units: int
    difference: float
    always_valid: Interval


@dataclass(frozen=True, slots=True)
class Course:
    """
    A difference from look to look.

    Attributes:
        metric: What is compared.
        variant: With control.
        looks: From the first that may be taken; none if no unit came before the last moment.
    """

    metric: Metric
    variant: str
    looks: tuple[Look, ...]


class _Piece(NamedTuple):
    variant: str
    unit: str
    total: int
    number: int


def over_time(store: Store, found: Comparison) -> list[Course]:
    """
    Return what decides, as it would have been seen at earlier looks.

    That is the primary metric, or all that decide together, for each variant. A quantile is
    none of sums, and has no course; nor has what is adjusted or compared within phases.

    Args:
        found: The comparison; an invalid one has no course, as it has no difference.
    """
    if found.verdict == "invalid" or not found.decisions or found.has_phases or found.is_adjusted:
        return []
    times = store.trial_times(found.experiment)
    if times is None:
        return []
    named = _named(store, found)
    read, crossed = _read(store, found.experiment, named, times)
    courses = []
    for metric, (scale, pieces, spans) in read.items():
        courses += _courses(metric, scale, _without(pieces, crossed), spans, found)
    return courses


def _named(store: Store, found: Comparison) -> dict[Metric, Source]:
    deciding = filter(None, (outcome_named(each.metric.name) for each in found.metrics))
    outcomes = dict.fromkeys([*store.all_outcome_names(), *deciding], False)
    return {
        each.metric: metric_named(each.metric.name, outcomes)[1]
        for each in found.metrics
        if each.role != "secondary"
    }


_Read = dict[Metric, tuple[float, dict[int, list[_Piece]], Spans]]


def _read(
    store: Store, key: str, named: Mapping[Metric, Source], times: Times
) -> tuple[_Read, frozenset[str]]:
    spans = Spans(times.first_us, -(-(times.last_us + 1 - times.first_us) // LOOKS))
    measured = {metric: source for metric, source in named.items() if source.measure}
    measures = list(dict.fromkeys(source.measure for source in measured.values() if source.measure))
    rows = store.trial_spans(key, measures, spans) if measures else []
    read: _Read = {}
    for metric, source in named.items():
        if source.measure:
            pieces = _pieces(rows, measures.index(source.measure))
            read[metric] = source.scale, pieces, spans
        elif source.outcome:
            told = store.outcome_spans(key, source.outcome, spans)
            read[metric] = 1 / MICROS, *_fewer(_pieces(told, 0), spans)
    # Whoever has outcomes need not have them in both variants; calls tell it without asking.
    return read, _crossed(rows) if rows else store.crossed_units(key)


def _crossed(rows: Iterable[SpanSums]) -> frozenset[str]:
    variants: dict[str, str] = {}
    return frozenset(
        row.unit for row in rows if variants.setdefault(row.unit, row.variant) != row.variant
    )


def _pieces(rows: Iterable[SpanSums], place: int) -> dict[int, list[_Piece]]:
    pieces: defaultdict[int, list[_Piece]] = defaultdict(list)
    for row in rows:
        pieces[row.span].append(_Piece(row.variant, row.unit, *row.sums[place]))
    return pieces


def _fewer(
    pieces: Mapping[int, list[_Piece]], spans: Spans
) -> tuple[dict[int, list[_Piece]], Spans]:
    """
    Put neighbouring spans together: outcomes may come long after the last call.
    """
    together = max(pieces, default=0) // LOOKS + 1
    put: defaultdict[int, list[_Piece]] = defaultdict(list)
    for span in sorted(pieces):
        put[span // together] += pieces[span]
    return put, Spans(spans.start_us, spans.width_us * together)


def _without(
    pieces: Mapping[int, list[_Piece]], crossed: frozenset[str]
) -> dict[int, list[_Piece]]:
    return {
        span: [piece for piece in listed if piece.unit not in crossed]
        for span, listed in sorted(pieces.items())
    }


def _courses(
    metric: Metric,
    scale: float,
    pieces: Mapping[int, Sequence[_Piece]],
    spans: Spans,
    found: Comparison,
) -> list[Course]:
    arms: defaultdict[str, RunningRatio] = defaultdict(RunningRatio)
    looks: dict[str, list[Look]] = {variant: [] for variant in found.decisions}
    for span, listed in pieces.items():
        for piece in listed:
            arms[piece.variant].add(piece.unit, piece.total, piece.number)
        at_us = spans.start_us + (span + 1) * spans.width_us
        for variant, seen in looks.items():
            pair = arms[found.plan.control], arms[variant]
            units = found.plan.pair_units(variant, len(found.units))
            look = _look(at_us, pair, scale, metric, units, found.plan)
            if look:
                seen.append(look)
    return [Course(metric, variant, tuple(seen)) for variant, seen in looks.items()]


def _look(
    at_us: int,
    pair: tuple[RunningRatio, RunningRatio],
    scale: float,
    metric: Metric,
    plan_units: int,
    plan: Plan,
) -> Look | None:
    if min(arm.n_units for arm in pair) < LEAST_UNITS:
        return None
    a, b = (arm.estimate(scale) for arm in pair)
    if isinstance(a, NotEstimable) or isinstance(b, NotEstimable):
        return None
    if metric.unit_of_measure == "share":
        a, b = with_spread(a), with_spread(b)
    gap = difference(a, b, alpha=plan.alpha)
    if isinstance(gap, NotEstimable):
        return None
    n_units = a.n_units + b.n_units
    at = (gap.difference, gap.standard_error, n_units, plan_units, plan.alpha)
    return Look(at_us, n_units, gap.difference, always_valid(*at))
