"""
Rows of somebody else's log become records, whole or not at all.
"""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.errors import ConfigurationError
from modeltrail.interop.call_fields import FIELDS, NAMESPACE, OWN_FIELDS, uuid_of
from modeltrail.interop.calls_file import (
    BadRowError,
    CallReader,
    Imported,
    Settings,
    values_of,
)
from modeltrail.interop.column_map import Asked, ColumnMap
from modeltrail.interop.lines import Line, format_of, read_lines
from modeltrail.keys import Keys
from modeltrail.prices import PriceBook, read_book
from modeltrail.record import CallRecord

KEYS = Keys(bytes(32))
# 2026-09-21 14:13:20 UTC, by `date -u -d @1790000000`.
AT = "2026-09-21T14:13:20"
AT_US = 1_790_000_000_000_000


def reader(asked: Asked = Asked(), **settings: Any) -> CallReader:  # noqa: B008 - frozen
    """Return what reads rows."""
    given = {"values": values_of(asked.values, KEYS.ref), "ref": KEYS.ref, "origin": "import:x"}
    return CallReader(ColumnMap(asked), Settings(**given | settings))


def read(cells: Mapping[str, Any], asked: Asked = Asked(), **settings: Any) -> Imported:  # noqa: B008
    """Read one row."""
    return reader(asked, **settings).read(2, {"started_at": AT, **cells})


def record(cells: Mapping[str, Any], asked: Asked = Asked(), **settings: Any) -> CallRecord:  # noqa: B008
    """Return the record of one row."""
    return read(cells, asked, **settings).record


# --- fields -------------------------------------------------------------------------------------


def test_every_field_but_the_trails_own_can_be_mapped() -> None:
    """What stands in the record can be told by a log."""
    assert set(CallRecord.__struct_fields__) - OWN_FIELDS <= FIELDS.keys()
    assert not OWN_FIELDS & FIELDS.keys()


