"""
The parts of a change: by hand where one factor changes, by brute force where all do.
"""

from decimal import Decimal
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrail.prices import Rates
from modeltrail.report.change import Parts, Period, explain
from modeltrail.storage.spend import Spend

# Nano-dollars a token: 100 uncached, 10 read, 125 written, 400 out.
RATES = Rates(Decimal(100), Decimal(10), Decimal(125), None, Decimal(400))
CHEAP = RATES.times(Decimal("0.5"))


def spend(
    model: str, calls: int, inputs: int, outputs: int, cost: int, read: int = 0, written: int = 0
) -> Spend:
    """
    Return calls of a model: per call so many tokens and nano-dollars.
    """
    per_call = (inputs, read, written, outputs, cost)
    return Spend(("p", model), calls, *(calls * figure for figure in per_call))


def period(*spends: Spend, rates: Rates | None = RATES) -> Period:
    """
    Return a period in which all models have the same rates.
    """
    by_key = {each.key: each for each in spends}
    return Period(by_key, dict.fromkeys(by_key, rates))


BASE = spend("m", 10, 50, 20, 50 * 100 + 20 * 400)


@pytest.mark.parametrize(
    ("after", "factor", "change"),
    [
        (period(spend("m", 13, 50, 20, 13_000)), "volume", 3 * 13_000),
        (period(spend("m", 10, 80, 25, 18_000)), "tokens", 10 * (30 * 100 + 5 * 400)),
        (period(spend("m", 10, 50, 20, 6_500), rates=CHEAP), "price", -10 * 6_500),
        (period(spend("m", 10, 50, 20, 11_700)), "price", -10 * 1_300),  # a discount of 10 %
        (period(spend("m", 10, 50, 20, 9_400, read=40)), "cache", -10 * 40 * 90),
        (period(spend("m", 10, 50, 20, 13_250, written=10)), "cache", 10 * 10 * 25),
        (period(BASE), "volume", 0),
    ],
    ids=["volume", "tokens", "rates", "discount", "read", "written", "nothing"],
)
def test_one_factor_gets_all(after: Period, factor: str, change: int) -> None:
    """Where only one factor changes, the whole change is its part."""
    found = explain(period(BASE), after)
    assert found.after_nanousd - found.before_nanousd == change
    assert found.parts == Parts(0, 0, 0, 0, 0)._replace(**{factor: change})


def test_only_the_mix_changes() -> None:
    """As many calls of the same two models as before, but more of the dear one."""
    cheap, dear = (8, "a", 50, 20, 13_000), (2, "b", 500, 200, 130_000)
    before = period(*(spend(model, calls, *each) for calls, model, *each in (cheap, dear)))
    after = period(spend("a", 4, *cheap[2:]), spend("b", 6, *dear[2:]))
    found = explain(before, after)
    change = 4 * (130_000 - 13_000)
    assert found.parts == Parts(0, change, 0, 0, 0)
    assert [(cell.key[1], cell.parts.mix) for cell in found.cells] == [
        ("b", 4 * 130_000),
        ("a", -4 * 13_000),
    ]


def test_replaced_model_is_mix_alone() -> None:
    """Calls move from one model to another; neither has become dearer."""
    found = explain(period(BASE), period(spend("n", 10, 90, 20, 100)))
    assert found.parts == Parts(0, 10 * (100 - 13_000), 0, 0, 0)


def test_first_calls_are_all_volume() -> None:
    """From nothing to something, and back, only the number of calls changes."""
    nothing = period()
    found = explain(nothing, period(BASE, spend("n", 5, 1, 1, 7)))
    assert found.parts == Parts(130_035, 0, 0, 0, 0)
    assert explain(period(BASE), nothing).parts == Parts(-130_000, 0, 0, 0, 0)
    assert explain(nothing, nothing).parts == Parts(0, 0, 0, 0, 0)


def test_twice_the_calls_at_half_the_price() -> None:
    """Two factors that cancel out get equal parts: +1 and -1/2, averaged over both orders."""
    found = explain(period(BASE), period(spend("m", 20, 50, 20, 6_500), rates=CHEAP))
    assert found.before_nanousd == found.after_nanousd == 130_000
    # Volume first: +130,000; last, at half the price: +65,000.
    assert found.parts == Parts(97_500, 0, 0, 0, -97_500)


def test_without_rates_tokens_have_one_price() -> None:
    """70 tokens cost 13,000 a call; 35 at that price half of it, whichever they are."""
    before = period(BASE, rates=None)
    after = period(spend("m", 10, 30, 5, 6_500, read=30), rates=None)
    assert explain(before, after).parts == Parts(0, 0, -65_000, 0, 0)


