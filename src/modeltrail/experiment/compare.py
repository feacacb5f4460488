"""
What the variants of an experiment did, against one control.

A pure function from sums per unit to a `Comparison`; it reads no store. Units
are analysed by the variant they were ASSIGNED, whatever model served them in
the end. The order is that of the argument: first the checks that say whether
a difference may be believed at all, then estimates, then verdicts.

Each difference has two intervals. The always-valid one of `modeltrail.stats.sequential`
decides, since people look at a running experiment; the fixed-time one of
`modeltrail.stats.estimate` stands beside it, right for one look at a number of units
chosen beforehand.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from modeltrail.errors import ConfigurationError
from modeltrail.experiment import gaps, verdicts
from modeltrail.experiment.adjust import Adjusted, Adjustment, adjusted
from modeltrail.experiment.checks import (
    Check,
    Exposed,
    Rows,
    check_crossover,
    check_heaviest_unit,
    check_sample_ratio,
    crossed_units,
)
from modeltrail.experiment.contrasts import (
    ArmEstimate,
    Contrast,
    Side,
    arm_estimate,
    contrast,
    missing_units,
    side,
)
from modeltrail.experiment.metrics import DERIVED, Metric
from modeltrail.experiment.phases import Phases, per_phase
from modeltrail.experiment.plan import Plan
from modeltrail.experiment.results import (
    Comparison,
    Finding,
    GuardrailResult,
    MetricComparison,
    Role,
)
from modeltrail.experiment.strata import Sides, sides_of
from modeltrail.stats.estimate import NotEstimable
from modeltrail.stats.shares import holm


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    What is known of an experiment.

    Attributes:
        rows: Rows per metric name, one per variant and unit with a value.
        exposed: Every unit of every variant, also those without a value.
        by_feature: The same as `rows` for each feature, if that was asked for.
        phases: Within which variants are compared; None if there is one only.
        adjustment: What differences are corrected for, if that was asked for.
        notes: Further checks, made by who read the evidence.
    """

    rows: Rows
    exposed: Sequence[Exposed]
    by_feature: Mapping[str, Rows] | None = None
    phases: Phases | None = None
    adjustment: Adjustment | None = None
    notes: tuple[Check, ...] = ()


class Pair(NamedTuple):
    """
    A metric of one variant beside control.

    Attributes:
        contrast: The difference, not adjusted.
        missing: Units that are missing before a first look, 0 if that is not known.
        adjusted: The difference corrected, if it is to be.
    """

    metric: Metric
    variant: str
    contrast: Contrast | NotEstimable
    missing: int
    adjusted: Adjusted | NotEstimable | None = None

    @property
    def deciding(self) -> Contrast | NotEstimable:
        """
        The difference that decides: the adjusted one if there is to be one.
        """
        if self.adjusted is None:
            return self.contrast
        return self.adjusted if isinstance(self.adjusted, NotEstimable) else self.adjusted.contrast


def compare(
    experiment: str, metrics: Sequence[Metric], evidence: Evidence, plan: Plan
) -> Comparison:
    """
    Compare the variants of an experiment with its control, at any look.

    A unit seen in more than one variant is left out of every estimate and
    counted in the check `crossover`: it belongs to no arm.

    Args:
        experiment: Key of the experiment.
        metrics: What to compare.
        evidence: What the units did.
        plan: How it is to be judged.

    Returns:
        Checks, estimates, differences and verdicts.

    Raises:
        ConfigurationError: The question makes no sense: no metric, two of one name, or
            what decides is not among them.
    """
    asked = _directed(metrics, plan)
    crossed = crossed_units(evidence.exposed)
    exposed = [each for each in evidence.exposed if each.unit not in crossed]
    rows = without(evidence.rows, crossed)
    names = arm_names(plan, exposed)
    checks = _checks(names, asked, evidence, exposed, rows, crossed, plan)
    pairs, sides = _pairs(names, asked, rows, evidence, plan)
    compared = _judged(asked, pairs, sides, checks, plan)
    guarded = _guarded(asked, pairs, checks, plan)
    return Comparison(
        experiment=experiment,
        plan=plan,
        units={name: sum(each.variant == name for each in exposed) for name in names},
        calls={name: sum(each.calls for each in exposed if each.variant == name) for name in names},
        checks=(*checks, _check_variation(compared), *evidence.notes),
        metrics=tuple(compared),
        guardrails=tuple(guarded),
        decisions={
            name: verdicts.decide(name, compared, guarded, checks)
            for name in names
            if name != plan.control
        },
    )