@pytest.mark.parametrize(
    ("name", "value", "column", "expected"),
    [
        ("latency_us", "1500", "latency_us", 1500),
        ("latency_us", "349.0", "latency_us", 349),
        ("latency_ms", "0.5", "latency_us", 500),
        ("latency_s", "1.25", "latency_us", 1_250_000),
        ("latency_s", 2, "latency_us", 2_000_000),
        ("time_to_first_chunk_ms", "7", "time_to_first_chunk_us", 7000),
        ("propensity", "0.1", "propensity_ppm", 100_000),
        ("cost_reported_usd", "0.00023725000000000002", "cost_reported_nanousd", 237_250),
        ("cost_usd", "1e-9", "cost_nanousd", 1),
        # Half a nano-dollar goes to the even side.
        ("cost_usd", "0.0000000005", "cost_nanousd", 0),
        ("cost_usd", "0.0000000015", "cost_nanousd", 2),
        ("cost_usd", "9000000.000000001", "cost_nanousd", 9_000_000_000_000_001),
        ("started_at", "2026-09-21T16:13:20+02:00", "started_at_us", AT_US),
        ("started_at", "2026-09-21 14:13:20.0000019", "started_at_us", AT_US + 1),
        ("started_at_us", f"{AT_US + 7}", "started_at_us", AT_US + 7),
        ("started_at_us", AT, "started_at_us", AT_US),
        ("started_at_ms", "1790000000000", "started_at_us", AT_US),
        ("started_at_s", "1790000000.000001", "started_at_us", AT_US + 1),
        ("streaming", "True", "streaming", True),
        ("cache_hit", 0, "cache_hit", False),
        ("schema_ok", "no", "schema_ok", False),
        ("status", "incomplete", "status", "incomplete"),
        ("feature", 17, "feature", "17"),
        ("finish_reasons", "stop", "finish_reasons", '["stop"]'),
        ("finish_reasons", '["stop","length"]', "finish_reasons", '["stop","length"]'),
        ("finish_reasons", ["stop"], "finish_reasons", '["stop"]'),
        # Only what is on the list of parameters, as for live calls.
        ("parameters", '{"temperature":0.5,"prompt":"x"}', "parameters", '{"temperature":0.5}'),
        ("usage_detail", {"audio_input_tokens": 3}, "usage_detail", '{"audio_input_tokens":3}'),
        ("tags", '{"b":1.50,"a":"x"}', "tags", '{"a":"x","b":1.50}'),
        (
            "id",
            "0199C4A5-0000-7000-8000-000000000001",
            "id",
            "0199c4a5-0000-7000-8000-000000000001",
        ),
        # RFC 9562, section 5.5, by `sha1sum` of the namespace and the name: another one would
        # import all files twice.
        ("id", "req-1", "id", "38e7b36e-8778-5c5f-83f0-244d20ba83f7"),
    ],
)
def test_field(name: str, value: Any, column: str, expected: Any) -> None:
    """A cell is read exactly, in its unit."""
    cells = {name: value}
    at = {} if column == "started_at_us" else {"started_at": AT}
    found = reader().read(2, {**at, **cells}).record
    assert getattr(found, column) == expected


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("latency_us", "1.5", "no whole number"),
        ("latency_us", "fast", "no number"),
        ("latency_us", "-1", ">= 0"),
        ("latency_us", True, "no number"),
        ("latency_s", "nan", "no number"),
        ("latency_s", "1e400000", "too large"),
        ("input_tokens", 2**53 + 1, "9007199254740992"),
        ("attempt", 2**31, "too large"),
        ("cost_usd", "$1", "no number"),
        ("cost_usd", "1e9", "9007199254740992"),
        ("propensity", "1.5", "1000000"),
        ("started_at", "yesterday", "no time"),
        ("started_at", 1790000000, "started_at_s"),
        ("started_at", "1969-12-31", ">= 0"),
        ("started_at_us", 2**53 + 1, "9007199254740992"),
        ("streaming", "perhaps", "neither true nor false"),
        ("status", "OK", "is none of cancelled, error, incomplete, ok"),
        ("feature", {"a": 1}, "no text"),
        ("feature", "x" * 513, "longer than 512 bytes"),
        ("deployment", "x" * 10_000, "longer than"),
        ("user_ref", "alice", "map the plain value to user"),
        ("input_digest", "abc", "64 hexadecimal digits"),
        ("parameters", "[1]", "no JSON object"),
        ("tags", "{", "no JSON"),
        ("tags", {"user": "alice"}, "column of its own"),
        ("tags", {"text": "x" * 20_000}, "--ignore"),
    ],
)
def test_what_does_not_fit(name: str, value: Any, reason: str) -> None:
    """The reason names the field."""
    with pytest.raises(BadRowError, match=name.partition("_")[0]) as raised:
        read({name: value})
    assert reason in str(raised.value)


def test_what_follows_from_the_rest() -> None:
    """A log of chats that ended well needs to say neither."""
    plain = record({})
    assert (plain.operation, plain.status, plain.usage_source) == ("chat", "ok", "missing")
    assert (plain.capture_mode, plain.origin) == ("metadata", "import:x:2")
    assert (plain.cost_nanousd, plain.cost_source) == (None, "none")
    failed = record({"error_code": "429", "input_tokens": "3", "input_digest": "0" * 64})
    assert (failed.status, failed.usage_source, failed.capture_mode) == (
        "error",
        "provider",
        "digest",
    )


def test_empty_cells_are_unknown() -> None:
    """Neither a zero nor an empty text."""
    found = record({"latency_us": "", "feature": None, "input_tokens": ""})
    assert (found.latency_us, found.feature, found.input_tokens) == (None, None, None)


def test_people_are_keyed_as_live_calls_key_them() -> None:
    """A reference, by the one function; never the plain value."""
    found = record({"user": "u-17", "unit": 17, "session": "s", "unit_type": "user"})
    assert found.user_ref == KEYS.ref("u-17")
    assert found.unit_ref == KEYS.ref("17")
    assert found.session_ref == KEYS.ref("s")
    assert "u-17" not in str(found)
    assert record({}, Asked(values={"user": "u-17"})).user_ref == KEYS.ref("u-17")


