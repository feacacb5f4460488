"""
From what the store sums up per unit to the rows of a metric.
"""

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.metrics import Metric, Source, may_be_outcome, metric_named
from modeltrail.stats.estimate import UnitSums
from modeltrail.stats.quantiles import UnitCalls, calls_of
from modeltrail.storage import Store
from modeltrail.storage.measures import Measure
from modeltrail.storage.observed import UnitValues
from modeltrail.storage.trial_outcomes import OutcomeSums
from modeltrail.storage.trials import TrialUnit

MICROS = 1_000_000


def read_metric(store: Store, key: str, word: str) -> tuple[Metric, Sequence[UnitSums]]:
    """
    Read the sums of one metric of an experiment, per variant and unit.

    Args:
        key: The experiment's key.
        word: Means the metric, see `metric_named`.

    Raises:
        ConfigurationError: It means none, or a quantile, which has no sums.
    """
    outcomes = store.trial_outcomes(key) if may_be_outcome(word) else []
    metric, source = metric_named(word, are_shares(outcomes))
    if metric.p is not None:
        raise ConfigurationError(
            f"{word!r} is a quantile, which units have no sums of: only `modeltrail compare` has it"
        )
    measures = [source.measure] if source.measure else []
    units = store.trial(key, measures).units if measures else []
    return metric, rows_of({metric: source}, units, measures, outcomes, {})[metric.name]


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
    values: Mapping[str, Sequence[UnitValues]],
) -> dict[str, Sequence[UnitSums]]:
    """
    Return the rows of each metric, by its name.

    Args:
        measures: Those that the sums of `units` are of, in their order.
        values: Of single calls, by name.
    """
    places = {measure: place for place, measure in enumerate(measures)}

    def rows(source: Source) -> Sequence[UnitSums]:
        if source.measure is not None:
            return _call_rows(source, units, places[source.measure])
        if source.observed is not None:
            return _value_rows(source, values.get(source.observed, ()))
        return _outcome_rows(source, outcomes)

    return {metric.name: rows(source) for metric, source in named.items()}


def _value_rows(source: Source, units: Sequence[UnitValues]) -> list[UnitCalls]:
    return [calls_of(each.variant, each.unit, _scaled(source, each.values)) for each in units]


def _scaled(source: Source, values: Sequence[int]) -> "array[float]":
    return array("d", (value * source.scale for value in values))


def _call_rows(source: Source, units: Sequence[TrialUnit], place: int) -> list[UnitSums]:
    found = ((each.variant, each.unit, *each.sums[place]) for each in units)
    scale = source.scale
    return [
        UnitSums(variant, unit, total * scale, count)
        for variant, unit, total, count in found
        if total or count
    ]


def _outcome_rows(source: Source, outcomes: Sequence[OutcomeSums]) -> list[UnitSums]:
    # A unit may have outcomes of its own, of its calls and of its sessions.
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for each in outcomes:
        if each.name == source.outcome and each.values:
            own = sums[each.variant, each.unit]
            own[0] += each.total_micros
            own[1] += each.values
    return [
        UnitSums(variant, unit, total / MICROS, count)
        for (variant, unit), (total, count) in sorted(sums.items())
    ]
