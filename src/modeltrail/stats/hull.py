"""
The frontier of cost and quality: which models are worth their price.

A model is on the Pareto set if no other is at least as good and no dearer. Sending a
share of the calls to each of two models reaches every point on the line between
them, so that what can be had without looking at the calls is the upper hull of
the points, and flat beyond the best one: the non-decreasing convex hull of
RouterBench (Hu et al. 2024, arXiv 2403.12031, section 3), whose area is the
"average improvement in quality" (AIQ).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from modeltrail.stats.estimate import NotEstimable


class CostQuality(NamedTuple):
    """
    What a call costs, and what it is worth; a higher quality is better.
    """

    cost: float
    quality: float


class AverageQuality(NamedTuple):
    """
    Area under the hull from the cheapest cost to the dearest, in two normalisations.

    Attributes:
        by_cost_range: Divided by (largest cost - smallest cost), as the paper
            defines AIQ: the mean quality over budgets within that range.
        by_largest_cost: Divided by the largest cost, as RouterBench's code does;
            smaller, since budgets below the cheapest model count as 0.
    """

    by_cost_range: float
    by_largest_cost: float


def pareto(points: Sequence[CostQuality]) -> list[bool]:
    """
    Tell of each point whether no other is at least as good and no dearer.

    Of equal points all are on the set.
    """
    return [not any(_beats(other, point) for other in points) for point in points]


def upper_hull(points: Sequence[CostQuality]) -> list[CostQuality]:
    """
    Give the corners of the non-decreasing upper hull, from the cheapest to the best.
    """
    hull: list[CostQuality] = []
    for point in sorted(set(points), key=lambda point: (point.cost, -point.quality)):
        if hull and point.quality <= hull[-1].quality:
            continue
        while len(hull) > 1 and not _turns_right(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def best_quality(hull: Sequence[CostQuality], cost: float) -> float | NotEstimable:
    """
    Give the quality that a budget per call buys by mixing models.

    Args:
        hull: The corners, as `upper_hull` gives them.
        cost: The budget.

    Returns:
        The quality; or that no model is as cheap.
    """
    if not hull or cost < hull[0].cost:
        return NotEstimable("no model is as cheap as this")
    for left, right in pairwise(hull):
        if cost < right.cost:
            share = (cost - left.cost) / (right.cost - left.cost)
            return left.quality + share * (right.quality - left.quality)
    return hull[-1].quality


def average_quality(points: Sequence[CostQuality]) -> AverageQuality | NotEstimable:
    """
    Give the area under the hull, from the cheapest point's cost to the dearest's.

    Returns:
        Both normalisations; or that all points cost the same.
    """
    costs = [point.cost for point in points]
    if not costs or max(costs) <= min(costs):
        return NotEstimable("all cost the same: there is no range of costs to average over")
    hull = upper_hull(points)
    corners = [*hull, CostQuality(max(costs), hull[-1].quality)]
    area = sum(
        (right.cost - left.cost) * (left.quality + right.quality) / 2
        for left, right in pairwise(corners)
    )
    return AverageQuality(area / (max(costs) - min(costs)), area / max(costs))


def _beats(other: CostQuality, point: CostQuality) -> bool:
    return other != point and other.cost <= point.cost and other.quality >= point.quality


def _turns_right(a: CostQuality, b: CostQuality, c: CostQuality) -> bool:
    return (b.quality - a.quality) * (c.cost - a.cost) > (c.quality - a.quality) * (b.cost - a.cost)
