"""
From a trail to a comparison: what was planned, which sums are compared, and how.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.adjust import Adjustment, By, check_adjusted
from modeltrail.experiment.checks import Check, Exposed
from modeltrail.experiment.compare import Evidence, compare
from modeltrail.experiment.declaration import Declared, declarations
from modeltrail.experiment.metrics import (
    Metric,
    Source,
    default_words,
    may_be_outcome,
    metric_named,
    outcome_named,
)
from modeltrail.experiment.phases import check_phases, phase_weights
from modeltrail.experiment.plan import DEFAULT_PLAN_UNITS, Margin, Plan
from modeltrail.experiment.planned import chosen_control, no_such_experiment, planned_weights
from modeltrail.experiment.reading import Log, read_log
from modeltrail.experiment.results import Comparison
from modeltrail.experiment.segments import segments
from modeltrail.experiment.unit_rows import are_shares, rows_of
from modeltrail.stats.estimate import UnitSums
from modeltrail.storage import Store
from modeltrail.storage.measures import Measure
from modeltrail.storage.observed import UnitValues
from modeltrail.storage.trial_outcomes import OutcomeSums
from modeltrail.storage.trials import Trial, TrialUnit

DEFAULT_ALPHA = 0.05
NO_FEATURE = "none"


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What a reader asks; what is not asked for is as it was declared.

    Attributes:
        control: The variant to compare with.
        metrics: Words for metrics, see `metric_named`; by default what decides, then all.
        by_feature: Whether to compare feature by feature as well.
        weights: Planned share of units per variant.
        primary: The metric that decides.
        guardrails: Metrics that a variant must not make worse, by their margins.
        plan_units: Planned number of units, all arms together.
        alpha: One less the confidence level.
        adjust: What differences are corrected for: what units did before, or their features.
    """

    control: str | None = None
    metrics: tuple[str, ...] = ()
    by_feature: bool = False
    weights: Mapping[str, float] | None = None
    primary: str | None = None
    guardrails: tuple[Margin, ...] = ()
    plan_units: int | None = None
    alpha: float | None = None
    adjust: By | None = None


def analyse(store: Store, key: str, asked: Asked = Asked()) -> Comparison:
    """
    Compare the variants of an experiment by the calls and outcomes of a trail.

    Args:
        key: The experiment's key.
        asked: What to compare, and how.

    Raises:
        RecordNotFoundError: The trail has no such experiment.
        ConfigurationError: Which variant is the control is not clear, a metric is
            unknown, or the plan cannot work.
    """
    declared = declarations(store, key)
    asked = _as_declared(asked, declared)
    outcomes = store.trial_outcomes(key) if _may_be_outcomes(asked) else []
    known = {**_promised(declared), **are_shares(outcomes)}
    chosen = {metric_named(word, known)[0].name for word in asked.metrics}
    asked = _resolved(asked, known)
    named = dict(metric_named(word, known) for word in asked.metrics)
    measures = list(dict.fromkeys(each.measure for each in named.values() if each.measure))
    weights = {} if asked.weights else phase_weights(store, key, declared)
    trial, log = read_log(store, key, measures, weights, by_feature=asked.by_feature)
    if not (trial.units or trial.unassigned or declared):
        raise no_such_experiment(store, key)
    plan = _plan(asked, declared, trial, phased=log.phases is not None)
    if log.phases and outcomes:
        outcomes = log.outcomes()
    rows = rows_of(named, trial.units, measures, outcomes, log.values(named.values()))
    if trial.units and not chosen:
        # What nobody asked for and no call tells is no finding.
        named = {
            metric: source
            for metric, source in named.items()
            if rows[metric.name] or metric.name in plan.deciding
        }
    exposed = [
        Exposed(each.variant, each.unit, each.calls, each.unpriced, each.first_feature)
        for each in trial.units
    ]
    adjustment = _adjustment(log, asked, named, exposed)
    noted = [check_phases(log.phases, exposed)] if log.phases else []
    noted += [check_adjusted(adjustment, exposed)] if adjustment else []
    noted += _checked_early(outcomes, named)
    evidence = Evidence(
        rows={metric.name: rows[metric.name] for metric in named},
        exposed=exposed,
        by_feature=_by_feature(log, trial, named, measures) if asked.by_feature else None,
        phases=log.phases,
        adjustment=adjustment,
        notes=(*noted, _check_plan(asked, declared, trial), _check_assigned(trial)),
    )
    found = compare(key, list(named), evidence, plan)
    listed, skipped = segments(_in_segments(list(named), asked, chosen), evidence, plan)
    return replace(found, segments=listed, skipped=skipped)


def _as_declared(asked: Asked, declared: Sequence[Declared]) -> Asked:
    if not declared:
        return asked
    last = declared[-1].declaration
    said = tuple(Margin(each.metric, each.margin) for each in last.guardrails)
    return replace(
        asked,
        control=asked.control or last.control,
        primary=asked.primary or last.primary,
        guardrails=asked.guardrails or said,
        plan_units=asked.plan_units or last.plan_units,
        alpha=last.alpha if asked.alpha is None else asked.alpha,
    )


def _promised(declared: Sequence[Declared]) -> dict[str, bool]:
    """
    Return the outcomes that decide as declared: they are metrics before the first one is known.
    """
    if not declared:
        return {}
    last = declared[-1].declaration
    words = [last.primary, *(each.metric for each in last.guardrails)]
    return {name: True for word in words if word and (name := outcome_named(word)) is not None}


def _may_be_outcomes(asked: Asked) -> bool:
    deciding = [asked.primary, *(each.metric for each in asked.guardrails)]
    words = [*asked.metrics, *(word for word in deciding if word)]
    return not asked.metrics or any(map(may_be_outcome, words))


