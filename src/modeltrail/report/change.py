"""
Why a bill has changed: arithmetic on sums, without any reading of its own.

The cost of a period is a product of five factors, summed over cells, each the calls
of one model (and of whatever else tells them apart):

    cost = volume * sum over cells of mix * (input * price of input + output * price of output)

where the price of input is that of a token not cached, read from a cache or written to one, by
their shares. The change of a cell's cost is divided among the factors by Shapley's method
(`modeltrail.stats.shapley`), which leaves no rest and does not depend on an order of the factors.
Energy economists know it as complete decomposition: J. W. Sun, "Changes in energy consumption and
energy intensity: a complete decomposition model", Energy Economics 20 (1998); J. Albrecht, D.
Francois and K. Schoors, "A Shapley decomposition of carbon emissions without residuals", Energy
Policy 30 (2002).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import product
from typing import NamedTuple

from modeltrail.prices import Rates
from modeltrail.stats.exact import apportion
from modeltrail.stats.shapley import shapley_values
from modeltrail.storage.spend import Spend

Key = tuple[str | None, ...]

ZERO = Fraction(0)


class Parts(NamedTuple):
    """
    What each factor has added to a cost, in nano-dollars.

    Attributes:
        volume: The number of calls.
        mix: Which share of the calls each cell has.
        tokens: How many tokens a call takes, in and out.
        cache: Which share of the input is read from a cache, or written to one.
        price: What a token costs.
    """

    volume: int
    mix: int
    tokens: int
    cache: int
    price: int


NONE = Parts(0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Period:
    """
    What was spent in a window of time, by cell.

    Attributes:
        spends: Of calls whose cost and tokens are known, at least one in each cell.
        rates: What a token of each kind cost, in any unit; only their ratios count. None or
            missing where that is not known.
    """

    spends: Mapping[Key, Spend]
    rates: Mapping[Key, Rates | None]

    @cached_property
    def calls(self) -> int:
        """
        How many calls there are.
        """
        return sum(spend.calls for spend in self.spends.values())


class CellChange(NamedTuple):
    """
    How the cost of one cell has changed; the parts add up to the change.
    """

    key: Key
    before_nanousd: int
    after_nanousd: int
    parts: Parts


class Change(NamedTuple):
    """
    How a cost has changed; the parts add up to the change.

    Attributes:
        cells: Those that have changed most come first.
    """

    before_nanousd: int
    after_nanousd: int
    parts: Parts
    cells: list[CellChange]


class _Price(NamedTuple):
    # Nano-dollars for a token of each kind, and for a call whose cost no token carries.
    uncached_input: Fraction
    cache_read: Fraction
    cache_creation: Fraction
    output: Fraction
    call: Fraction


class _Factors(NamedTuple):
    volume: int
    mix: Fraction
    tokens: tuple[Fraction, Fraction]
    cache: tuple[Fraction, Fraction]
    price: _Price


# Where no rates are known: one price for all tokens.
ALIKE = Rates(*[Decimal(1)] * 5)
_FREE = _Price(ZERO, ZERO, ZERO, ZERO, ZERO)


def explain(before: Period, after: Period) -> Change:
    """
    Divide the change of a cost among five factors.

    A cell with calls in one period only has that period's tokens, caches and
    prices in both, so that it counts as mix and volume alone; a period without
    any calls likewise has the mix of the other, so that all is volume. Prices
    are scaled so that each cell costs exactly what it did: discounts and
    whatever else the rates do not know count as price.
    """
    cells = [_change(key, before, after) for key in {**before.spends, **after.spends}]
    cells.sort(key=_place)
    return Change(
        before_nanousd=sum(cell.before_nanousd for cell in cells),
        after_nanousd=sum(cell.after_nanousd for cell in cells),
        parts=Parts._make(map(sum, zip(NONE, *(cell.parts for cell in cells), strict=True))),
        cells=cells,
    )


def _place(cell: CellChange) -> tuple[int, list[str]]:
    return -abs(cell.after_nanousd - cell.before_nanousd), [name or "" for name in cell.key]


def _change(key: Key, before: Period, after: Period) -> CellChange:
    was, is_now = _spent(key, before), _spent(key, after)
    sides = _factors(key, before, after), _factors(key, after, before)
    # Of a call; each of the four sets of volume and mix needs the same eight.
    costs = {
        (tokens, cache, price): _of_a_call(
            sides[tokens].tokens, sides[cache].cache, sides[price].price
        )
        for tokens, cache, price in product((0, 1), repeat=3)
    }

    def cost(come: frozenset[int]) -> Fraction:
        volume, mix, tokens, cache, price = (int(factor in come) for factor in range(len(NONE)))
        return sides[volume].volume * sides[mix].mix * costs[tokens, cache, price]

    exact = shapley_values(cost, len(NONE))
    return CellChange(key, was, is_now, Parts._make(apportion(exact, is_now - was)))


def _spent(key: Key, period: Period) -> int:
    return period.spends[key].cost_nanousd if key in period.spends else 0


def _of_a_call(
    tokens: tuple[Fraction, Fraction], cache: tuple[Fraction, Fraction], price: _Price
) -> Fraction:
    read, created = cache
    of_input = (
        (1 - read - created) * price.uncached_input
        + read * price.cache_read
        + created * price.cache_creation
    )
    return tokens[0] * of_input + tokens[1] * price.output + price.call


def _factors(key: Key, own: Period, other: Period) -> _Factors:
    counted = own if own.calls else other
    # What this period does not tell is as in the other.
    told = [period for period in (own, other) if key in period.spends]
    first = told[0].spends[key]
    caches = [_cache(period.spends[key]) for period in told]
    prices = [_price(period.spends[key], period.rates.get(key)) for period in told]
    price = next((price for price in prices if price), _FREE)
    if not prices[0]:  # these calls were free: what a token would have cost, the other tells
        price = price._replace(call=ZERO)
    calls = counted.spends[key].calls if key in counted.spends else 0
    return _Factors(
        volume=own.calls,
        mix=Fraction(calls, counted.calls),
        tokens=(
            Fraction(first.input_tokens, first.calls),
            Fraction(first.output_tokens, first.calls),
        ),
        cache=next((cache for cache in caches if cache), (ZERO, ZERO)),
        price=price,
    )


def _cache(spend: Spend) -> tuple[Fraction, Fraction] | None:
    if not spend.input_tokens:
        return None
    return (
        Fraction(spend.cache_read_input_tokens, spend.input_tokens),
        Fraction(spend.cache_creation_input_tokens, spend.input_tokens),
    )


def _price(spend: Spend, rates: Rates | None) -> _Price | None:
    """
    Return prices at which a cell costs what it did, None if it has neither tokens nor cost.
    """
    tokens = spend.input_tokens + spend.output_tokens
    if not tokens:
        call = Fraction(spend.cost_nanousd, spend.calls)
        return _FREE._replace(call=call) if call else None
    counts = (
        spend.input_tokens - spend.cache_read_input_tokens - spend.cache_creation_input_tokens,
        spend.cache_read_input_tokens,
        spend.cache_creation_input_tokens,
        spend.output_tokens,
    )
    shape = _shape(rates or ALIKE)
    modelled = _product(shape, counts)
    if modelled <= 0:  # the rates explain no cost at all
        shape = _shape(ALIKE)
        modelled = _product(shape, counts)
    scale = spend.cost_nanousd / modelled
    return _Price._make([*(scale * rate for rate in shape), ZERO])


def _shape(rates: Rates) -> list[Fraction]:
    # Writes that are kept for an hour are not told apart in sums.
    four = (rates.uncached_input, rates.cache_read, rates.cache_creation, rates.output)
    return [Fraction(rate or 0) for rate in four]


def _product(rates: Sequence[Fraction], counts: Sequence[int]) -> Fraction:
    return sum((rate * count for rate, count in zip(rates, counts, strict=True)), ZERO)
