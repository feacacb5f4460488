"""
Single calls and the outcomes that judge them, on both databases.
"""

from typing import Any

import pytest
from histories import START_US, call, keep

from modeltrail.errors import ConfigurationError
from modeltrail.ids import uuid7
from modeltrail.storage import Filters, OutcomeValues, Store
from modeltrail.storage.rows import OUTCOME_COLUMNS, Batch, row_from


def tell(store: Store, at_us: int, name: str, value: float, **whose: Any) -> None:
    """Store an outcome."""
    columns = {"id": uuid7(at_us), "at_us": at_us, "name": name, "value_micros": round(value * 1e6)}
    assert store.append(Batch(outcome=[row_from(columns | whose, OUTCOME_COLUMNS)])) == []


def test_calls_with_what_is_chosen_between(store: Store) -> None:
    """Model, feature, cost and propensity of each; a hit of a cache is none of them."""
    known = {"feature": "a", "cost_nanousd": 2**40, "propensity_ppm": 300_000}
    keep(
        store,
        [
            call(START_US, **known, request_model="m", trace_id="t-1", unit_ref="u"),
            call(START_US + 1, response_model="n", request_model="m", status="error"),
            call(START_US + 2, **known, request_model="m", cache_hit=True),
            call(START_US + 3, request_model="m", shadow=True, trace_id="t-1"),
        ],
    )
    found = list(store.routed_calls("model", "feature"))
    assert [(each.arm, each.segment, each.status, each.question) for each in found] == [
        ("m", "a", "ok", None),
        ("n", None, "error", None),
    ]
    assert (found[0].cost_nanousd, found[0].propensity_ppm) == (2**40, 300_000)
    assert (type(found[0].cost_nanousd), found[1].cost_nanousd) == (int, None)
    assert (found[0].unit_ref, found[0].trace_id) == ("u", "t-1")


def test_answers_in_shadow_count_where_questions_are_put_together(store: Store) -> None:
    """By trace, or by a free tag; a window and a feature choose among them."""
    keep(
        store,
        [
            call(START_US, trace_id="t-1", tags='{"q":"1"}', feature="a"),
            call(START_US + 1, trace_id="t-1", shadow=True, feature="a"),
            call(START_US + 2, trace_id="t-2", tags='{"q":2}', feature="b"),
        ],
    )
    by_trace = list(store.routed_calls("model", "feature", question="trace"))
    assert [each.question for each in by_trace] == ["t-1", "t-1", "t-2"]
    by_tag = store.routed_calls("model", "feature", question="tag.q")
    assert [each.question for each in by_tag] == ["1", None, "2"]
    only = Filters(feature="a", since_us=START_US + 1)
    assert len(list(store.routed_calls("model", "feature", only, question="trace"))) == 1
    with pytest.raises(ConfigurationError, match="cannot be grouped by 'nothing'"):
        store.routed_calls("nothing", "feature")


def test_late_facts_are_part_of_it(store: Store) -> None:
    """A cost that came after the call is its cost."""
    made = call(START_US, request_model="m")
    keep(store, [made])
    late = (made.id, START_US, START_US + 9, "cost_nanousd", "7", None, "o:1")
    store.append(Batch(amendment=[late]))
    assert [each.cost_nanousd for each in store.routed_calls("model", "feature")] == [7]


def test_last_value_of_an_outcome_counts(store: Store) -> None:
    """In the order of time, not of storing; of a unit all values do."""
    made = call(START_US)
    keep(store, [made])
    tell(store, 30, "good", 0.25, call_id=made.id)
    tell(store, 20, "good", 1, call_id=made.id)
    tell(store, 10, "good", 0, trace_id="t")
    tell(store, 11, "good", -1.5, trace_id="t")
    tell(store, 10, "good", 2, session_ref="s")
    tell(store, 10, "good", 1, unit_ref="u")
    tell(store, 11, "good", 0, unit_ref="u")
    tell(store, 12, "good", 0.5, unit_ref="u")
    tell(store, 99, "other", 7, call_id=made.id)
    assert store.outcome_values("good") == OutcomeValues(
        {made.id: 0.25}, {"t": -1.5}, {"s": 2.0}, {"u": 0.5}
    )
    assert store.outcome_values("none") == OutcomeValues({}, {}, {}, {})
    assert store.all_outcome_names() == ["good", "other"]
