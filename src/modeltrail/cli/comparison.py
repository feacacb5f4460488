"""
A comparison in words and columns.
"""

from typing import NamedTuple

from modeltrail.experiment.compare import (
    ArmEstimate,
    Comparison,
    Contrast,
    MetricComparison,
)
from modeltrail.render.figures import UNKNOWN, decimals_for
from modeltrail.render.layout import Column
from modeltrail.render.text import clean
from modeltrail.stats.estimate import Interval, NotEstimable

TITLE_WIDTH = 16


class Unit(NamedTuple):
    """
    How numbers of a unit of measure are shown.
    """

    scale: float = 1.0
    before: str = ""
    after: str = ""
    after_difference: str = ""


UNITS = {
    "usd": Unit(before="$"),
    "us": Unit(scale=1e-6, after="s", after_difference="s"),
    "share": Unit(scale=100.0, after="%", after_difference="pt"),
    "score": Unit(),
    "tokens": Unit(),
}
NO_VERDICT = (
    "no verdict. The units did not arrive in the planned proportions, so that no difference "
    "can be believed."
)
UNCHECKED = "Whether the units arrived in the planned proportions could not be checked."
VERDICTS = ("better", "worse", "undecided")


def sentences(found: Comparison) -> list[str]:
    """
    Say what a comparison found, variant by variant.
    """
    if found.verdict == "invalid":
        return [f"{found.experiment}: {NO_VERDICT}"]
    others = variants(found)
    if not others:
        return [f"{found.experiment}: only {found.control} has calls; there is nothing to compare."]
    said = [
        f"{found.experiment}: {other} against {found.control} is {_findings(found, other)}."
        for other in others
    ]
    if found.verdict == "unchecked":
        said.append(UNCHECKED)
    return said


def variants(found: Comparison) -> list[str]:
    """
    Return the variants other than the control.
    """
    return list(found.metrics[0].contrasts)


def columns_for(found: Comparison) -> list[Column]:
    """
    Return the columns of a comparison's table.
    """
    level = f"{100 * (1 - found.alpha):.4g}%"
    others = variants(found)
    one = others[0] if len(others) == 1 else "variant's"
    return [
        Column("METRIC", "label"),
        *([] if len(others) == 1 else [Column("VARIANT", "label")]),
        Column(_title(found.control), rank=2),
        Column(_title(one), rank=1),
        Column("DIFFERENCE"),
        Column(f"{level} INTERVAL"),
        Column("RELATIVE", rank=3),
        Column(f"{level} OF RELATIVE", rank=4),
        Column("VERDICT", "label"),
    ]


def rows_of(found: Comparison) -> list[list[str]]:
    """
    Return the rows of a comparison's table: one per metric and variant.
    """
    named = len(variants(found)) != 1
    return [
        [
            clean(metric.metric.name),
            *([clean(other)] if named else []),
            *_cells(found, metric, other),
        ]
        for metric in found.metrics
        for other in variants(found)
    ]


def refusals(found: Comparison) -> list[str]:
    """
    Return why what could not be estimated could not.
    """
    return [
        f"{metric.metric.name}, {other}: {contrast.reason}"
        for metric in found.metrics
        for other, contrast in metric.contrasts.items()
        if isinstance(contrast, NotEstimable)
    ]


def _findings(found: Comparison, other: str) -> str:
    said = []
    for verdict in VERDICTS:
        names = [each.metric.name for each in found.metrics if each.verdicts[other] == verdict]
        said += [f"{verdict} on {', '.join(names)}"] if names else []
    return "; ".join(said) or "not judged: no metric has a better direction"


def _title(name: str) -> str:
    cleaned = clean(name)
    return cleaned if len(cleaned) <= TITLE_WIDTH else f"{cleaned[: TITLE_WIDTH - 1]}…"


def _cells(found: Comparison, metric: MetricComparison, other: str) -> list[str]:
    unit = UNITS[metric.metric.unit_of_measure]
    decimals = _decimals(metric, other, unit)
    return [
        _estimate(metric.arms[found.control], unit, decimals),
        _estimate(metric.arms[other], unit, decimals),
        *_contrast(metric.contrasts[other], unit, decimals),
        metric.verdicts[other] or UNKNOWN,
    ]


def _decimals(metric: MetricComparison, other: str, unit: Unit) -> int:
    """
    Show two digits of the interval's half, or four of an estimate without one.
    """
    contrast = metric.contrasts[other]
    if not isinstance(contrast, NotEstimable):
        return decimals_for((contrast.interval.upper - contrast.interval.lower) / 2 * unit.scale)
    known = [
        abs(arm.estimate) * unit.scale
        for arm in metric.arms.values()
        if not isinstance(arm, NotEstimable) and arm.estimate
    ]
    return decimals_for(max(known), digits=4) if known else 0


def _estimate(arm: ArmEstimate | NotEstimable, unit: Unit, decimals: int) -> str:
    if isinstance(arm, NotEstimable):
        return UNKNOWN
    return f"{unit.before}{arm.estimate * unit.scale:,.{decimals}f}{unit.after}"


def _contrast(contrast: Contrast | NotEstimable, unit: Unit, decimals: int) -> list[str]:
    if isinstance(contrast, NotEstimable):
        return [UNKNOWN] * 4
    scaled = contrast.difference * unit.scale
    sign = "-" if scaled < 0 else "+"
    return [
        f"{sign}{unit.before}{abs(scaled):,.{decimals}f}{unit.after_difference}",
        _interval(contrast.interval, unit.scale, decimals),
        *_relative(contrast),
    ]


def _relative(contrast: Contrast) -> list[str]:
    relative, interval = contrast.relative, contrast.relative_interval
    if isinstance(relative, NotEstimable) or isinstance(interval, NotEstimable):
        return [UNKNOWN, UNKNOWN]
    decimals = decimals_for((interval.upper - interval.lower) / 2 * 100)
    return [f"{100 * relative:+,.{decimals}f}%", _interval(interval, 100, decimals)]


def _interval(interval: Interval, scale: float, decimals: int) -> str:
    lower, upper = (f"{end * scale:+,.{decimals}f}" for end in interval)
    return f"[{lower}, {upper}]"
