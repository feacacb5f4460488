"""
What the variants of an experiment did, against one control.

A pure function from sums per unit to a `Comparison`; it reads no store. Units
are analysed by the variant they were ASSIGNED, whatever model served them in
the end. The order is that of the argument: first the checks that say whether
a difference may be believed at all, then estimates, then verdicts.

Every interval and p value here is the ONE-LOOK (fixed-horizon) kind of
`modeltrail.stats.estimate`: right once, at a sample size chosen beforehand.
Always-valid intervals, right however often one looks, come later. Nothing is
adjusted for the number of metrics or arms either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.checks import (
    Check,
    Rows,
    Status,
    check_crossover,
    check_heaviest_unit,
    check_missing,
    check_sample_ratio,
    crossed_units,
    every_row,
    units_per_arm,
)
from modeltrail.stats.estimate import (
    Interval,
    NotEstimable,
    RatioEstimate,
    RelativeDifference,
    UnitSums,
    difference,
    ratio,
    ratio_interval,
    relative_difference,
)

SCHEMA = "modeltrail.compare/1"
METHOD = (
    "ratio of sums; delete-one-unit jackknife; t on Welch-Satterthwaite degrees of freedom "
    "of effective units; fixed horizon, one look; no adjustment for several metrics or arms"
)
UnitOfMeasure = Literal["usd", "us", "share", "score", "tokens"]
Verdict = Literal["better", "worse", "undecided", "invalid"]


@dataclass(frozen=True, slots=True)
class Metric:
    """
    What is compared: a sum over calls divided by their number.

    Attributes:
        name: Key of the metric, such as `cost_per_call`.
        unit_of_measure: Unit of the ratio: dollars, microseconds, a share from
            0 to 1, a score, or tokens.
        better: Which direction is good; None where neither is.
        description: One sentence for the reader of a report.
    """

    name: str
    unit_of_measure: UnitOfMeasure
    better: Literal["lower", "higher"] | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class ArmEstimate:
    """
    One variant's estimate of one metric.

    Attributes:
        n_units: Units with a value.
        k_eff: Effective number of units, (sum N)^2 / sum N_u^2.
        n_calls: Sum of the units' counts: calls, or the metric's own denominator.
        estimate: Ratio of sums, in the metric's unit of measure.
        interval: Fixed-horizon t interval on k_eff - 1 degrees of freedom.
    """

    n_units: int
    k_eff: float
    n_calls: float
    estimate: float
    interval: Interval | NotEstimable


@dataclass(frozen=True, slots=True)
class Contrast:
    """
    One variant against control, for one metric.

    Attributes:
        difference: Variant less control, in the metric's unit of measure.
        interval: Fixed-horizon interval of the difference, for one look.
        relative: Variant / control - 1.
        relative_interval: Fixed-horizon interval of `relative`, by log ratio.
        p: Two-sided p value of the difference, for one look.
        dof: Welch-Satterthwaite degrees of freedom of the difference.
        standard_error: Of the difference, in the metric's unit of measure.
    """

    difference: float
    interval: Interval
    relative: float | NotEstimable
    relative_interval: Interval | NotEstimable
    p: float
    dof: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """
    One metric in all variants.

    Attributes:
        metric: What is compared.
        arms: Estimate per variant, control first.
        contrasts: Difference from control per other variant.
        verdicts: Per other variant: `better` or `worse` than control if the
            interval of the difference excludes 0, `undecided` if it does not
            or could not be made, `invalid` if a check failed, None if the
            metric has no better direction.
    """

    metric: Metric
    arms: Mapping[str, ArmEstimate | NotEstimable]
    contrasts: Mapping[str, Contrast | NotEstimable]
    verdicts: Mapping[str, Verdict | None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    The result of one look at an experiment.

    Attributes:
        experiment: Key of the experiment.
        control: The variant that others are compared with.
        alpha: One less the confidence level of every interval.
        checks: Conditions of belief, `sample_ratio` first.
        metrics: One comparison per metric, in the order asked for.
        verdict: `invalid` if a check failed: then no number here may be acted
            on; `unchecked` if the sample ratio could not be judged; else `valid`.
    """

    experiment: str
    control: str
    alpha: float
    checks: tuple[Check, ...]
    metrics: tuple[MetricComparison, ...]
    verdict: Literal["valid", "unchecked", "invalid"]

    def to_dict(self) -> dict[str, Any]:
        """
        Give the comparison as plain data that JSON can carry.

        Returns:
            A dict with `schema` "modeltrail.compare/1"; what could not be
            estimated is `{"not_estimable": reason}`.
        """
        return {
            "schema": SCHEMA,
            "experiment": self.experiment,
            "control": self.control,
            "alpha": self.alpha,
            "method": METHOD,
            "verdict": self.verdict,
            "checks": [_plain(check) for check in self.checks],
            "metrics": [_plain(metric) for metric in self.metrics],
        }


