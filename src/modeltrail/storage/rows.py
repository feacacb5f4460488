"""
From what the spool says to rows: the one place where a record is validated.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from modeltrail.capture import storable
from modeltrail.ids import now_us, uuid7
from modeltrail.problems import Problems
from modeltrail.record import CallRecord

Row = tuple[Any, ...]

CALL_COLUMNS = CallRecord.__struct_fields__
AMENDMENT_COLUMNS = ("call_id", "started_at_us", "at_us", "field", "value", "why", "origin")
OUTCOME_COLUMNS = (
    "id",
    "at_us",
    "name",
    "value_micros",
    "call_id",
    "trace_id",
    "session_ref",
    "unit_ref",
)
EVENT_COLUMNS = ("id", "at_us", "kind", "detail")
WRITER_COLUMNS = ("id", "started_at_us", "host", "pid", "version")

# The trail's own first event: one id, so that of two processes that make a
# trail at once only one succeeds.
CREATED_ID = "00000000-0000-7000-8000-000000000001"

_FIELDS = {field.name: field for field in msgspec.structs.fields(CallRecord)}


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """
    Rows to be stored in one transaction, by table.
    """

    call: list[Row] = msgspec.field(default_factory=list)
    amendment: list[Row] = msgspec.field(default_factory=list)
    outcome: list[Row] = msgspec.field(default_factory=list)
    event: list[Row] = msgspec.field(default_factory=list)
    writer: list[Row] = msgspec.field(default_factory=list)

    def tables(self) -> Iterator[tuple[str, list[Row]]]:
        """
        Return the tables that have rows, and these.
        """
        for table in self.__struct_fields__:
            if rows := getattr(self, table):
                yield table, rows

    def halves(self) -> tuple["Batch", "Batch"]:
        """
        Divide the rows.
        """
        rows = [(table, row) for table, rows in self.tables() for row in rows]
        return _batch_of(rows[: len(rows) // 2]), _batch_of(rows[len(rows) // 2 :])

    def __len__(self) -> int:
        return sum(len(rows) for _, rows in self.tables())


def _batch_of(rows: list[tuple[str, Row]]) -> Batch:
    batch = Batch()
    for table, row in rows:
        getattr(batch, table).append(row)
    return batch


COLUMNS: dict[str, tuple[str, ...]] = {
    "call": CALL_COLUMNS,
    "amendment": AMENDMENT_COLUMNS,
    "outcome": OUTCOME_COLUMNS,
    "event": EVENT_COLUMNS,
    "writer": WRITER_COLUMNS,
}


def record_from(columns: Mapping[str, Any], problems: Problems) -> CallRecord:
    """
    Validate a record's columns.

    A column whose value does not fit is left out and counted; better a gap
    than a lost record.

    Raises:
        msgspec.ValidationError: What is left is no record: a column that
            every record has is missing or does not fit.
    """
    try:
        return msgspec.convert(columns, CallRecord)
    except msgspec.ValidationError:
        fitting = {name: value for name, value in columns.items() if _fits(name, value)}
        for name in columns.keys() - fitting.keys():
            problems.note(f"column-not-valid:{name if name in _FIELDS else 'unknown'}")
        return msgspec.convert(fitting, CallRecord)


def call_row(record: CallRecord) -> Row:
    """
    Return a record's row of the table `call`.
    """
    return msgspec.structs.astuple(record)


def row_from(columns: Mapping[str, Any], names: tuple[str, ...]) -> Row:
    """
    Return the row of a smaller table.
    """
    return tuple(plain_value(columns.get(name)) for name in names)


def plain_value(value: object) -> object:
    """
    Return a value as both databases take it: a text without NUL and lone surrogates.
    """
    return storable(value) if isinstance(value, str) else value


def event_row(kind: str, detail: Mapping[str, Any], id: str | None = None) -> Row:
    """
    Return the row of the table `event` of something that happens now.

    Args:
        id: If it may be told more than once.
    """
    now = now_us()
    text = msgspec.json.encode(detail, order="sorted").decode()
    return (id or uuid7(now), now, kind, text)


def created_event(key_id: str) -> Row:
    """
    Return a trail's first row of the table `event`, which says under which key it is.
    """
    return event_row("trail-created", {"key_id": key_id}, CREATED_ID)


def _fits(name: str, value: object) -> bool:
    field = _FIELDS.get(name)
    if field is None:
        return False
    try:
        msgspec.convert(value, field.type)
    except msgspec.ValidationError:
        return False
    return True
