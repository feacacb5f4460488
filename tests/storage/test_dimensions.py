"""
What calls can be grouped by, on both databases.
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from modeltrail.errors import ConfigurationError
from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Filters, Store
from modeltrail.storage.dimensions import COLUMNS, DIMENSIONS
from modeltrail.storage.rows import Batch, call_row

START = 1_790_000_000_000_000
SECOND = 1_000_000


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


def counts(store: Store, *by: str, **filters: Any) -> dict[Any, int]:
    """
    Return how many calls each group has.
    """
    return {group.key: group.calls for group in store.sums(by, Filters(**filters))}


def micros(at: datetime) -> int:
    """
    Return a moment as the trail keeps it.
    """
    return int(at.timestamp()) * SECOND


def test_every_dimension_can_be_asked_for(store: Store) -> None:
    """Each groups calls, alone and with all others, and gives text or nothing."""
    add(store, {}, {"tags": "{}"})
    for name in DIMENSIONS:
        ((key, calls),) = counts(store, name).items()
        assert calls == 2
        assert key[0] is None or isinstance(key[0], str)
    ((key, calls),) = counts(store, *DIMENSIONS, "tag.team").items()
    assert (len(key), calls) == (len(DIMENSIONS) + 1, 2)


def test_columns_are_of_the_record() -> None:
    """What is grouped by a column is a label, never a figure."""
    kinds = {field.name: str(field.type) for field in msgspec.structs.fields(CallRecord)}
    assert len(set(COLUMNS)) == len(COLUMNS)
    assert not any("int" in kinds[name].split("|")[0] for name in COLUMNS)


def test_booleans_are_words(store: Store) -> None:
    """True and false read the same whatever the database, and unknown is neither."""
    add(store, {"cache_hit": True}, {"cache_hit": False, "streaming": True}, {"shadow": False})
    assert counts(store, "cache_hit") == {("true",): 1, ("false",): 1, (None,): 1}
    assert counts(store, "streaming") == {("true",): 1, ("false",): 2}
    assert counts(store, "shadow") == {("false",): 1, (None,): 2}


def test_model_is_the_one_that_answered_or_else_was_asked(store: Store) -> None:
    """A call that failed belongs to the model that it was meant for."""
    add(
        store,
        {"request_model": "small", "response_model": "small-2026"},
        {"request_model": "small"},
        {},
    )
    assert counts(store, "model") == {("small-2026",): 1, ("small",): 1, (None,): 1}


def test_hours_and_days_end_where_the_clock_says(store: Store) -> None:
    """The last microsecond of an hour is in it, the next is not."""
    midnight = micros(datetime(2026, 9, 22, tzinfo=UTC))
    add(store, *({"started_at_us": midnight + away} for away in (-1, 0, 3_600 * SECOND - 1)))
    assert counts(store, "hour") == {("2026-09-21T23",): 1, ("2026-09-22T00",): 2}
    assert counts(store, "day") == {("2026-09-21",): 1, ("2026-09-22",): 2}
    assert counts(store, "month", "day", since_us=midnight) == {("2026-09", "2026-09-22"): 2}


def test_every_month_begins_and_ends_where_the_calendar_says(store: Store) -> None:
    """Of 130 years, the first and the last moment of each month."""
    firsts = [datetime(1970 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(130 * 12)]
    moments = [(micros(at), f"{at:%Y-%m}") for at in firsts]
    moments += [
        (micros(later) - 1, f"{at:%Y-%m}") for at, later in zip(firsts, firsts[1:], strict=False)
    ]
    add(store, *({"started_at_us": at} for at, _ in moments))
    expected = Counter((month,) for _, month in moments)
    assert counts(store, "month") == expected


def test_free_tags_are_read_as_text(store: Store) -> None:
    """Whatever JSON a tag is, groups are text; without the tag there is nothing."""
    values = ['"red"', '"red"', "true", "false", "7", "1.5", "null", '"true"']
    add(store, *({"tags": f'{{"größe":{each}}}'} for each in values), {"tags": '{"b":1}'}, {})
    assert counts(store, "tag.größe") == {
        ("red",): 2,
        ("true",): 2,
        ("false",): 1,
        ("7",): 1,
        ("1.5",): 1,
        (None,): 3,
    }


def test_name_of_a_tag_is_only_a_name(store: Store) -> None:
    """A tag may have any name; it is never a path, a pattern or SQL."""
    names = ("a.b", "a b", "$", "x' OR 1=1 --", "[0]", ":n", "%s", "tag.x")
    tags = dict.fromkeys(names, "found") | {"a": {"b": "no"}}
    add(store, {"tags": msgspec.json.encode(tags).decode()})
    assert [counts(store, f"tag.{name}") for name in names] == [{("found",): 1}] * len(names)


def test_two_tags_do_not_share_a_name(store: Store) -> None:
    """Several tags in one query, each with its own name and value."""
    add(store, {"tags": '{"team":"a","agent":"x"}'}, {"tags": '{"team":"b","agent":"x"}'})
    assert counts(store, "tag.agent", "tag.team") == {("x", "a"): 1, ("x", "b"): 1}


def test_what_is_no_dimension_is_refused(store: Store) -> None:
    """The error lists what there is."""
    for name in ("tag", "tag.", "", "started_at_us", "calls", 'x"; DROP TABLE'):
        with pytest.raises(
            ConfigurationError, match=r"feature, segment.*hour, day, month, tag\.NAME"
        ):
            store.sums([name])


def test_tag_that_no_path_can_name_is_refused(store: Store) -> None:
    """On both databases alike, before either is asked."""
    for name in ('a"b', "a\\b", "a\nb"):
        with pytest.raises(ConfigurationError, match="quote"):
            store.sums([f"tag.{name}"])