def test_value_for_rows_that_have_none() -> None:
    """A cell wins over what holds for all rows."""
    asked = Asked(values={"provider": "openai", "started_at": "2026-01-01"})
    assert record({"provider": "azure"}, asked).provider == "azure"
    assert record({"provider": ""}, asked).provider == "openai"
    assert reader(asked).read(2, {}).record.started_at_us == 1_767_225_600_000_000


# --- costs --------------------------------------------------------------------------------------

TOKENS = {"provider": "openai", "request_model": "gpt-4o-mini", "input_tokens": 14}
TOKENS["output_tokens"] = 7
# $0.15 and $0.60 per million tokens, in and out.
LISTED = 14 * 150 + 7 * 600


def costs(found: CallRecord) -> tuple[Any, ...]:
    """Return what a record says about its cost."""
    return found.cost_nanousd, found.cost_reported_nanousd, found.cost_source


def test_cost_that_is_given_stays() -> None:
    """Whatever the list says."""
    assert costs(record({**TOKENS, "cost_usd": "0.5"})) == (5 * 10**8, 5 * 10**8, "reported")
    own = {"cost_nanousd": 7, "cost_source": "custom"}
    assert costs(record({**TOKENS, **own})) == (7, None, "custom")
    assert costs(record({"cost_usd": 0})) == (0, 0, "reported")


def test_cost_that_is_not_given_is_computed(tmp_path: Any) -> None:
    """As for live calls: own prices, then the list, then what was reported."""
    assert costs(record(TOKENS)) == (LISTED, None, "genai-prices")
    assert costs(record({**TOKENS, "cost_usd": ""})) == (LISTED, None, "genai-prices")
    assert costs(record({**TOKENS, "cost_reported_usd": 1})) == (LISTED, 10**9, "genai-prices")
    unlisted = {**TOKENS, "request_model": "house-model", "cost_reported_usd": 1}
    assert costs(record(unlisted)) == (10**9, 10**9, "reported")
    file = tmp_path / "prices.toml"
    file.write_text('[[price]]\nmodel = "house-*"\ninput = 1\noutput = 2\n')
    book: PriceBook = read_book(file)
    assert costs(record(unlisted, book=book)) == (14_000 + 14_000, 10**9, "custom")


# --- columns ------------------------------------------------------------------------------------


def test_columns_map_themselves_by_their_names() -> None:
    """What is asked for comes first, the record's own names before others for the same."""
    assert record({"feature": "a"}).feature == "a"
    asked = Asked(fields=[("feature", "team")], keep=True)
    found = record({"team": "red", "feature": "a"}, asked)
    assert (found.feature, found.tags) == ("red", '{"feature":"a"}')
    found = record({"cost_usd": "2", "cost_nanousd": "5"}, Asked(keep=True))
    assert (found.cost_nanousd, found.tags) == (5, '{"cost_usd":"2"}')


def test_one_column_for_two_fields() -> None:
    """The user is the unit."""
    asked = Asked(fields=[("user", "who"), ("unit", "who")])
    found = record({"who": "u"}, asked)
    assert found.user_ref == found.unit_ref == KEYS.ref("u")


def test_unknown_columns_are_refused() -> None:
    """All of them at once, with what to do."""
    columns = ColumnMap(Asked(ignored=["text"]))
    columns.learn(["started_at", "text", "colour", "size"])
    with pytest.raises(ConfigurationError, match=r"'colour', 'size'.*--ignore.*--keep"):
        columns.check()


def test_columns_that_are_not_there_are_refused() -> None:
    """What was asked for is not passed over in silence."""
    columns = ColumnMap(Asked(fields=[("feature", "team")], outcomes=[("score", "points")]))
    columns.learn(["started_at"])
    with pytest.raises(ConfigurationError, match="'team', 'points'; there are 'started_at'"):
        columns.check()


