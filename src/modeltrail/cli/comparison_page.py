"""
A comparison as a page with figures.
"""

from collections.abc import Sequence
from functools import partial

from modeltrail.cli.comparison_rows import (
    CHECKS,
    UNITS,
    Unit,
    decimals_of,
    label,
    shown_interval,
    signed,
    tables_of,
)
from modeltrail.cli.comparison_words import (
    arms_line,
    naive_lines,
    reading,
    refusals,
    sentences,
    skipped_lines,
)
from modeltrail.cli.worths import level_of
from modeltrail.experiment.contrasts import Contrast
from modeltrail.experiment.metrics import Metric
from modeltrail.experiment.over_time import LOOKS, Course
from modeltrail.experiment.results import Comparison, MetricComparison, Segment
from modeltrail.render.figures import moment
from modeltrail.render.html import band, intervals
from modeltrail.render.html.band import Band, Moment
from modeltrail.render.html.intervals import Bar, Intervals, Span
from modeltrail.render.html.page import Figure, Report, Section, Table
from modeltrail.render.layout import Column
from modeltrail.stats.estimate import Interval, NotEstimable

# What a difference is counted in.
_COUNTED = {
    "usd": "dollars",
    "us": "seconds",
    "share": "percentage points",
    "score": "",
    "tokens": "tokens",
}
_NONE = (0.0, "no difference")
_NO_COURSE = "What is adjusted, or compared within phases, is shown for this look alone."


def report_of(found: Comparison, courses: Sequence[Course]) -> Report:
    """
    Lay a comparison out: the verdict first, then the checks, then figures and tables.

    Args:
        courses: What it looked like before.
    """
    checks = Table(
        "",
        CHECKS,
        [[each.status, each.name, each.detail] for each in found.checks],
        alarming="fail",
    )
    sections = [Section("Checks", tables=[checks])]
    if found.verdict != "invalid":
        sections += _findings(found, courses)
    how = Section("How this was computed", lines=[f"Method: {found.method}.", reading(found.plan)])
    return Report(found.experiment, sentences(found), [arms_line(found)], [*sections, how])


def _findings(found: Comparison, courses: Sequence[Course]) -> list[Section]:
    tables = {
        title: Table(title.capitalize(), columns, rows) for title, columns, rows in tables_of(found)
    }
    forest = tables.pop("by feature", None)
    notes = [*refusals(found), *naive_lines(found)]
    sections = []
    if tables:
        figures = [_of_metric(found, each) for each in found.metrics if _has_contrast(each)]
        sections.append(Section("Metrics", [_key(found)], figures, list(tables.values())))
    if courses:
        sections.append(_over_time(found, courses))
    elif found.has_phases or found.is_adjusted:
        sections.append(Section("Over time", [_NO_COURSE]))
    if forest:
        sections.append(_by_feature(found, forest))
    skipped = skipped_lines(found)
    return [*sections, *([Section("Notes", [*notes, *skipped])] if notes or skipped else [])]


def _key(found: Comparison) -> str:
    level = level_of(found.plan.alpha)
    return (
        f"Each variant's difference from {found.plan.control}. Dot: the estimate. Thin line with "
        f"ends: the {level} interval that holds at every look. Thick line: the {level} interval "
        "for one look."
    )


def _has_contrast(metric: MetricComparison) -> bool:
    return any(isinstance(each, Contrast) for each in metric.contrasts.values())


def _of_metric(found: Comparison, metric: MetricComparison) -> Figure:
    unit = UNITS[metric.metric.unit_of_measure]
    bars = [
        Bar(
            variant,
            each.difference * unit.scale,
            _span(each.always_valid, unit),
            _span(each.fixed, unit),
        )
        for variant, each in metric.contrasts.items()
        if isinstance(each, Contrast)
    ]
    name = label(metric.metric.name)
    plot = _intervals(f"{name}: difference from {found.plan.control}", metric.metric, bars)
    said = "primary: it decides" if metric.role == "primary" else ""
    return Figure(name, partial(intervals.draw, plot), said)


