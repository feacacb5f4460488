"""
From what the store sums up per unit to the rows of a metric.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from modeltrail.experiment.metrics import Metric, Source, may_be_outcome, metric_named
from modeltrail.stats.estimate import UnitSums
from modeltrail.storage import Store
from modeltrail.storage.trials import Measure, OutcomeSums, TrialUnit

MICROS = 1_000_000


def read_metric(store: Store, key: str, word: str) -> tuple[Metric, list[UnitSums]]:
    """
    Read the sums of one metric of an experiment, per variant and unit.

    Args:
        key: The experiment's key.
        word: Means the metric, see `metric_named`.

    Raises:
        ConfigurationError: It means none.
    """
    outcomes = store.trial_outcomes(key) if may_be_outcome(word) else []
    metric, source = metric_named(word, are_shares(outcomes))
    measures = [source.measure] if source.measure else []
    units = store.trial(key, measures).units if measures else []
    return metric, rows_of({metric: source}, units, measures, outcomes)[metric.name]


def are_shares(outcomes: Sequence[OutcomeSums]) -> dict[str, bool]:
    """
    Tell of each outcome whether all of its values are 0 or 1.
    """
    others: defaultdict[str, int] = defaultdict(int)
    for each in outcomes:
        others[each.name] += each.others
    return {name: number == 0 for name, number in sorted(others.items())}


def rows_of(
    named: Mapping[Metric, Source],
    units: Sequence[TrialUnit],
    measures: Sequence[Measure],
    outcomes: Sequence[OutcomeSums],
) -> dict[str, list[UnitSums]]:
    """
    Return the rows of each metric, by its name.

    Args:
        measures: Those that the sums of `units` are of, in their order.
    """
    places = {measure: place for place, measure in enumerate(measures)}
    return {
        metric.name: _outcome_rows(source, outcomes)
        if source.measure is None
        else _call_rows(source, units, places[source.measure])
        for metric, source in named.items()
    }


def _call_rows(source: Source, units: Sequence[TrialUnit], place: int) -> list[UnitSums]:
    return [
        UnitSums(each.variant, each.unit, each.sums[place][0] * source.scale, each.sums[place][1])
        for each in units
        if any(each.sums[place])
    ]


def _outcome_rows(source: Source, outcomes: Sequence[OutcomeSums]) -> list[UnitSums]:
    # A unit may have outcomes of its own, of its calls and of its sessions.
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for each in outcomes:
        if each.name == source.outcome:
            own = sums[each.variant, each.unit]
            own[0] += each.total_micros
            own[1] += each.values
    return [
        UnitSums(variant, unit, total / MICROS, count)
        for (variant, unit), (total, count) in sorted(sums.items())
    ]
