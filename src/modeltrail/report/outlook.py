"""
What a month will cost: arithmetic on daily sums, without any reading of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from math import floor, log10
from typing import NamedTuple

from modeltrail.stats.estimate import NotEstimable
from modeltrail.stats.exact import sum_known
from modeltrail.stats.forecast import MOST_DAYS, forecast
from modeltrail.storage.queries import Group

DIGITS = 4
_DAY = timedelta(days=1)


class Outlook(NamedTuple):
    """
    What a month has cost so far, and what it will have cost at its end.

    Attributes:
        month: Such as 2026-09.
        spent_nanousd: Until now, exact.
        estimate_nanousd: At its end, as likely more as less; rounded as the bounds are.
        low_nanousd: The lower bound of the prediction interval.
        high_nanousd: The upper bound.
        days: How many full days the forecast is made from.
    """

    month: str
    spent_nanousd: int
    estimate_nanousd: int
    low_nanousd: int
    high_nanousd: int
    days: int


def first_day(now: datetime) -> datetime:
    """
    Return the start of the first day that a month's outlook needs.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    # The first day with calls does not count: it may have begun before them.
    return min(midnight.replace(day=1), midnight - (MOST_DAYS + 1) * _DAY)


def outlook(costs: Mapping[date, int], now: datetime, *, alpha: float) -> Outlook | NotEstimable:
    """
    Forecast what the month of a moment will cost.

    Args:
        costs: Nano-dollars of each day since `first_day` that has known costs; of the last
            one until `now`.
        now: UTC.
        alpha: One less the probability that the cost lies in the interval.
    """
    today = now.date()
    start = min(costs, default=today) + _DAY
    past = [costs.get(start + n * _DAY, 0) for n in range((today - start).days)]
    after = (today.replace(day=28) + 4 * _DAY).replace(day=1)
    midnight = datetime(today.year, today.month, today.day, tzinfo=UTC)
    left = 1 - (now - midnight) / _DAY
    found = forecast(past, [left, *[1.0] * ((after - today).days - 1)], alpha=alpha)
    if isinstance(found, NotEstimable):
        return found
    month = f"{today:%Y-%m}"
    spent = sum(cost for day, cost in costs.items() if f"{day:%Y-%m}" == month)
    # Never less than is spent already, as rounding could make it.
    estimate, low, high = (max(spent, _rounded(spent + rest)) for rest in found)
    return Outlook(month, spent, estimate, low, high, min(len(past), MOST_DAYS))


class GroupOutlook(NamedTuple):
    """
    What the calls of one group cost, as far as that can be told.

    Attributes:
        key: The values that they share.
        spent_nanousd: This month until now; None if it has calls and no cost of them is known.
        found: The outlook, or why there is none.
    """

    key: tuple[str | None, ...]
    spent_nanousd: int | None
    found: Outlook | NotEstimable


def outlooks(days: Iterable[Group], now: datetime, *, alpha: float) -> list[GroupOutlook]:
    """
    Forecast what the month will cost each group by itself, dearest so far first.

    Each interval is of its group alone. Neither the estimates nor the bounds of groups add up to
    those of the total: medians of sums are no sums of medians, and what is too high in one group
    and too low in another cancels out in the total.

    Args:
        days: Sums of calls since `first_day`, whose keys end with the day.
    """
    by_key: dict[tuple[str | None, ...], list[Group]] = {}
    for each in days:
        by_key.setdefault(each.key[:-1], []).append(each)
    found = [joint_outlook(group, now, alpha=alpha, key=key) for key, group in by_key.items()]
    return sorted(found, key=lambda each: (-(each.spent_nanousd or 0), repr(each.key)))


def joint_outlook(
    days: Sequence[Group], now: datetime, *, alpha: float, key: tuple[str | None, ...] = ()
) -> GroupOutlook:
    """
    Forecast what the month will cost all of these calls together.

    Args:
        days: Sums of calls since `first_day`, whose keys end with the day.
        key: The values that the calls share.
    """
    month = f"{now:%Y-%m}"
    costs: dict[date, int] = {}
    for each in days:
        if each.cost_nanousd is not None:
            day = date.fromisoformat(str(each.key[-1]))
            costs[day] = costs.get(day, 0) + each.cost_nanousd
    latest = [each.cost_nanousd for each in days if str(each.key[-1]).startswith(month)]
    # A month without calls has cost nothing, which is known.
    spent = sum_known(latest) if latest else 0
    return GroupOutlook(key, spent, outlook(costs, now, alpha=alpha))


def _rounded(nanousd: float) -> int:
    """
    Round to as many digits as a forecast may have.
    """
    return int(round(nanousd, DIGITS - 1 - floor(log10(nanousd)))) if nanousd else 0
