"""
Why a bill has changed, read from a trail.
"""

from collections.abc import Sequence
from typing import NamedTuple

from modeltrail.prices import Rates, Subject, rates_at
from modeltrail.report.change import Change, Key, Period, explain
from modeltrail.stats.estimate import NotEstimable
from modeltrail.storage import Filters, Store
from modeltrail.storage.spend import Spend

# What makes a price.
MODEL = ("provider", "model")


class Side(NamedTuple):
    """
    What one window holds.

    Attributes:
        since_us: Its first moment, microseconds UTC.
        until_us: The moment that ends it, excluded.
        calls: How many calls are in the figures.
        cost_nanousd: What these cost.
        left_out: How many are not, since their cost or tokens are not known.
        left_out_nanousd: What of the cost of those is known.
    """

    since_us: int
    until_us: int
    calls: int
    cost_nanousd: int
    left_out: int
    left_out_nanousd: int


class Why(NamedTuple):
    """
    How a bill has changed, and between what.

    Attributes:
        by: What tells cells apart, in the order of their keys.
    """

    by: list[str]
    before: Side
    after: Side
    change: Change


def why(
    store: Store, before: tuple[int, int], after: tuple[int, int], by: Sequence[str] = ()
) -> Why | NotEstimable:
    """
    Explain how the cost of one window has become that of another.

    Args:
        before: The first moment and the one that ends it, microseconds UTC.
        after: The same of the other window.
        by: What tells cells apart besides provider and model.

    Raises:
        ConfigurationError: A dimension is unknown.
    """
    dimensions = list(dict.fromkeys((*MODEL, *by)))
    old, new = (_spends(store, dimensions, window) for window in (before, after))
    sides = _side(before, old), _side(after, new)
    if reason := _refuse(*sides):
        return NotEstimable(reason)
    change = explain(_period(old, _middle_us(before)), _period(new, _middle_us(after)))
    return Why(dimensions, *sides, change)


def _spends(store: Store, by: Sequence[str], window: tuple[int, int]) -> list[Spend]:
    return store.spends(by, Filters(since_us=window[0], until_us=window[1]))


def _middle_us(window: tuple[int, int]) -> int:
    return sum(window) // 2


def _side(window: tuple[int, int], spends: Sequence[Spend]) -> Side:
    return Side(
        *window,
        calls=sum(spend.calls for spend in spends),
        cost_nanousd=sum(spend.cost_nanousd for spend in spends),
        left_out=sum(spend.left_out for spend in spends),
        left_out_nanousd=sum(spend.left_out_nanousd for spend in spends),
    )


def _refuse(before: Side, after: Side) -> str | None:
    for name, side in (("first", before), ("second", after)):
        if side.left_out and not side.calls:
            return f"no call of the {name} window, of {side.left_out}, has known cost and tokens"
    if not before.calls + after.calls:
        return "there are no calls in either window"
    return None


def _period(spends: Sequence[Spend], at_us: int) -> Period:
    counted = {spend.key: spend for spend in spends if spend.calls}
    return Period(counted, {key: _rates(key, at_us) for key in counted})


def _rates(key: Key, at_us: int) -> Rates | None:
    provider, model = key[: len(MODEL)]
    return None if model is None else rates_at(Subject(provider, model, at_us))
