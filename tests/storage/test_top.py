"""
The first groups of an order, on both databases.
"""

from typing import Any

import msgspec
import pytest

from modeltrail.errors import ConfigurationError
from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Filters, Store, TopGroup
from modeltrail.storage.rows import Batch, call_row

START = 1_790_000_000_000_000
# Feature -> cost, input tokens, output tokens, latency, status of each of its calls.
CALLS: dict[str | None, list[tuple[int | None, int | None, int | None, int | None, str]]] = {
    "dear": [(900, 10, 1, 50, "ok")],
    "many": [(2, 1, 1, 10, "ok"), (3, 1, 1, 20, "ok"), (5, 1, None, None, "error")],
    "slow": [(1, 1, 1, 10**12, "ok")],
    "long": [(0, 2**52, 2**52, 1, "ok")],
    None: [(None, None, None, None, "error"), (None, None, None, None, "error")],
}


@pytest.fixture
def store(store: Store) -> Store:
    """
    Store the calls.
    """
    rows = []
    for feature, calls in CALLS.items():
        for cost, read, written, latency, status in calls:
            columns = {
                "id": uuid7(START + len(rows)),
                "framework": "test",
                "framework_version": "1",
                "operation": "chat",
                "started_at_us": START + len(rows),
                "status": status,
                "feature": feature,
                "cost_nanousd": cost,
                "input_tokens": read,
                "output_tokens": written,
                "latency_us": latency,
            }
            rows.append(call_row(msgspec.convert(columns, CallRecord)))
    assert store.append(Batch(call=rows)) == []
    return store


EVERYTHING = TopGroup((), 8, 3, 2, 14 + 2**52, 4 + 2**52, 911, 5, 10**12 + 81, 10**12)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("cost", ["dear", "many", "slow", "long", None]),
        ("tokens", ["long", "dear", "many", "slow", None]),
        ("latency", ["slow", "dear", "many", "long", None]),
        ("errors", [None, "many"]),
        ("calls", ["many", None]),
    ],
)
def test_order_puts_the_unknown_last(store: Store, order: Any, expected: list[str | None]) -> None:
    """Each order; the totals are the same whatever is shown."""
    found = store.top(["feature"], order=order, limit=len(expected))
    assert [group.key[0] for group in found.shown] == expected
    assert (found.everything, found.groups) == (EVERYTHING, 5)


def test_group_is_summed_up(store: Store) -> None:
    """What some calls do not tell is in no sum, and how many they are is told."""
    found = store.top(["feature", "status"], Filters(feature="many"), limit=9)
    # As dear as each other: the one with more calls comes first.
    assert found.shown == [
        TopGroup(("many", "ok"), 2, 0, 0, 2, 2, 5, 2, 30, 20),
        TopGroup(("many", "error"), 1, 1, 0, 1, None, 5, 0, None, None),
    ]


def test_no_calls_have_no_groups(store: Store) -> None:
    """Nothing sums up to nothing that is known."""
    found = store.top(["feature"], Filters(feature="none"))
    assert (found.shown, found.groups) == ([], 0)
    assert found.everything == TopGroup((), 0, 0, 0, None, None, None, 0, None, None)
    assert store.top([], Filters(feature="none")).everything == found.everything


def test_unknown_dimension_is_refused(store: Store) -> None:
    """As for sums."""
    with pytest.raises(ConfigurationError, match="feature, segment"):
        store.top(["nothing"])


def test_late_facts_are_in_every_sum(store: Store) -> None:
    """What was amended counts in place of what was stored first, whatever is summed up."""
    dear = store.calls(Filters(feature="dear"))[0].record
    at_us = dear.started_at_us
    late = [
        (dear.id, at_us, 1, name, "5", None, "o:1") for name in ("cost_nanousd", "input_tokens")
    ]
    assert store.append(Batch(amendment=late)) == []
    only = Filters(feature="dear")
    (group,), (spend,) = store.sums([], only), store.spends([], only)
    everything = store.top([], only).everything
    for found in (group, spend, everything):
        assert (found.cost_nanousd, found.input_tokens, found.output_tokens) == (5, 5, 1)


def test_equal_groups_have_one_order_on_both_databases(store: Store) -> None:
    """More calls first, then by name, none before any: which of them are shown is no chance."""
    only = Filters(since_us=START + 100)
    rows = []
    for place, feature in enumerate(["b", None, "a", "c", "c", "d"], 100):
        columns = {
            "id": uuid7(START + place),
            "framework": "test",
            "framework_version": "1",
            "operation": "chat",
            "started_at_us": START + place,
            "status": "ok",
            "feature": feature,
            "cost_nanousd": {"c": 5, "d": 11}.get(feature or "", 10),
        }
        rows.append(call_row(msgspec.convert(columns, CallRecord)))
    assert store.append(Batch(call=rows)) == []
    expected = ["d", "c", None, "a", "b"]
    assert [group.key[0] for group in store.sums(["feature"], only)] == expected
    for limit in range(1, 6):
        found = store.top(["feature"], only, limit=limit)
        assert [group.key[0] for group in found.shown] == expected[:limit]