def without(rows: Rows, crossed: frozenset[str]) -> Rows:
    """
    Leave out units that belong to no arm.
    """
    return {
        name: [row for row in listed if row.unit not in crossed] for name, listed in rows.items()
    }


def arm_names(plan: Plan, exposed: Sequence[Exposed]) -> list[str]:
    """
    Return the variants: control first, then as planned, then whatever else was seen.
    """
    planned = [name for name, weight in (plan.weights or {}).items() if weight > 0]
    seen = sorted({each.variant for each in exposed})
    return list(dict.fromkeys([plan.control, *planned, *seen]))


def _directed(metrics: Sequence[Metric], plan: Plan) -> list[Metric]:
    if not metrics:
        raise ConfigurationError("a comparison needs at least one metric")
    known = {metric.name for metric in metrics}
    if len(known) < len(metrics):
        raise ConfigurationError("two metrics have the same name")
    if strange := plan.deciding - known:
        raise ConfigurationError(f"what decides is not compared: {', '.join(sorted(strange))}")
    # Who lets a metric decide means that less of it is better, if nothing else is known.
    return [
        replace(metric, better=metric.better or "lower") if metric.name in plan.deciding else metric
        for metric in metrics
    ]


def _checks(
    names: Sequence[str],
    metrics: Sequence[Metric],
    evidence: Evidence,
    exposed: Sequence[Exposed],
    rows: Rows,
    crossed: frozenset[str],
    plan: Plan,
) -> tuple[Check, ...]:
    total = len({each.unit for each in evidence.exposed})
    phases = evidence.phases

    def ratio(phase: str | None, units: Sequence[Exposed]) -> Check:
        counts = Counter(each.variant for each in units)
        weights = phases.weights[phase] if phases and phase else plan.weights
        return check_sample_ratio({name: counts[name] for name in names}, weights)

    def missing(_: str | None, units: Sequence[Exposed]) -> Check:
        return gaps.check_missing(names, units, rows if phases is None else only_of(units, rows))

    def unpriced(_: str | None, units: Sequence[Exposed]) -> Check:
        return gaps.check_unpriced(plan.control, names, units, metrics)

    return (
        per_phase(phases, exposed, ratio),
        check_crossover(crossed, total),
        per_phase(phases, exposed, lambda _, units: gaps.check_balance(units)),
        per_phase(phases, exposed, missing),
        per_phase(phases, exposed, unpriced),
        check_heaviest_unit(names, rows),
    )


def only_of(units: Sequence[Exposed], rows: Rows) -> Rows:
    """
    Keep the rows of some units.
    """
    known = {each.unit for each in units}
    return {name: [row for row in listed if row.unit in known] for name, listed in rows.items()}


def _pairs(
    names: Sequence[str],
    metrics: Sequence[Metric],
    rows: Rows,
    evidence: Evidence,
    plan: Plan,
) -> tuple[list[Pair], dict[str, dict[str, Side]]]:
    pairs: list[Pair] = []
    sides: dict[str, dict[str, Side]] = {}
    for metric in metrics:
        found = sides_of(metric, names, rows.get(metric.name, ()), evidence.phases)
        plain = [(each, pair(metric, *each, plan, len(names))) for each in found.values()]
        pairs += [_corrected(one, each, evidence.adjustment, plan.alpha) for each, one in plain]
        sides[metric.name] = _arms(metric, names, rows, found)
    return pairs, sides


def _corrected(pair: Pair, sides: Sides, adjustment: Adjustment | None, alpha: float) -> Pair:
    name = pair.metric.name
    if adjustment is None or not adjustment.covers(name, pair.metric.p):
        return pair
    return pair._replace(
        adjusted=adjusted(name, pair.contrast, *sides, adjustment, alpha),
    )


