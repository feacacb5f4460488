"""
What calls have used and cost, on both databases.
"""

from typing import Any

import msgspec

from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Filters, Store
from modeltrail.storage.rows import Batch, call_row
from modeltrail.storage.spend import Spend

START = 1_790_000_000_000_000


def add(store: Store, *calls: dict[str, Any]) -> None:
    """
    Store calls, of each the columns that matter.
    """
    rows = []
    for number, columns in enumerate(calls):
        given = {
            "id": uuid7(START + number),
            "framework": "test",
            "framework_version": "1",
            "operation": "chat",
            "started_at_us": START + number,
            "status": "ok",
        }
        rows.append(call_row(msgspec.convert(given | columns, CallRecord)))
    assert store.append(Batch(call=rows)) == []


def test_only_calls_with_cost_and_tokens_are_summed_up(store: Store) -> None:
    """The others are counted, and what is known of their cost is told."""
    add(
        store,
        {"cost_nanousd": 2**53, "input_tokens": 9, "output_tokens": 2},
        {
            "cost_nanousd": 1,
            "input_tokens": 5,
            "output_tokens": 1,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 1,
        },
        {"cost_nanousd": 0, "input_tokens": 4, "operation": "embeddings"},
        {"cost_nanousd": 40},
        {"cost_nanousd": 2, "input_tokens": 4},
        {"input_tokens": 7, "output_tokens": 7},
    )
    assert store.spends([]) == [Spend((), 3, 18, 3, 1, 3, 2**53 + 1, 3, 42)]
    assert sorted(store.spends(["operation"], Filters(since_us=START + 2))) == [
        Spend(("chat",), 0, 0, 0, 0, 0, 0, 3, 42),
        Spend(("embeddings",), 1, 4, 0, 0, 0, 0, 0, 0),
    ]


def test_groups_are_those_asked_for(store: Store) -> None:
    """By model: the one that answered, or else the one asked for."""
    known = {"cost_nanousd": 1, "input_tokens": 1, "output_tokens": 1}
    add(store, {"request_model": "m", **known}, {"response_model": "m", **known}, known)
    found = {spend.key: spend.calls for spend in store.spends(["provider", "model"])}
    assert found == {(None, "m"): 2, (None, None): 1}
    assert store.spends(["model"], Filters(until_us=START)) == []
