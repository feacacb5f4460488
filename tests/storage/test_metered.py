"""
What was used, hour by hour, on both databases.
"""

from typing import Any

import msgspec
import pytest

from modeltrail.errors import ConfigurationError
from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import BilledCall, Filters, MeteredHour, RequestedCall, Store
from modeltrail.storage.rows import Batch, call_row

HOUR = 3_600_000_000
START = 497_222 * HOUR


def record(at_us: int = START, **columns: Any) -> CallRecord:
    """Return a call of OpenAI's that used ten tokens and one."""
    given = {
        "id": uuid7(at_us),
        "framework": "test",
        "framework_version": "1",
        "operation": "chat",
        "started_at_us": at_us,
        "status": "ok",
        "provider": "openai",
        "request_model": "asked",
        "response_model": "answered",
        "input_tokens": 10,
        "output_tokens": 1,
        "usage_source": "provider",
        "cost_nanousd": 2**52,
        "cost_source": "genai-prices",
    }
    return msgspec.convert(given | columns, CallRecord)


def add(store: Store, *records: CallRecord) -> None:
    """Store calls."""
    assert store.append(Batch(call=[call_row(each) for each in records])) == []


UNKNOWN = {
    "input_tokens": None,
    "output_tokens": None,
    "cost_nanousd": None,
    "usage_source": "missing",
    "cost_source": "none",
}
COSTLESS = {"cost_nanousd": None, "cost_source": "none"}


def test_hours_models_and_keys_are_apart(store: Store) -> None:
    """The first and the last microsecond of an hour belong to it; a key is a free tag."""
    keyed = {"tags": '{"key_alias":"it\'s \\"mine\\"","team":"x"}'}
    add(
        store,
        record(START - 1),
        record(START, cache_read_input_tokens=4),
        record(START + HOUR - 1),
        record(START, **keyed),
        record(START, response_model=None, tags='{"team":"x"}'),
        record(START + HOUR),
        record(START, provider="anthropic"),
    )
    found = store.metered_hours(["openai", "other"], START, START + HOUR)
    assert sorted(found, key=lambda each: (each.key or "", each.model or "")) == [
        MeteredHour(START, "openai", "answered", None, 2, 0, 0, 0, 20, 4, None, 2, 2**53),
        MeteredHour(START, "openai", "asked", None, 1, 0, 0, 0, 10, None, None, 1, 2**52),
        MeteredHour(
            START, "openai", "answered", 'it\'s "mine"', 1, 0, 0, 0, 10, None, None, 1, 2**52
        ),
    ]


def test_what_is_not_known_is_counted(store: Store) -> None:
    """Failed, unmetered and unpriced calls are told apart; hits of a cache are none."""
    add(
        store,
        record(),
        record(status="error", **UNKNOWN),
        record(status="error"),
        record(status="cancelled", **UNKNOWN),
        record(**UNKNOWN),
        record(usage_source="partial"),
        record(cost_nanousd=None, cost_source="none"),
        record(cache_hit=True),
        record(cost_source="cache", cost_nanousd=0),
    )
    (found,) = store.metered_hours(["openai"], START, START + HOUR)
    assert (found.calls, found.failed, found.unmetered, found.unpriced) == (7, 1, 4, 1)
    assert found.input_tokens == 40


def test_first_call(store: Store) -> None:
    """An empty trail has none."""
    assert store.first_call_us() is None
    add(store, record(START + 5), record(START + 3))
    assert store.first_call_us() == START + 3


def test_calls_by_the_id_of_their_request(store: Store) -> None:
    """In the order in which they were made, those without an id as well."""
    one, other = record(START + 1, provider_request_id="r-1"), record(START)
    add(store, one, other, record(START + HOUR), record(cache_hit=True))
    assert store.requested_calls("openai", START, START + HOUR) == [
        RequestedCall(other.id, None, START, "answered", "ok", 10, 1),
        RequestedCall(one.id, "r-1", START + 1, "answered", "ok", 10, 1),
    ]


def test_calls_of_a_bill(store: Store) -> None:
    """Each call with its tags; what a cache served for nothing is none, what it cost is one."""
    add(
        store,
        record(START, feature="a", usage_detail='{"input_audio_tokens":3}'),
        record(START + 1, response_model=None, cache_read_input_tokens=4, **COSTLESS),
        record(START + 2, cost_source="cache", cost_nanousd=0),
        record(START + 3, cost_source="cache", cost_nanousd=7),
        record(START - 1),
        record(START + HOUR),
    )
    window = Filters(since_us=START, until_us=START + HOUR)
    found = sorted(store.billed_calls(["feature", "status"], window))
    start, provider, chat = START, "openai", "chat"
    audio = '{"input_audio_tokens":3}'
    cost = 2**52
    assert found == [
        BilledCall(
            *(start, provider, "answered", chat, 10, 1, None, None, None, audio, None, "provider"),
            *(cost, "genai-prices", ("a", "ok")),
        ),
        BilledCall(
            *(start + 1, provider, "asked", chat, 10, 1, 4, None, None, None, None, "provider"),
            *(None, "none", (None, "ok")),
        ),
        BilledCall(
            *(
                start + 3,
                provider,
                "answered",
                chat,
                10,
                1,
                None,
                None,
                None,
                None,
                None,
                "provider",
            ),
            *(7, "cache", (None, "ok")),
        ),
    ]
    with pytest.raises(ConfigurationError, match="grouped by 'nothing'"):
        next(store.billed_calls(["nothing"], window))