def _intervals(title: str, metric: Metric, bars: Sequence[Bar]) -> Intervals:
    unit = UNITS[metric.unit_of_measure]
    sides = {"lower": ("better", "worse"), "higher": ("worse", "better"), None: None}
    return Intervals(title, _axis(metric), bars, partial(_tick, unit), _NONE, sides[metric.better])


def _over_time(found: Comparison, courses: Sequence[Course]) -> Section:
    known = [course for course in courses if course.looks]
    if not known:
        return Section("Over time", ["No earlier look was possible: there were too few units."])
    level = level_of(found.plan.alpha)
    bands = [_band(found, course) for course in known]
    said = (
        f"What would have been seen at up to {LOOKS} earlier looks. Line: the estimate. Band: the "
        f"{level} interval that holds at every look, at all of these together. Dashed: no "
        "difference."
    )
    lines = [said]
    if any(map(band.runs_out, bands)):
        lines.append("The first intervals are wider than the figure; the table has them.")
    figures = [Figure(each.title, partial(band.draw, each)) for each in bands]
    return Section("Over time", lines, figures, [_looks(found, course) for course in known])


def _band(found: Comparison, course: Course) -> Band:
    unit = UNITS[course.metric.unit_of_measure]
    known = [
        Moment(
            each.at_us,
            each.difference * unit.scale,
            *(end * unit.scale for end in each.always_valid),
        )
        for each in course.looks
    ]
    return Band(_pair(found, course), _axis(course.metric), known, partial(_tick, unit), _NONE[0])


def _pair(found: Comparison, course: Course) -> str:
    return f"{label(course.metric.name)}: {course.variant} less {found.plan.control}"


def _looks(found: Comparison, course: Course) -> Table:
    columns = [
        Column("UNTIL (UTC)", "text"),
        Column("UNITS"),
        Column("DIFFERENCE"),
        Column(f"ALWAYS-VALID {level_of(found.plan.alpha)}"),
    ]
    unit = UNITS[course.metric.unit_of_measure]
    rows = []
    for each in course.looks:
        decimals = decimals_of(each.always_valid, unit)
        rows.append(
            [
                moment(each.at_us),
                f"{each.n_units:,}",
                signed(each.difference, unit, decimals),
                shown_interval(each.always_valid, unit.scale, decimals),
            ]
        )
    return Table(_pair(found, course), columns, rows)


def _by_feature(found: Comparison, table: Table) -> Section:
    metrics = {each.metric.name: each.metric for each in found.metrics}
    groups: dict[tuple[str, str], list[Segment]] = {}
    for each in found.segments:
        groups.setdefault((each.metric, each.variant), []).append(each)
    figures = [
        _forest(found, metrics[metric], variant, listed)
        for (metric, variant), listed in groups.items()
    ]
    level = level_of(found.plan.alpha)
    line = (
        f"Line: the {level} interval that holds at every look. Filled dot: a difference that is "
        "kept among all features by Benjamini and Hochberg's procedure. It suggests the next "
        "experiment and decides nothing."
    )
    return Section("By feature", [line], figures, [table])


def _forest(found: Comparison, metric: Metric, variant: str, segments: Sequence[Segment]) -> Figure:
    unit = UNITS[metric.unit_of_measure]
    bars = [
        Bar(
            each.feature,
            each.difference * unit.scale,
            _span(each.always_valid, unit),
            firm=each.believed,
        )
        for each in sorted(segments, key=lambda each: (each.difference, each.feature))
    ]
    title = f"{label(metric.name)}: {variant} less {found.plan.control}"
    return Figure(title, partial(intervals.draw, _intervals(title, metric, bars)))


def _axis(metric: Metric) -> str:
    counted = _COUNTED[metric.unit_of_measure]
    return f"difference, {counted}" if counted else "difference"


def _span(interval: Interval | NotEstimable, unit: Unit) -> Span | None:
    if isinstance(interval, NotEstimable):
        return None
    return Span(*(end * unit.scale for end in interval))


def _tick(unit: Unit, value: float, decimals: int) -> str:
    if value == 0:
        return "0"
    sign = "-" if value < 0 else "+"
    return f"{sign}{unit.before}{abs(value):,.{decimals}f}"
