"""
Sums per hour, on both databases.
"""

import pytest
from histories import HOUR_US, START_US, call, keep

from modeltrail.errors import ConfigurationError
from modeltrail.storage import Filters, Hour, Served, Side, Store, Sums

FIRST = START_US // HOUR_US
# Beyond what an integer of 64 bits holds once it is squared.
LARGE = 2**50


def test_calls_are_summed_up_by_the_hour_they_started_in(store: Store) -> None:
    """Per key and hour: the first microsecond belongs to it, that of the next does not."""
    keep(
        store,
        [
            call(
                START_US,
                feature="a",
                input_tokens=9,
                output_tokens=3,
                cost_nanousd=LARGE,
                latency_us=10,
            ),
            call(START_US + HOUR_US - 1, feature="a", output_tokens=4, latency_us=20),
            call(START_US + HOUR_US, feature="a", status="error"),
            call(START_US + HOUR_US, latency_us=5),
        ],
    )
    found = store.hours(["feature"])
    assert sorted(found, key=lambda each: (each.hour, each.errors)) == [
        Hour(("a",), FIRST, 2, 0, 1, 9, 7, 25.0, LARGE, float(LARGE) ** 2, 30, 2),
        Hour((None,), FIRST + 1, 1, 0, 1, None, None, None, None, None, 5, 1),
        Hour(("a",), FIRST + 1, 1, 1, 1, None, None, None, None, None, None, 0),
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
    with pytest.raises(ConfigurationError, match="keyed reference is kept: user_ref"):
        store.hours(["user"])


def test_answers_of_both_sides_are_summed_up(store: Store) -> None:
    """Formats, schemas, fates and lengths; the moment itself is after."""
    sent = {"feature": "a", "output_format": "json", "schema_ok": True}
    cut = {"feature": "a", "output_format": "prose", "schema_ok": False}
    keep(
        store,
        [
            call(START_US - 1, **sent, finish_reasons='["stop"]', output_tokens=3),
            call(START_US - 2, **cut, finish_reasons='["MAX_TOKENS"]', output_tokens=4),
            call(START_US, **cut, finish_reasons='["stop","content_filter"]', latency_us=2),
            call(START_US + 1, feature="a", status="error", output_chars=7),
            call(START_US + 2, **sent, cache_hit=True),
            call(START_US + 3, **sent, shadow=True),
            call(START_US + HOUR_US, **sent),
        ],
    )
    window = Filters(since_us=START_US - 2, until_us=START_US + HOUR_US)
    before, after = sorted(store.sides(["feature"], START_US, window), key=lambda s: s.is_after)
    none = Sums(0, 0.0, 0.0)
    assert before == Side(
        ("a",), False, 2, 0, {"json": 1, "prose": 1}, 2, 1, 2, 1, 0,
        {"output_tokens": Sums(2, 7.0, 25.0), "output_chars": none, "latency_us": none},
    )  # fmt: skip
    assert after == Side(
        ("a",), True, 2, 1, {"prose": 1}, 1, 1, 1, 0, 1,
        {
            "output_tokens": none,
            "output_chars": Sums(1, 7.0, 49.0),
            "latency_us": Sums(1, 2.0, 4.0),
        },
    )  # fmt: skip


def test_one_group_can_be_asked_for(store: Store) -> None:
    """Also that of the calls without a value."""
    keep(store, [call(START_US, feature=name) for name in ("a", "a", "b", None)])
    counts = {
        key: [side.calls for side in store.sides(["feature"], START_US, Filters(), (key,))]
        for key in ("a", None, "c")
    }
    assert counts == {"a": [2], None: [1], "c": []}


def test_models_that_served_in_order_of_time(store: Store) -> None:
    """Each state of a model since its first call; calls that tell no model do not count."""
    states = [("m1", "f1"), ("m2", None), ("m1", "f1"), (None, "f9"), ("m1", "f2")]
    keep(
        store,
        [
            call(START_US + n, feature="a", response_model=model, system_fingerprint=state)
            for n, (model, state) in enumerate(states)
        ],
    )
    assert store.served(["feature"]) == [
        Served(("a",), "m1", "f1", START_US, 2),
        Served(("a",), "m2", None, START_US + 1, 1),
        Served(("a",), "m1", "f2", START_US + 4, 1),
    ]


def test_95th_percentile_by_the_nearest_rank(store: Store) -> None:
    """Of 20 calls the 19th, of 21 the 20th; per period, and of all in one."""
    times = [
        START_US + hour * HOUR_US + n for hour, most in ((0, 20), (30, 21)) for n in range(most)
    ]
    keep(store, [call(at, feature="a", latency_us=at % HOUR_US + 1) for at in reversed(times)])
    keep(store, [call(START_US, feature="b", latency_us=10**9), call(START_US, feature="a")])
    only = {"feature": "a"}
    day = FIRST // 24
    assert store.latency_p95(Filters(), only, 1) == {FIRST: (19, 20), FIRST + 30: (20, 21)}
    assert store.latency_p95(Filters(), only, 24) == {day: (19, 20), day + 1: (20, 21)}
    # Of 41 the 39th: 1 1 2 2 ... 20 20 21.
    assert store.latency_p95(Filters(), only, None) == {0: (20, 41)}
    assert store.latency_p95(Filters(until_us=START_US), only, None) == {}


def test_hours_of_some_calls_only(store: Store) -> None:
    """Any dimension can be asked for, a wrong one is refused."""
    keep(store, [call(START_US, feature="a", provider="x"), call(START_US, feature="a")])
    assert [each.calls for each in store.hours([], only={"feature": "a", "provider": "x"})] == [1]
    with pytest.raises(ConfigurationError, match="'colour'"):
        store.hours([], only={"colour": "red"})
