"""
The frontier of cost and quality.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrail.stats.estimate import NotEstimable
from modeltrail.stats.hull import (
    AverageQuality,
    CostQuality,
    average_quality,
    best_quality,
    pareto,
    upper_hull,
)

# A, D and E are corners; B is on the Pareto set, but below the line from A to D; C costs
# more than D and is worse; F is dearer than E and no better.
MODELS = {
    "A": CostQuality(1, 0.4),
    "B": CostQuality(2, 0.45),
    "C": CostQuality(4, 0.6),
    "D": CostQuality(3, 0.7),
    "E": CostQuality(6, 0.8),
    "F": CostQuality(8, 0.8),
}


def test_by_hand() -> None:
    """
    Six models, worked out on paper.
    """
    points = list(MODELS.values())
    assert dict(zip(MODELS, pareto(points), strict=True)) == {
        "A": True,
        "B": True,
        "C": False,
        "D": True,
        "E": True,
        "F": False,
    }
    assert upper_hull(points) == [MODELS["A"], MODELS["D"], MODELS["E"]]
    assert best_quality(upper_hull(points), 2) == pytest.approx(0.55)
    assert best_quality(upper_hull(points), 7) == 0.8
    # 2 x .55 + 3 x .75 + 2 x .8 = 4.95, over a range of 7 or a largest cost of 8.
    assert average_quality(points) == AverageQuality(
        pytest.approx(4.95 / 7), pytest.approx(4.95 / 8)
    )


def test_refusals() -> None:
    """
    Below the cheapest there is nothing, and one price is no range.
    """
    assert isinstance(best_quality(upper_hull(list(MODELS.values())), 0.9), NotEstimable)
    assert isinstance(best_quality([], 1), NotEstimable)
    assert isinstance(average_quality([]), NotEstimable)
    assert isinstance(average_quality([CostQuality(1, 0.2), CostQuality(1, 0.5)]), NotEstimable)
    assert upper_hull([CostQuality(1, 0.2), CostQuality(1, 0.5)]) == [CostQuality(1, 0.5)]


points_of = st.lists(
    st.builds(CostQuality, st.integers(1, 50), st.integers(0, 100).map(float)), min_size=1
)


@given(points_of)
@settings(deadline=None)
def test_hull(points: list[CostQuality]) -> None:
    """
    The hull is above every point, concave, rising, and made of points of the Pareto set.
    """
    hull = upper_hull(points)
    for point in points:
        best = best_quality(hull, point.cost)
        assert isinstance(best, float) and best >= point.quality - 1e-9
    slopes = [
        (b.quality - a.quality) / (b.cost - a.cost) for a, b in zip(hull, hull[1:], strict=False)
    ]
    assert all(slope > 0 for slope in slopes)
    assert slopes == sorted(slopes, reverse=True) and len(set(slopes)) == len(slopes)
    efficient = {p for p, yes in zip(points, pareto(points), strict=True) if yes}
    assert set(hull) <= efficient
    assert hull[0].cost == min(p.cost for p in points)
    assert hull[-1].quality == max(p.quality for p in points)


@given(points_of)
@settings(deadline=None)
def test_average_is_between_worst_and_best(points: list[CostQuality]) -> None:
    """
    An average of qualities over budgets is one of the cheapest's to the best's.
    """
    found = average_quality(points)
    if isinstance(found, AverageQuality):
        hull = upper_hull(points)
        assert hull[0].quality - 1e-9 <= found.by_cost_range <= hull[-1].quality + 1e-9
        assert found.by_largest_cost <= found.by_cost_range
