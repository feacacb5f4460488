"""
A comparison in words.
"""

from statistics import NormalDist

from modeltrail.cli.comparison_rows import UNITS, shown_interval
from modeltrail.experiment.contrasts import Contrast
from modeltrail.experiment.metrics import OUTCOME
from modeltrail.experiment.plan import Plan
from modeltrail.experiment.results import Comparison, Finding, MetricComparison
from modeltrail.render.figures import decimals_for
from modeltrail.stats.estimate import Interval, NotEstimable

# Below this, counting calls instead of units misleads nobody.
_NOTABLE_EFFECT = 1.5
_SHOWN_FEATURES = 5
_SAID = {
    "better": "better",
    "worse": "worse",
    "not_worse": "not worse",
    "undecided": "undecided",
    "invalid": "not to be judged",
}


def sentences(found: Comparison) -> list[str]:
    """
    Say what a comparison found, variant by variant.
    """
    if not found.decisions:
        control = found.plan.control
        return [f"{found.experiment}: only {control} has calls; there is nothing to compare."]
    return [
        f"{found.experiment}: {variant} against {found.plan.control} is {_said(each)}"
        for variant, each in found.decisions.items()
    ]


def arms_line(found: Comparison) -> str:
    """
    Say how many units and calls each variant has.
    """
    kind = found.plan.unit_type or "unit"
    arms = "; ".join(
        f"{name} {number:,} {kind}s, {found.calls[name]:,} calls"
        for name, number in found.units.items()
    )
    planned = found.plan.plan_units
    return f"{arms}; planned: {'unknown' if planned is None else f'{planned:,} {kind}s'}"


def refusals(found: Comparison) -> list[str]:
    """
    Return why what could not be estimated could not.
    """
    names: dict[tuple[str, str], list[str]] = {}
    for metric in found.metrics:
        for variant, contrast in metric.contrasts.items():
            if (reason := _refusal(contrast)) is not None:
                names.setdefault((variant, reason), []).append(metric.metric.name)
        for variant, each in metric.adjusted.items():
            if isinstance(each, NotEstimable) and each != metric.contrasts[variant]:
                reason = f"not adjusted: {each.reason}"
                names.setdefault((variant, reason), []).append(metric.metric.name)
    return [
        f"{variant}, {', '.join(metrics)}: {reason}" for (variant, reason), metrics in names.items()
    ]


def skipped_lines(found: Comparison) -> list[str]:
    """
    Return which features could not be compared, metric by metric.
    """
    names: dict[str, list[str]] = {}
    for each in found.skipped:
        names.setdefault(each.metric, []).append(each.feature)
    tested = {each.metric for each in found.segments}
    return [
        _skipped(metric, sorted(set(features)), metric in tested)
        for metric, features in names.items()
    ]


def naive_lines(found: Comparison) -> list[str]:
    """
    Say what counting calls as independent would have claimed.
    """
    return [
        _naive(metric, contrast, found.plan)
        for metric in found.metrics
        for contrast in metric.contrasts.values()
        if isinstance(contrast, Contrast)
        and (contrast.design_effect or 0) > _NOTABLE_EFFECT
        and "invalid" not in {each.verdict for each in metric.findings.values()}
    ]


def reading(plan: Plan) -> str:
    """
    Say how the intervals are to be read.
    """
    return (
        f"Of the {100 * (1 - plan.alpha):.4g}% intervals the always-valid ones hold at every "
        "look, however often one looks; those at one look are right once, at a number of units "
        "chosen beforehand."
    )


def _said(finding: Finding) -> str:
    joint = " " if finding.reason.startswith("on ") else ": "
    words = f"{_SAID[finding.verdict or 'undecided']}{joint}{finding.reason}."
    if finding.units_needed is not None:
        words += f" About {finding.units_needed:,} more units are needed, if nothing changes."
    return words


def _skipped(metric: str, features: list[str], tested: bool) -> str:
    if not tested and metric.startswith(OUTCOME):
        return f"{metric}: not by feature, unless outcomes are those of enough calls, not of units"
    shown = ", ".join(features[:_SHOWN_FEATURES])
    more = len(features) - _SHOWN_FEATURES
    return (
        f"{metric}: {len(features)} features left out, with too few units or no spread: {shown}"
        f"{f' and {more} more' if more > 0 else ''}"
    )


def _refusal(contrast: Contrast | NotEstimable) -> str | None:
    if isinstance(contrast, NotEstimable):
        return contrast.reason
    if isinstance(contrast.always_valid, NotEstimable):
        return contrast.always_valid.reason
    return None


def _naive(metric: MetricComparison, contrast: Contrast, plan: Plan) -> str:
    assert contrast.design_effect is not None
    z = -NormalDist().inv_cdf(plan.alpha / 2)
    half = z * contrast.standard_error / contrast.design_effect**0.5
    interval = Interval(contrast.difference - half, contrast.difference + half)
    scale = UNITS[metric.metric.unit_of_measure].scale
    shown = shown_interval(interval, scale, decimals_for(half * scale))
    return (
        f"{metric.metric.name}: design effect {contrast.design_effect:.1f}; counting calls as "
        f"independent would have claimed {shown} at one look"
    )