def _arms(
    metric: Metric, names: Sequence[str], rows: Rows, found: Mapping[str, Sides]
) -> dict[str, Side]:
    """
    Return each arm, control as it is beside the first variant.
    """
    first = next(iter(found.values()), None)
    alone = first.control if first else side(names[0], rows.get(metric.name, ()), metric.p)
    return {names[0]: alone, **{name: each.treatment for name, each in found.items()}}


def pair(metric: Metric, control: Side, treatment: Side, plan: Plan, arms: int) -> Pair:
    """
    Compare one variant with control on one metric.
    """
    found = contrast(
        control,
        treatment,
        is_share=metric.unit_of_measure == "share",
        plan_units=plan.pair_units(treatment.name, arms),
        alpha=plan.alpha,
    )
    # Of an arm without any value it may be the values that are missing, and not the units.
    missing = missing_units(control, treatment) if control.rows and treatment.rows else 0
    return Pair(metric, treatment.name, found, missing)


def _role(metric: Metric, plan: Plan) -> Role:
    if metric.name == plan.primary:
        return "primary"
    alone = plan.primary is not None or plan.guardrails
    if alone or metric.better is None or metric.name in DERIVED:
        return "secondary"
    return "joint"


def _judged(
    metrics: Sequence[Metric],
    pairs: Sequence[Pair],
    sides: Mapping[str, Mapping[str, Side]],
    checks: Sequence[Check],
    plan: Plan,
) -> list[MetricComparison]:
    family = [each for each in pairs if _role(each.metric, plan) != "secondary"]
    holms = dict(
        zip(
            [(each.metric.name, each.variant) for each in family],
            holm([_p(each) for each in family]),
            strict=True,
        )
    )
    compared = []
    for metric in metrics:
        own = [each for each in pairs if each.metric is metric]
        role = _role(metric, plan)
        p_values = {each.variant: holms.get((metric.name, each.variant)) for each in own}
        compared.append(
            MetricComparison(
                metric=metric,
                role=role,
                arms={
                    name: arm_estimate(arm, alpha=plan.alpha)
                    for name, arm in sides[metric.name].items()
                },
                contrasts={each.variant: each.contrast for each in own},
                adjusted={each.variant: each.adjusted for each in own if each.adjusted is not None},
                adjusted_p=p_values,
                findings={
                    each.variant: _finding(each, p_values[each.variant], checks, plan, len(family))
                    for each in own
                },
            )
        )
    return compared


def _p(pair: Pair) -> float:
    if isinstance(pair.deciding, NotEstimable):
        return 1.0
    p = pair.deciding.always_valid_p
    return 1.0 if isinstance(p, NotEstimable) else p


def _finding(
    pair: Pair, adjusted_p: float | None, checks: Sequence[Check], plan: Plan, family: int
) -> Finding:
    return verdicts.failed_check(checks, pair.metric.name) or verdicts.finding(
        pair.deciding,
        pair.metric.better,
        adjusted_p,
        alpha=plan.alpha,
        comparisons=1 if adjusted_p is None else family,
        missing=pair.missing,
    )


def _guarded(
    metrics: Sequence[Metric], pairs: Sequence[Pair], checks: Sequence[Check], plan: Plan
) -> list[GuardrailResult]:
    known = {metric.name: metric for metric in metrics}
    results = []
    for name, margin in plan.guardrails:
        found = {
            each.variant: verdicts.guardrail(
                known[name], margin, each.deciding, alpha=plan.alpha, missing=each.missing
            )
            for each in pairs
            if each.metric.name == name
        }
        failed = verdicts.failed_check(checks, name)
        results.append(
            GuardrailResult(
                metric=name,
                margin=margin,
                bounds={variant: bound for variant, (bound, _) in found.items()},
                findings={variant: failed or each for variant, (_, each) in found.items()},
            )
        )
    return results


def _check_variation(compared: Sequence[MetricComparison]) -> Check:
    constant = [
        f"{metric.metric.name} in {name}"
        for metric in compared
        for name, arm in metric.arms.items()
        if isinstance(arm, ArmEstimate) and isinstance(arm.interval, NotEstimable)
    ]
    if not constant:
        return Check("variation", "ok", "units differ in every arm that has an estimate")
    detail = "units do not differ: " + "; ".join(constant)
    return Check("variation", "warn", detail)