def test_log_without_times_is_refused() -> None:
    """One has to say when it was."""
    columns = ColumnMap(Asked())
    columns.learn(["feature"])
    with pytest.raises(ConfigurationError, match="--set started_at"):
        columns.check()
    ColumnMap(Asked(values={"started_at": AT})).check()


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (Asked(fields=[("colour", "c")]), "'colour' is no field"),
        (Asked(fields=[("writer_id", "c")]), "tells of this trail"),
        (Asked(fields=[("latency_s", "a"), ("latency_us", "b")]), "latency_us"),
        (Asked(fields=[("user", "a"), ("user_ref", "b")]), "user_ref"),
        (Asked(outcomes=[("score", "a"), ("score", "b")]), "score"),
        (Asked(values={"colour": "red"}), "'colour' is no field"),
    ],
)
def test_what_cannot_be_asked_for(asked: Asked, reason: str) -> None:
    """Before anything is read."""
    with pytest.raises(ConfigurationError, match=reason):
        ColumnMap(asked)


def test_kept_columns_hold_no_secrets() -> None:
    """By their name or by what they look like, as live tags."""
    token = "sk-" + "a" * 20
    read_by = reader(Asked(keep=True))
    cells = {"started_at": AT, "api_key": "x", "note": f"by {token}", "team": "red", "none": ""}
    found = read_by.read(2, cells).record
    assert json.loads(found.tags or "") == {"note": "by [secret]", "team": "red"}
    assert read_by._columns.secret == {"api_key"}
    assert record({"tags": {"password": "x"}}).tags is None


def test_tags_hold_nothing_that_a_database_refuses() -> None:
    """PostgreSQL reads no JSON with NUL in it; wherever it stands."""
    found = record(
        {"note": "a\0b", "more": {"k\0": ["\0", 1]}, "path": "\\u0000"}, Asked(keep=True)
    )
    assert json.loads(found.tags or "") == {
        "note": "a\ufffdb",
        "more": {"k\ufffd": ["\ufffd", 1]},
        "path": "\\u0000",
    }
    assert record({"feature": "a\0b"}).feature == "a\ufffdb"


# --- outcomes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "micros"),
    [("1", 10**6), ("0.25", 250_000), (True, 10**6), ("False", 0), (-3, -3 * 10**6), ("1e-6", 1)],
)
def test_outcome(value: Any, micros: int) -> None:
    """A number to six decimals, of the call, when it ended."""
    asked = Asked(outcomes=[("score", "points")])
    found = read({"points": value, "latency_us": 5, "unit": "u"}, asked)
    (outcome,) = found.outcomes
    assert (outcome.name, outcome.value_micros) == ("score", micros)
    assert (outcome.call_id, outcome.unit_ref) == (found.record.id, None)
    assert outcome.at_us == AT_US + 5


def test_outcome_of_a_unit() -> None:
    """As `compare` counts them; a row without a unit has none."""
    asked = Asked(outcomes=[("score", "points")])
    (outcome,) = read({"points": 1, "unit": "u"}, asked, outcome_of="unit").outcomes
    assert (outcome.call_id, outcome.unit_ref) == (None, KEYS.ref("u"))
    assert read({"points": "", "unit": "u"}, asked).outcomes == ()
    with pytest.raises(BadRowError, match="score"):
        read({"points": 1}, asked, outcome_of="unit")


@pytest.mark.parametrize("value", ["good", "nan", "1e12", [1]])
def test_outcome_that_is_no_number(value: Any) -> None:
    """It makes the row bad."""
    with pytest.raises(BadRowError, match="score"):
        read({"points": value}, Asked(outcomes=[("score", "points")]))


# --- ids ----------------------------------------------------------------------------------------


def ids(*rows: Mapping[str, Any], asked: Asked = Asked()) -> list[str]:  # noqa: B008
    """Return the ids of the calls of a file."""
    one = reader(asked)
    return [
        one.read(number, {"started_at": AT, **each}).record.id for number, each in enumerate(rows)
    ]


def test_equal_rows_are_calls_of_their_own() -> None:
    """And the same ones when the file, or a longer one, is read again."""
    red, blue = {"feature": "red"}, {"feature": "blue"}
    first = ids(red, red, blue, red)
    assert len(set(first)) == 4
    assert ids(red, red, blue, red, blue)[:4] == first
    assert ids(blue, red, red, red) == [first[2], first[0], first[1], first[3]]


