"""
Places and round numbers.
"""

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modeltrail.render.html.scales import Linear, around, moments, ticks

numbers = st.floats(-1e12, 1e12, allow_nan=False)
START_US = 1_790_000_000_000_000


def write(value: float, decimals: int) -> str:
    """Write a number as it is."""
    return f"{value:.{decimals}f}"


def test_a_number_has_its_place() -> None:
    """A quarter of the way from -1 to 3 is 0; upwards, places fall."""
    assert Linear(-1, 3, 100, 500)(0) == 200
    assert Linear(0, 10, 250, 50)(2.5) == 200


@given(st.lists(numbers, min_size=1))
def test_a_domain_has_all_numbers_within(values: list[float]) -> None:
    """With some room at either end, also of a single number."""
    low, high = around(values)
    assert low < min(values)
    assert max(values) < high


@given(numbers, numbers, st.integers(5, 9))
def test_round_numbers(low: float, high: float, most: int) -> None:
    """
    Within the domain, from 2 to as many as allowed, in even steps of 1, 2 or 5 of some digit.
    """
    assume(high - low > 1e-6 * max(abs(low), abs(high), 1e-9))
    named = ticks(low, high, write, most)
    values = [tick.value for tick in named]
    assert 2 <= len(values) <= most
    step = values[1] - values[0]
    assert low <= values[0] + 1e-9 * step
    assert values[-1] <= high + 1e-9 * step
    assert all(b - a == pytest.approx(step, rel=1e-6) for a, b in pairwise(values))
    digits = step / 10 ** math.floor(math.log10(step * (1 + 1e-9)))
    assert min(abs(digits - one) for one in (1, 2, 5)) < 1e-3
    # No number is left out at either end.
    assert values[0] - step * (1 + 1e-6) < low
    assert values[-1] + step * (1 + 1e-6) > high


@given(st.floats(-1e3, 1e3), st.floats(1e-8, 1e3))
def test_what_is_written_is_the_number(low: float, span: float) -> None:
    """The decimals are enough to tell numbers apart, and to read each."""
    assume(span > 1e-7 * abs(low))
    for tick in ticks(low, low + span, write):
        assert float(tick.label) == pytest.approx(tick.value, rel=1e-9, abs=1e-15)


def test_round_numbers_are_round() -> None:
    """Three tenths is 0.3, not 0.30000000000000004."""
    assert [tick.value for tick in ticks(0.05, 0.51, write)] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert [tick.label for tick in ticks(-3e-5, 4e-5, write)] == [
        *("-0.00002", "0.00000", "0.00002", "0.00004"),
    ]


@pytest.mark.parametrize(
    ("hours", "labels"),
    [
        (1, ["14:15", "14:30", "14:45", "15:00"]),
        (24, ["09-21 18:00", "09-22 00:00", "09-22 06:00", "09-22 12:00"]),
        (24 * 30, ["09-24", "10-01", "10-08", "10-15"]),
    ],
)
def test_moments(hours: int, labels: list[str]) -> None:
    """From 14:13:20 on 21 September 2026: full hours, midnights, days, in UTC."""
    named = moments(START_US, START_US + hours * 3_600_000_000, 4)
    assert [tick.label for tick in named] == labels
    assert all(START_US <= tick.value <= START_US + hours * 3.6e9 for tick in named)
