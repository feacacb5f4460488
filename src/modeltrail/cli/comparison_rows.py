"""
A comparison in columns.
"""

from collections.abc import Sequence
from typing import NamedTuple

from modeltrail.experiment.adjust import Adjusted
from modeltrail.experiment.contrasts import ArmEstimate, Contrast
from modeltrail.experiment.metrics import CALL_METRICS, OUTCOME
from modeltrail.experiment.results import Comparison, MetricComparison, Segment
from modeltrail.render.figures import UNKNOWN, decimals_for
from modeltrail.render.layout import Column
from modeltrail.render.text import clean
from modeltrail.stats.estimate import Interval, NotEstimable

TITLE_WIDTH = 12

# A title, columns and cells.
Titled = tuple[str, Sequence[Column], Sequence[Sequence[str]]]


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


CHECKS = [Column(title, "label") for title in ("STATUS", "CHECK", "DETAIL")]


def tables_of(found: Comparison) -> list[Titled]:
    """
    Return the tables of a comparison with their titles: that of metrics has none.
    """
    tables: list[Titled] = []
    if found.decisions:
        tables.append(("", columns_for(found), rows_of(found)))
        if found.is_adjusted:
            tables.append(("adjusted: these decide", adjusted_columns(found), adjusted_rows(found)))
        if found.guardrails:
            tables.append(("guardrails", guardrail_columns(), guardrail_rows(found)))
    if found.segments:
        tables.append(("by feature", segment_columns(found), segment_rows(found)))
    return tables


def variants(found: Comparison) -> list[str]:
    """
    Return the variants other than the control.
    """
    return list(found.decisions)


def columns_for(found: Comparison) -> list[Column]:
    """
    Return the columns of a comparison's table.
    """
    level = f"{100 * (1 - found.plan.alpha):.4g}%"
    others = variants(found)
    one = others[0] if len(others) == 1 else "variant's"
    return [
        Column("METRIC", "label"),
        *([] if len(others) == 1 else [Column("VARIANT", "label")]),
        Column(_title(found.plan.control), rank=2),
        Column(_title(one), rank=1),
        Column("DIFFERENCE"),
        Column(f"ALWAYS-VALID {level}"),
        Column(f"AT ONE LOOK {level}", rank=4),
        Column("RELATIVE", rank=5),
        Column("VERDICT", "text"),
        Column("MORE UNITS", rank=3),
    ]


def rows_of(found: Comparison) -> list[list[str]]:
    """
    Return the rows of a comparison's table: one per metric and variant.
    """
    named = len(variants(found)) != 1
    return [
        [
            f"{label(metric.metric.name)}{' *' if metric.role == 'primary' else ''}",
            *([clean(other)] if named else []),
            *_cells(found, metric, other),
        ]
        for metric in found.metrics
        for other in variants(found)
    ]


def adjusted_columns(found: Comparison) -> list[Column]:
    """
    Return the columns of the table of adjusted differences.
    """
    level = f"{100 * (1 - found.plan.alpha):.4g}%"
    return [
        Column("METRIC", "label"),
        *([] if len(variants(found)) == 1 else [Column("VARIANT", "label")]),
        Column("DIFFERENCE"),
        Column(f"ALWAYS-VALID {level}"),
        Column(f"AT ONE LOOK {level}", rank=2),
        Column("VARIANCE", rank=1),
        Column("VERDICT", "text"),
    ]


def adjusted_rows(found: Comparison) -> list[list[str]]:
    """
    Return the rows of the table of adjusted differences, which decide.
    """
    named = len(variants(found)) != 1
    return [
        [
            label(metric.metric.name),
            *([clean(variant)] if named else []),
            *_adjusted_cells(metric, variant, each),
            _words(metric.findings[variant].verdict),
        ]
        for metric in found.metrics
        for variant, each in metric.adjusted.items()
    ]


def _adjusted_cells(
    metric: MetricComparison, variant: str, each: Adjusted | NotEstimable
) -> list[str]:
    if isinstance(each, NotEstimable) or metric.findings[variant].verdict == "invalid":
        return [UNKNOWN] * 4
    unit = UNITS[metric.metric.unit_of_measure]
    decimals = decimals_of(_widest(each.contrast), unit)
    cells = _contrast(each.contrast, unit, decimals)[:3]
    return [*cells, f"{100 * (each.variance_ratio - 1):+.0f}%"]


def guardrail_columns() -> list[Column]:
    """
    Return the columns of the table of guardrails.
    """
    return [
        Column("METRIC", "label"),
        Column("VARIANT", "label"),
        Column("MARGIN"),
        Column("AT WORST"),
        Column("VERDICT", "text"),
        Column("MORE UNITS", rank=1),
    ]


def guardrail_rows(found: Comparison) -> list[list[str]]:
    """
    Return the rows of the table of guardrails.
    """
    units = {each.metric.name: UNITS[each.metric.unit_of_measure] for each in found.metrics}
    rows = []
    for each in found.guardrails:
        unit = units[each.metric]
        decimals = decimals_for(each.margin * unit.scale, digits=3)
        for variant, finding in each.findings.items():
            bound = each.bounds[variant]
            unknown = isinstance(bound, NotEstimable) or finding.verdict == "invalid"
            rows.append(
                [
                    label(each.metric),
                    clean(variant),
                    _amount(each.margin, unit, decimals),
                    UNKNOWN if unknown else _gain(bound, unit, decimals),
                    _words(finding.verdict),
                    _units(finding.units_needed),
                ]
            )
    return rows


