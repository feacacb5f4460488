"""
What a month will cost, where every day costs the same.
"""

from datetime import UTC, date, datetime, timedelta

import pytest

from modeltrail.report.outlook import Outlook, first_day, joint_outlook, outlook, outlooks
from modeltrail.stats.estimate import NotEstimable
from modeltrail.storage import Group

NOON = datetime(2026, 9, 21, 12, tzinfo=UTC)
DOLLAR = 10**9


def days(first: date, last: date, cost: int = 2 * DOLLAR) -> dict[date, int]:
    """
    Return days that all cost the same.
    """
    return {first + timedelta(n): cost for n in range((last - first).days + 1)}


def test_spent_and_half_a_day_and_nine_days() -> None:
    """20 days at 2 dollars, 1.25 today; to come are half of today and nine more days."""
    costs = days(date(2026, 7, 20), date(2026, 9, 20)) | {date(2026, 9, 21): DOLLAR * 5 // 4}
    found = outlook(costs, NOON, alpha=0.1)
    assert isinstance(found, Outlook)
    assert (found.month, found.days) == ("2026-09", 56)
    assert found.spent_nanousd == 20 * 2 * DOLLAR + DOLLAR * 5 // 4
    assert found[2:5] == (60_250_000_000,) * 3


def test_forecast_is_told_in_four_digits_and_never_below_what_is_spent() -> None:
    """On the evening of the last day there is next to nothing to come."""
    evening = datetime(2026, 9, 30, 23, 59, 59, 999_999, tzinfo=UTC)
    costs = days(date(2026, 7, 20), date(2026, 9, 30), 123_456_789)
    found = outlook(costs, evening, alpha=0.1)
    assert isinstance(found, Outlook)
    assert found[1:5] == (3_703_703_670, 3_704_000_000, 3_704_000_000, 3_704_000_000)
    found = outlook(costs | {date(2026, 9, 30): 123_956_789}, evening, alpha=0.1)
    assert isinstance(found, Outlook)
    assert found[1:5] == (3_704_203_670,) * 4


def test_first_day_may_be_half_a_day() -> None:
    """The day of the first call is no full day."""
    costs = days(date(2026, 9, 6), date(2026, 9, 20)) | {date(2026, 9, 6): 7}
    found = outlook(costs, NOON, alpha=0.1)
    assert isinstance(found, Outlook)
    assert found.days == 14
    assert found.spent_nanousd == 14 * 2 * DOLLAR + 7
    del costs[date(2026, 9, 6)]
    assert outlook(costs, NOON, alpha=0.1) == NotEstimable(
        "there are 13 full days, and it takes 14"
    )


def test_no_costs_are_refused() -> None:
    """Without any day there is nothing to go by."""
    assert isinstance(outlook({}, NOON, alpha=0.1), NotEstimable)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOON, datetime(2026, 7, 26, tzinfo=UTC)),
        (datetime(2026, 10, 31, tzinfo=UTC), datetime(2026, 9, 4, tzinfo=UTC)),
    ],
)
def test_eight_weeks_and_a_day_are_read(now: datetime, expected: datetime) -> None:
    """That always includes the whole month."""
    assert first_day(now) == expected


def sums(feature: str, costs: dict[date, int | None]) -> list[Group]:
    """Return the sums of a feature's days."""
    return [
        Group((feature, str(day)), 1, 0, int(cost is None), None, None, cost)
        for day, cost in costs.items()
    ]


def test_groups_and_all_of_them_together() -> None:
    """Each group is forecast as if it were alone, and the total from the days of all."""
    small = days(date(2026, 7, 20), date(2026, 9, 21), DOLLAR)
    large = days(date(2026, 7, 20), date(2026, 9, 21), 3 * DOLLAR)
    both = [*sums("small", dict(small)), *sums("large", dict(large))]
    found = outlooks(both, NOON, alpha=0.1)
    assert [each.key for each in found] == [("large",), ("small",)]
    assert [each.found for each in found] == [
        outlook(costs, NOON, alpha=0.1) for costs in (large, small)
    ]
    together = joint_outlook(both, NOON, alpha=0.1)
    assert together.found == outlook(dict.fromkeys(small, 4 * DOLLAR), NOON, alpha=0.1)
    assert (together.key, together.spent_nanousd) == ((), 21 * 4 * DOLLAR)


def test_what_is_spent_is_unknown_or_nothing() -> None:
    """A month with calls of unknown cost is not one without calls."""
    unknown = sums("a", {date(2026, 9, 1): None})
    before = sums("b", {date(2026, 8, 31): 5})
    mixed = sums("c", {date(2026, 8, 31): 5, date(2026, 9, 1): None, date(2026, 9, 2): 3})
    spent = {
        each.key: each.spent_nanousd
        for each in outlooks([*unknown, *before, *mixed], NOON, alpha=0.1)
    }
    assert spent == {("a",): None, ("b",): 0, ("c",): 3}