def test_cost_that_no_token_carries_is_price() -> None:
    """A charge per call, without tokens, counts as price."""
    before, after = period(spend("m", 10, 0, 0, 3)), period(spend("m", 10, 0, 0, 5))
    assert explain(before, after).parts == Parts(0, 0, 0, 0, 20)


def test_free_calls_without_tokens_tell_nothing_about_prices() -> None:
    """Calls that took no tokens and cost nothing have become calls that do: by tokens."""
    found = explain(period(spend("m", 10, 0, 0, 0)), period(BASE))
    assert found.parts == Parts(0, 0, 130_000, 0, 0)


def test_charge_for_calls_that_were_free_is_price() -> None:
    """Calls without tokens that cost nothing cost something now, and the other way round."""
    free, charged = period(spend("m", 10, 0, 0, 0)), period(spend("m", 10, 0, 0, 60))
    assert explain(free, charged).parts == Parts(0, 0, 0, 0, 600)
    assert explain(charged, free).parts == Parts(0, 0, 0, 0, -600)


RATE = st.integers(1, 500).map(lambda n: Decimal(n) / 7)


@st.composite
def periods(draw: st.DrawFn) -> Period:
    """
    Draw a period of some models, each with or without known rates; costs need not follow them.
    """
    spends, rates = {}, {}
    for model in draw(st.sets(st.sampled_from("abc"), max_size=2)):
        inputs = draw(st.integers(0, 10_000))
        read = draw(st.integers(0, inputs))
        written = draw(st.integers(0, inputs - read))
        figures = (inputs, read, written, draw(st.integers(0, 5_000)), draw(st.integers(0, 10**9)))
        spends["p", model] = Spend(("p", model), draw(st.integers(1, 1_000)), *figures)
        rates["p", model] = draw(st.none() | st.builds(Rates, RATE, RATE, RATE, st.none(), RATE))
    return Period(spends, rates)


@settings(max_examples=1_000, deadline=None)
@given(periods(), periods())
def test_parts_add_up_whatever_has_happened(before: Period, after: Period) -> None:
    """To the nano-dollar, along rows and columns; the way back has exactly the negated parts."""
    found = explain(before, after)
    costs = [sum(each.cost_nanousd for each in side.spends.values()) for side in (before, after)]
    assert [found.before_nanousd, found.after_nanousd] == costs
    assert sum(found.parts) == costs[1] - costs[0]
    for cell in found.cells:
        assert sum(cell.parts) == cell.after_nanousd - cell.before_nanousd
    back = explain(after, before)
    assert back.parts == Parts(*(-part for part in found.parts))


def whole_cost(spends: list[tuple[Spend, ...]], chosen: tuple[int, ...]) -> Fraction:
    """
    Return the modelled cost of all cells, each factor from the period chosen for it.

    Of cells that are in both periods and cost what their rates say, written down anew.
    """
    volume, mix, tokens, cache, price = chosen
    calls = [sum(each[side].calls for each in spends) for side in (0, 1)]
    total = Fraction(0)
    for each in spends:
        used, cached = each[tokens], each[cache]
        read = Fraction(cached.cache_read_input_tokens, cached.input_tokens)
        rate = [(100, 10, 400), (50, 5, 200)][price]
        of_input = rate[0] * (1 - read) + rate[1] * read
        per_call = (used.input_tokens * of_input + used.output_tokens * rate[2]) / used.calls
        total += calls[volume] * Fraction(each[mix].calls, calls[mix]) * per_call
    return total


def test_parts_are_the_average_over_all_orders() -> None:
    """All five factors change at once: 120 orders of taking them, one after the other."""
    figures = (
        ("a", (10, 50, 20, 5), (7, 80, 10, 40)),
        ("b", (3, 900, 1, 0), (30, 700, 2, 650)),
        ("c", (5, 10, 90, 1), (5, 11, 60, 2)),
    )
    pairs = []
    for model, *sides in figures:
        pair = []
        for (calls, inputs, outputs, read), half in zip(sides, (1, 2), strict=True):
            cost = ((inputs - read) * 100 + read * 10 + outputs * 400) // half
            pair.append(spend(model, calls, inputs, outputs, cost, read))
        pairs.append(tuple(pair))
    before, after = (period(*side) for side in zip(*pairs, strict=True))
    found = explain(before, Period(after.spends, dict.fromkeys(after.spends, CHEAP)))

    orders = list(permutations(range(5)))
    expected = [Fraction(0)] * 5
    for order in orders:
        chosen = [0] * 5
        for factor in order:
            was = whole_cost(pairs, tuple(chosen))
            chosen[factor] = 1
            expected[factor] += (whole_cost(pairs, tuple(chosen)) - was) / len(orders)
    assert all(abs(part) > 1_000 for part in expected)
    # Each of three cells is rounded by less than 1.
    assert all(abs(a - b) < 3 for a, b in zip(found.parts, expected, strict=True))