def compare(
    experiment: str,
    metrics: Sequence[Metric],
    units: Rows,
    *,
    control: str,
    weights: Mapping[str, float] | None = None,
    alpha: float = 0.05,
) -> Comparison:
    """
    Compare the variants of an experiment with its control, at one look.

    A unit seen in more than one variant is left out of every estimate and
    counted in the check `crossover`: it belongs to no arm. Leaving out is fair
    only while it has nothing to do with the variant, hence the warning.

    Args:
        experiment: Key of the experiment.
        metrics: What to compare.
        units: Rows per metric name, one per variant and unit.
        control: The variant to compare with.
        weights: Planned share of units per variant; None if unknown, then the
            sample ratio is not judged.
        alpha: One less the confidence level.

    Returns:
        Checks, estimates, differences and verdicts.

    Raises:
        ConfigurationError: The question makes no sense: alpha outside 0 to 1,
            no metric, two of one name, or a control that has no weight.
    """
    _check_question(metrics, control, weights, alpha)
    asked = {metric.name: units.get(metric.name, ()) for metric in metrics}
    crossed = crossed_units(asked)
    rows = {
        name: [row for row in listed if row.unit not in crossed] for name, listed in asked.items()
    }
    names = _arm_names(control, weights, asked)
    ratio_check = check_sample_ratio(units_per_arm(names, rows), weights)
    failed = ratio_check.status == "fail"
    compared = tuple(
        _compare_metric(metric, _arms(names, rows[metric.name]), control, alpha, failed)
        for metric in metrics
    )
    return Comparison(
        experiment=experiment,
        control=control,
        alpha=alpha,
        checks=(
            ratio_check,
            check_crossover(crossed, asked),
            check_heaviest_unit(names, rows),
            check_missing(names, rows),
            _check_variation(compared),
        ),
        metrics=compared,
        verdict=_overall(ratio_check.status),
    )


def _check_question(
    metrics: Sequence[Metric], control: str, weights: Mapping[str, float] | None, alpha: float
) -> None:
    if not 0 < alpha < 1:
        raise ConfigurationError(f"alpha must lie between 0 and 1, not {alpha!r}")
    if not metrics:
        raise ConfigurationError("a comparison needs at least one metric")
    if len({metric.name for metric in metrics}) < len(metrics):
        raise ConfigurationError("two metrics have the same name")
    if weights is not None and not weights.get(control, 0) > 0:
        raise ConfigurationError(f"control {control!r} has no planned weight")


def _arm_names(control: str, weights: Mapping[str, float] | None, rows: Rows) -> list[str]:
    # Control first, then as planned, then whatever else was seen.
    seen = sorted({row.variant for row in every_row(rows)})
    return list(dict.fromkeys([control, *(weights or ()), *seen]))


def _arms(
    names: Sequence[str], rows: Sequence[UnitSums]
) -> dict[str, RatioEstimate | NotEstimable]:
    listed: dict[str, list[UnitSums]] = {name: [] for name in names}
    for row in rows:
        listed[row.variant].append(row)
    return {name: ratio(arm) for name, arm in listed.items()}


def _compare_metric(
    metric: Metric,
    arms: Mapping[str, RatioEstimate | NotEstimable],
    control: str,
    alpha: float,
    failed: bool,
) -> MetricComparison:
    contrasts = {
        name: _contrast(control, arms[control], name, arm, alpha)
        for name, arm in arms.items()
        if name != control
    }
    return MetricComparison(
        metric=metric,
        arms={name: _arm_estimate(arm, alpha) for name, arm in arms.items()},
        contrasts=contrasts,
        verdicts={
            name: "invalid" if failed else _verdict(contrast, metric.better)
            for name, contrast in contrasts.items()
        },
    )


def _arm_estimate(arm: RatioEstimate | NotEstimable, alpha: float) -> ArmEstimate | NotEstimable:
    if isinstance(arm, NotEstimable):
        return arm
    interval = ratio_interval(arm, alpha=alpha)
    return ArmEstimate(arm.n_units, arm.k_eff, arm.count, arm.estimate, interval)


def _contrast(
    control: str,
    control_arm: RatioEstimate | NotEstimable,
    variant: str,
    arm: RatioEstimate | NotEstimable,
    alpha: float,
) -> Contrast | NotEstimable:
    if isinstance(control_arm, NotEstimable):
        return NotEstimable(f"control {control!r}: {control_arm.reason}")
    if isinstance(arm, NotEstimable):
        return NotEstimable(f"variant {variant!r}: {arm.reason}")
    found = difference(control_arm, arm, alpha=alpha)
    if isinstance(found, NotEstimable):
        return found
    relative, relative_interval = _relative(relative_difference(control_arm, arm, alpha=alpha))
    return Contrast(
        difference=found.difference,
        interval=found.interval,
        relative=relative,
        relative_interval=relative_interval,
        p=found.p,
        dof=found.dof,
        standard_error=found.standard_error,
    )


def _relative(
    found: RelativeDifference | NotEstimable,
) -> tuple[float | NotEstimable, Interval | NotEstimable]:
    if isinstance(found, NotEstimable):
        return found, found
    return found.relative, found.interval


def _verdict(
    contrast: Contrast | NotEstimable, better: Literal["lower", "higher"] | None
) -> Verdict | None:
    if better is None:
        return None
    if isinstance(contrast, NotEstimable):
        return "undecided"
    if contrast.interval.lower <= 0 <= contrast.interval.upper:
        return "undecided"
    rose = contrast.interval.lower > 0
    return "better" if rose == (better == "higher") else "worse"


def _overall(status: Status) -> Literal["valid", "unchecked", "invalid"]:
    if status == "fail":
        return "invalid"
    return "unchecked" if status == "unknown" else "valid"


def _check_variation(compared: Sequence[MetricComparison]) -> Check:
    constant = [
        f"{metric.metric.name} in {name}"
        for metric in compared
        for name, arm in metric.arms.items()
        if isinstance(arm, ArmEstimate) and isinstance(arm.interval, NotEstimable)
    ]
    if not constant:
        return Check("variation", "ok", "units differ in every arm that has an estimate")
    detail = "no spread between units, so none is counted: " + "; ".join(constant)
    return Check("variation", "warn", detail)


def _plain(value: Any) -> Any:
    """
    Turn a result into what JSON knows; a refusal stays one.
    """
    if isinstance(value, NotEstimable):
        return {"not_estimable": value.reason}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