def test_id_of_a_row_does_not_depend_on_the_map() -> None:
    """Nor on the order of its columns; but on its time, which may come from an option."""
    cells = {"team": "red", "colour": "blue"}
    (kept,) = ids(cells, asked=Asked(keep=True))
    turned = dict(reversed(cells.items()))
    assert ids(turned, asked=Asked(fields=[("feature", "team")], ignored=["colour"])) == [kept]
    by_time = [
        reader(Asked(values={"started_at": at})).read(2, {"feature": "a"}).record.id
        for at in ("2026-01-01", "2026-02-01")
    ]
    assert len(set(by_time)) == 2


def test_id_that_a_row_before_has() -> None:
    """One of the two would be lost."""
    one = reader()
    cells = {"started_at": AT, "id": "a"}
    one.read(2, cells)
    with pytest.raises(BadRowError, match="its id"):
        one.read(3, cells)


def test_origin_id_is_read_as_an_id() -> None:
    """So that a hit of a cache finds the call that was paid."""
    paid, hit = reader(), reader()
    first = paid.read(2, {"started_at": AT, "id": "a"}).record
    assert hit.read(3, {"started_at": AT, "id": "b", "origin_id": "a"}).record.origin_id == first.id


# --- lines --------------------------------------------------------------------------------------


def lines(raw: bytes, format: Any = "csv") -> list[Line]:
    """Read a file."""
    return list(read_lines(io.BytesIO(raw), format)[1])


def test_csv_as_programs_write_it() -> None:
    """A byte order mark, CRLF, quoted newlines and quotes, an empty line, a long field."""
    long = "x" * 1_000_000
    raw = f'\ufeffa,b\r\n1,"two\nlines"\r\n\r\n"say ""hi""",{long}\r\n'.encode()
    assert lines(raw) == [
        Line(2, {"a": "1", "b": "two\nlines"}),
        Line(5, {"a": 'say "hi"', "b": long}),
    ]


def test_bad_lines_of_csv() -> None:
    """Each with its number; what follows is read."""
    found = lines(b'a,b\n1\n1,2,3\n"x"y,2\n\xff,2\n1,2\n"open,2\n')
    assert [(each.number, each.fault and each.fault[:9]) for each in found] == [
        (2, "has 1 cel"),
        (3, "has 3 cel"),
        (4, "is no CSV"),
        (5, "is not UT"),
        (6, None),
        (7, "is no CSV"),
    ]


def test_json_lines() -> None:
    """Numbers stay as they were written; null is nothing; what is no object is bad."""
    raw = '\ufeff{"a":0.1,"b":null}\n\n[1]\n{"a":1}{\n{"a":1e-9}\n{"a":'.encode()
    found = lines(raw, "jsonl")
    assert [each.number for each in found] == [1, 3, 4, 5, 6]
    assert [str(each.cells.get("a")) for each in found] == ["0.1", "None", "None", "1E-9", "None"]
    assert [each.fault is None for each in found] == [True, False, False, True, False]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [(b"", "empty"), (b"\n1\n", "empty"), ("a,b\n".encode("utf-16"), "UTF-8"), (b"a,a\n", "'a'")],
)
def test_heading_that_is_none(raw: bytes, reason: str) -> None:
    """The whole file is refused."""
    with pytest.raises(ConfigurationError, match=reason):
        lines(raw)


def test_format_by_the_name() -> None:
    """Unless it is given."""
    assert format_of("a.CSV", None) == "csv"
    assert format_of("a.ndjson", None) == format_of("a.csv", "jsonl") == "jsonl"
    with pytest.raises(ConfigurationError, match="--from"):
        format_of("a.txt", None)


@given(st.text())
def test_uuids_are_those_of_python(name: str) -> None:
    """As another implementation of the RFC makes them."""
    assert uuid_of(name) == str(uuid5(NAMESPACE, name))


cell = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(cell, cell), max_size=8))
def test_csv_comes_back_as_it_was_written(rows: list[tuple[str, str]]) -> None:
    """Whatever is in it, as Python's own writer writes it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerows([("a", "b"), *rows])
    found = lines(text.getvalue().encode())
    assert [tuple(each.cells.values()) for each in found] == rows
