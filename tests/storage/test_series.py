"""
Sums per hour, on both databases.
"""

import pytest
from histories import HOUR_US, START_US, call, keep

from modeltrail.errors import ConfigurationError
from modeltrail.storage import Filters, Hour, Store

FIRST = START_US // HOUR_US
# Beyond what an integer of 64 bits holds once it is squared.
LARGE = 2**50


def test_calls_are_summed_up_by_the_hour_they_started_in(store: Store) -> None:
    """Per key and hour: the first microsecond belongs to it, that of the next does not."""
    keep(
        store,
        [
            call(START_US, feature="a", output_tokens=3, cost_nanousd=LARGE, latency_us=10),
            call(START_US + HOUR_US - 1, feature="a", output_tokens=4, latency_us=20),
            call(START_US + HOUR_US, feature="a", status="error"),
            call(START_US + HOUR_US, latency_us=5),
        ],
    )
    found = store.hours(["feature"])
    assert sorted(found, key=lambda each: (each.hour, each.errors)) == [
        Hour(("a",), FIRST, 2, 0, 7, 25.0, LARGE, float(LARGE) ** 2, 30, 2),
        Hour((None,), FIRST + 1, 1, 0, None, None, None, None, 5, 1),
        Hour(("a",), FIRST + 1, 1, 1, None, None, None, None, None, 0),
    ]
    assert all(type(value) is int for each in found for value in (each.calls, each.errors))


def test_hours_are_filtered_and_may_be_of_everything(store: Store) -> None:
    """Without dimensions there is one row per hour; a window cuts."""
    keep(store, [call(START_US + n * HOUR_US, feature=str(n)) for n in range(4)])
    window = Filters(since_us=START_US + HOUR_US, until_us=START_US + 3 * HOUR_US)
    assert [(each.key, each.hour - FIRST) for each in store.hours([], window)] == [((), 1), ((), 2)]
    assert store.hours([], Filters(feature="none")) == []
    with pytest.raises(ConfigurationError, match="cannot be grouped by 'nothing'"):
        store.hours(["nothing"])