def segment_columns(found: Comparison) -> list[Column]:
    """
    Return the columns of the table of segments.
    """
    level = f"{100 * (1 - found.plan.alpha):.4g}%"
    return [
        Column("FEATURE", "label"),
        Column("METRIC", "label"),
        *([] if len(variants(found)) == 1 else [Column("VARIANT", "label")]),
        Column("UNITS", rank=1),
        Column("DIFFERENCE"),
        Column(f"ALWAYS-VALID {level}"),
        Column("VERDICT", "text"),
    ]


def segment_rows(found: Comparison) -> list[list[str]]:
    """
    Return the rows of the table of segments: the largest differences of a metric first.
    """
    named = len(variants(found)) != 1
    units = {each.metric.name: UNITS[each.metric.unit_of_measure] for each in found.metrics}
    places = {each.metric.name: place for place, each in enumerate(found.metrics)}
    ordered = sorted(found.segments, key=lambda each: (places[each.metric], each.p, each.feature))
    return [
        [
            clean(each.feature),
            label(each.metric),
            *([clean(each.variant)] if named else []),
            f"{each.n_units:,}",
            *_segment_cells(each, units[each.metric]),
        ]
        for each in ordered
    ]


def label(name: str) -> str:
    """
    Return a metric's name for a column: that of an outcome alone, where nothing else has it.
    """
    short = name.removeprefix(OUTCOME)
    return clean(name if short in CALL_METRICS else short)


def shown_interval(interval: Interval, scale: float, decimals: int) -> str:
    """
    Show an interval, its signs always.
    """
    lower, upper = (f"{end * scale:+,.{decimals}f}" for end in interval)
    return f"[{lower}, {upper}]"


def _segment_cells(segment: Segment, unit: Unit) -> list[str]:
    decimals = decimals_of(segment.always_valid, unit)
    return [
        signed(segment.difference, unit, decimals),
        shown_interval(segment.always_valid, unit.scale, decimals),
        _words(segment.verdict),
    ]


def _title(name: str) -> str:
    cleaned = clean(name)
    return cleaned if len(cleaned) <= TITLE_WIDTH else f"{cleaned[: TITLE_WIDTH - 1]}…"


def _cells(found: Comparison, metric: MetricComparison, other: str) -> list[str]:
    unit = UNITS[metric.metric.unit_of_measure]
    decimals = _decimals(metric, other, unit)
    finding = metric.findings[other]
    contrast = metric.contrasts[other]
    return [
        _estimate(metric.arms[found.plan.control], unit, decimals),
        _estimate(metric.arms[other], unit, decimals),
        # Where a check has failed no difference is shown: somebody would believe it.
        *(
            [UNKNOWN] * 4
            if isinstance(contrast, NotEstimable) or finding.verdict == "invalid"
            else _contrast(contrast, unit, decimals)
        ),
        _words(finding.verdict),
        _units(finding.units_needed),
    ]


def _decimals(metric: MetricComparison, other: str, unit: Unit) -> int:
    """
    Show two digits of the interval's half, or four of an estimate without one.
    """
    contrast = metric.contrasts[other]
    if not isinstance(contrast, NotEstimable):
        return decimals_of(_widest(contrast), unit)
    known = [
        abs(arm.estimate) * unit.scale
        for arm in metric.arms.values()
        if not isinstance(arm, NotEstimable) and arm.estimate
    ]
    return decimals_for(max(known), digits=4) if known else 0


def _widest(contrast: Contrast) -> Interval:
    held = contrast.always_valid
    return contrast.fixed if isinstance(held, NotEstimable) else held


def decimals_of(interval: Interval, unit: Unit) -> int:
    """
    Return the decimals that show two digits of an interval's half.
    """
    return decimals_for((interval.upper - interval.lower) / 2 * unit.scale)


def _estimate(arm: ArmEstimate | NotEstimable, unit: Unit, decimals: int) -> str:
    if isinstance(arm, NotEstimable):
        return UNKNOWN
    # To the precision of its own: one arm may cost a hundredth of the other.
    own = arm.interval
    digits = decimals if isinstance(own, NotEstimable) else max(decimals, decimals_of(own, unit))
    return f"{unit.before}{arm.estimate * unit.scale:,.{digits}f}{unit.after}"


def _contrast(contrast: Contrast, unit: Unit, decimals: int) -> list[str]:
    held, relative = contrast.always_valid, contrast.relative
    return [
        signed(contrast.difference, unit, decimals),
        UNKNOWN if isinstance(held, NotEstimable) else shown_interval(held, unit.scale, decimals),
        shown_interval(contrast.fixed, unit.scale, decimals),
        UNKNOWN if isinstance(relative, NotEstimable) else f"{100 * relative:+,.1f}%",
    ]


def signed(value: float, unit: Unit, decimals: int) -> str:
    """
    Show a difference, its sign always.
    """
    scaled = value * unit.scale
    sign = "-" if scaled < 0 else "+"
    return f"{sign}{unit.before}{abs(scaled):,.{decimals}f}{unit.after_difference}"


def _amount(value: float, unit: Unit, decimals: int) -> str:
    return f"{unit.before}{value * unit.scale:,.{decimals}f}{unit.after_difference}"


def _gain(bound: float | NotEstimable, unit: Unit, decimals: int) -> str:
    assert not isinstance(bound, NotEstimable)
    side = "better" if bound > 0 else "worse"
    return f"{_amount(abs(bound), unit, decimals)} {side}"


def _words(verdict: str | None) -> str:
    return UNKNOWN if verdict is None else verdict.replace("_", " ")


def _units(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