def _resolved(asked: Asked, outcomes: Mapping[str, bool]) -> Asked:
    """
    Put the metrics' own names for the words that were given; what decides comes first.
    """

    def name(word: str) -> str:
        return metric_named(word, outcomes)[0].name

    guardrails = tuple(Margin(name(each.metric), each.margin) for each in asked.guardrails)
    primary = name(asked.primary) if asked.primary else None
    deciding = [*([primary] if primary else []), *(each.metric for each in guardrails)]
    told = {metric_named(word, outcomes)[1].outcome for word in deciding}
    others = [outcome for outcome in outcomes if outcome not in told]
    shown = [name(word) for word in asked.metrics or default_words(others)]
    return replace(
        asked,
        primary=primary,
        guardrails=guardrails,
        metrics=tuple(dict.fromkeys([*deciding, *shown])),
    )


def _plan(asked: Asked, declared: Sequence[Declared], trial: Trial, *, phased: bool) -> Plan:
    # Also those that no call belongs to yet, or any more.
    planned = asked.weights or (declared[-1].declaration.arms if declared else {})
    control = chosen_control(sorted({*planned, *(u.variant for u in trial.units)}), asked.control)
    weights = asked.weights
    if weights is None and phased:
        # What is planned now; sample ratios are judged phase by phase.
        last = dict(declared[-1].declaration.arms)
        weights = last if last.get(control) else None
    elif weights is None:
        weights = planned_weights(declared, trial.units)
    return Plan(
        control=control,
        weights=weights,
        primary=asked.primary,
        guardrails=asked.guardrails,
        plan_units=asked.plan_units,
        alpha=DEFAULT_ALPHA if asked.alpha is None else asked.alpha,
        unit_type=trial.unit_type,
    )


def _adjustment(
    log: Log, asked: Asked, named: Mapping[Metric, Source], exposed: Sequence[Exposed]
) -> Adjustment | None:
    if asked.adjust is None:
        return None
    if log.phases is not None:
        raise ConfigurationError(
            "--adjust does not work within phases: the plan was changed on the way"
        )
    if asked.adjust == "feature":
        features = {each.unit: each.feature for each in exposed if each.feature is not None}
        return Adjustment("feature", {}, features)
    summed = {metric.name: source for metric, source in named.items() if source.measure}
    measures = [source.measure for source in summed.values() if source.measure]
    before = log.store.before_trial(log.key, measures)
    values = {
        name: {
            each.unit: each.sums[place][0] * source.scale / each.sums[place][1]
            for each in before
            if each.sums[place][1]
        }
        for place, (name, source) in enumerate(summed.items())
    }
    return Adjustment("before", values, {})


def _by_feature(
    log: Log, trial: Trial, named: Mapping[Metric, Source], measures: Sequence[Measure]
) -> dict[str, dict[str, Sequence[UnitSums]]]:
    units: defaultdict[str, list[TrialUnit]] = defaultdict(list)
    outcomes: defaultdict[str, list[OutcomeSums]] = defaultdict(list)
    for each in trial.of_features:
        units[each.feature or NO_FEATURE].append(each)
    names = [source.outcome for source in named.values() if source.outcome]
    for outcome in log.outcomes(names, by_feature=True) if names else []:
        if outcome.feature is not None:
            outcomes[outcome.feature].append(outcome)
    observed = log.values(named.values(), by_feature=True)
    values = {name: _of_features(listed) for name, listed in observed.items()}
    return {
        feature: rows_of(
            named,
            listed,
            measures,
            outcomes[feature],
            {name: found[feature] for name, found in values.items()},
        )
        for feature, listed in units.items()
    }


def _of_features(listed: Sequence[UnitValues]) -> defaultdict[str, list[UnitValues]]:
    found: defaultdict[str, list[UnitValues]] = defaultdict(list)
    for each in listed:
        found[each.feature or NO_FEATURE].append(each)
    return found


def _in_segments(metrics: Sequence[Metric], asked: Asked, chosen: set[str]) -> list[Metric]:
    if not asked.by_feature:
        return []
    wanted = chosen or ({asked.primary} if asked.primary else {each.name for each in metrics})
    return [metric for metric in metrics if metric.name in wanted]


def _check_plan(asked: Asked, declared: Sequence[Declared], trial: Trial) -> Check:
    said = []
    if not declared:
        said.append("not declared before the data")
    elif len(declared) > 1:
        said.append(f"declared {len(declared)} times, the last one counts")
    first_at_us = min((each.first_at_us for each in trial.units), default=None)
    if declared and first_at_us is not None and declared[-1].at_us > first_at_us:
        said.append("declared after the first call")
    if asked.plan_units is None:
        said.append(
            f"no planned number of units: intervals are made for {DEFAULT_PLAN_UNITS:,}; "
            "name yours before the data"
        )
    return Check("plan", "warn" if said else "ok", "; ".join(said) or "declared before the data")


def _check_assigned(trial: Trial) -> Check:
    detail = f"{trial.unassigned:,} calls without a variant or a unit: in no figure"
    return Check("assigned", "warn" if trial.unassigned else "ok", detail)


def _checked_early(outcomes: Sequence[OutcomeSums], named: Mapping[Metric, Source]) -> list[Check]:
    """
    Tell how many outcomes are in no figure because they came before the unit did, if any are.
    """
    compared = {source.outcome for source in named.values()}
    early = sum(each.early for each in outcomes if each.name in compared)
    said = f"{early:,} outcomes were known before the first call of their unit: in no figure"
    return [Check("early", "warn", said)] if early else []
