"""
Routes in figures.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from math import isfinite

from modeltrail.cli.worths import PER_THOUSAND
from modeltrail.experiment.routing import Frontier, FrontierPoint, Mean, Worth
from modeltrail.render.html import course, intervals, scatter
from modeltrail.render.html.course import Course
from modeltrail.render.html.frame import Write
from modeltrail.render.html.intervals import Bar, Intervals, Span
from modeltrail.render.html.page import Figure
from modeltrail.render.html.scatter import Dot, Scatter
from modeltrail.stats.callperformance import Curve
from modeltrail.stats.estimate import Interval, NotEstimable
from modeltrail.stats.hull import CostQuality, upper_hull

COST = "cost, dollars per 1,000 calls"
QUALITY = "quality"
# Corners of a curve that are drawn; more of them cannot be told apart.
_MOST_CORNERS = 200


def frontier_figure(found: Frontier) -> Figure:
    """
    Draw models by cost and quality, with what is on the hull.
    """
    dots = [_dot(point.model, point.worth, _kind(point)) for point in found.points]
    if isinstance(found.oracle, Worth):
        dots.append(_dot("the best of each", found.oracle, "other"))
    places = [
        CostQuality(each.x, each.y)
        for each, point in zip(dots, found.points, strict=False)
        if point.on_hull
    ]
    title = "Cost and quality"
    plot = Scatter(title, COST, QUALITY, dots, upper_hull(places), _dollars, _plain)
    return Figure(title, partial(scatter.draw, plot))


def frontier_key(level: str) -> list[str]:
    """
    Say how to read it.
    """
    return [
        "Filled dot: none is at least as good and no dearer. Open dot: one is.",
        "Line: what sending each call to one of two by lot reaches; what is on it is worth it.",
        f"Thin lines with ends: {level} intervals of cost and of quality, for one look.",
        'Worth "mixed" in the table: less than sending each of two others a part of the calls.',
    ]


def worth_figures(named: Mapping[str, Worth | NotEstimable | None]) -> list[Figure]:
    """
    Draw costs and qualities with their intervals, those that are known.
    """
    known = {name: worth for name, worth in named.items() if isinstance(worth, Worth)}
    costs = {name: worth.cost_nanousd for name, worth in known.items()}
    qualities = {name: worth.quality for name, worth in known.items()}
    return [
        *_means("Quality", QUALITY, qualities, 1, _plain),
        *_means("Cost", COST, costs, PER_THOUSAND, _dollars),
    ]


def worth_key(level: str) -> list[str]:
    """
    Say how to read them.
    """
    return [f"Dot: the estimate. Line: its {level} interval, for one look."]


def curve_figure(found: Curve, strong: str, weak: str, recovered: Sequence[float]) -> Figure:
    """
    Draw how quality grows with the share of calls that the strong model gets.
    """
    shares = {f"CPT {100 * each:.0f}%": found.threshold(each) for each in recovered}
    step = -(-len(found.points) // _MOST_CORNERS)
    plot = Course(
        f"From always {weak} to always {strong}",
        f"calls that {strong} answers",
        QUALITY,
        [*found.points[:-1:step], found.points[-1]],
        [(name, (share, found.quality_at(share))) for name, share in shares.items()],
        ("best possible", found.optimal),
        _plain,
    )
    return Figure(plot.title, partial(course.draw, plot))


def _kind(point: FrontierPoint) -> str:
    return "firm" if point.on_pareto else "open"


def _dot(name: str, worth: Worth, kind: str) -> Dot:
    cost, quality = worth.cost_nanousd, worth.quality
    return Dot(
        name,
        cost.estimate * PER_THOUSAND,
        _span(cost.interval, PER_THOUSAND),
        quality.estimate,
        _span(quality.interval, 1),
        kind,
    )


def _means(
    title: str, axis: str, means: Mapping[str, Mean], scale: float, write: Write
) -> list[Figure]:
    bars = [
        Bar(name, mean.estimate * scale, _span(mean.interval, scale))
        for name, mean in means.items()
        if isfinite(mean.estimate)
    ]
    if not bars:
        return []
    return [Figure(title, partial(intervals.draw, Intervals(title, axis, bars, write)))]


def _span(interval: Interval | NotEstimable, scale: float) -> Span | None:
    if isinstance(interval, NotEstimable):
        return None
    return Span(interval.lower * scale, interval.upper * scale)


def _dollars(value: float, decimals: int) -> str:
    return f"{'-' if value < 0 else ''}${abs(value):,.{decimals}f}"


def _plain(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}"
