"""
Named reads. They return records and sums, never tables.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Engine,
    FromClause,
    Select,
    TableClause,
    case,
    column,
    func,
    literal_column,
    select,
    table,
)
from sqlalchemy.exc import SQLAlchemyError

from modeltrail.errors import RecordNotFoundError, StoreUnavailableError
from modeltrail.record import CallRecord
from modeltrail.storage.dimensions import Keys
from modeltrail.storage.rows import CALL_COLUMNS
from modeltrail.storage.spend import Spend, spend_from, spend_query
from modeltrail.storage.tables import Amendment, Call, Event, Outcome, Table
from modeltrail.storage.top import Order, Top, top_from, top_query


def _columns(model: type[Table], names: Sequence[str]) -> list[ColumnClause[Any]]:
    columns = model.metadata.tables[str(model.__tablename__)].columns
    return [column(name, columns[name].type) for name in names]


def _view(name: str, model: type[Table], names: Sequence[str], *more: str) -> TableClause:
    return table(name, *_columns(model, (*names, *more)))


# The views that other tools read as well, with the types of the tables.
CALLS = _view("calls", Call, CALL_COLUMNS, "seq")
# The table behind it, which is the same as long as no late fact has been stored.
STORED = _view("call", Call, CALL_COLUMNS, "seq").alias("calls")
AMENDMENTS = _view("amendment", Amendment, ("call_id",))
OUTCOMES = _view("outcomes", Outcome, ("id",))
EVENTS = _view("event", Event, ("id", "at_us", "kind", "detail"), "seq")

# Calls that are read at once where all are: each time the amendments are joined.
PAGE = 20_000
_STREAMED = {"stream_results": True, "yield_per": 5_000}


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which calls to read; None does not restrict.

    Attributes:
        since_us: First moment, microseconds UTC, included.
        until_us: Last moment, excluded.
        after_seq: Only calls stored after this one.
        lacks_price: Only calls with tokens to price and no cost.
    """

    feature: str | None = None
    experiment: str | None = None
    variant: str | None = None
    framework: str | None = None
    status: str | None = None
    trace_id: str | None = None
    user_ref: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    after_seq: int | None = None
    lacks_price: bool = False


class Numbered(NamedTuple):
    """
    A record and its place in the order of storing.
    """

    seq: int
    record: CallRecord


class Group(NamedTuple):
    """
    Calls of one group, summed up.

    Attributes:
        key: The values that they share, in the order asked for.
        unpriced: How many of them have no known cost.
    """

    key: tuple[str | None, ...]
    calls: int
    errors: int
    unpriced: int
    input_tokens: int | None
    output_tokens: int | None
    cost_nanousd: int | None


class StoredEvent(NamedTuple):
    """
    Something that happened and is no call.

    Attributes:
        at_us: When, microseconds UTC.
        detail: What it tells, JSON.
    """

    at_us: int
    detail: str


class Queries:
    """
    Reads from a trail's database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(
        self, filters: Filters = Filters(), *, limit: int | None = 50, newest_first: bool = True
    ) -> list[Numbered]:
        """
        Return calls in the order they were stored.
        """
        order = CALLS.c.seq.desc() if newest_first else CALLS.c.seq.asc()
        query = select(CALLS).where(*conditions(filters)).order_by(order).limit(limit)
        return [Numbered(row["seq"], _record(row)) for row in self._rows(query)]

    def each_call(self, filters: Filters = Filters()) -> Iterator[CallRecord]:
        """
        Return all calls in the order they were stored, no more than a page of them in memory.
        """
        rest = filters
        while found := self.calls(rest, limit=PAGE, newest_first=False):
            yield from (each.record for each in found)
            rest = msgspec.structs.replace(rest, after_seq=found[-1].seq)

    def call(self, id: str) -> CallRecord:
        """
        Return one call by its id or the beginning of it.

        Raises:
            RecordNotFoundError: There is none, or more than one.
        """
        # On PostgreSQL the id is a uuid, which LIKE does not take.
        as_text = func.lower(literal_column("CAST(calls.id AS VARCHAR(36))"))
        query = select(CALLS).where(as_text.startswith(id.lower(), autoescape=True)).limit(2)
        found = self._rows(query)
        if len(found) != 1:
            raise RecordNotFoundError(
                f"no call has the id {id}" if not found else f"more than one id begins with {id}"
            )
        return _record(found[0])

    def last_seq(self) -> int:
        """
        Return the number of the call stored last, 0 if there is none.
        """
        return int(self._rows(select(func.max(CALLS.c.seq).label("last")))[0]["last"] or 0)

    def sums(self, by: Sequence[str], filters: Filters = Filters()) -> list[Group]:
        """
        Return the calls summed up by dimensions, dearest first.

        Raises:
            ConfigurationError: A dimension is unknown.
        """
        calls = self._summable()
        keys = Keys(by, calls, self._engine.dialect.name)
        cost = func.sum(calls.c.cost_nanousd)
        query = (
            select(
                *keys.columns,
                func.count().label("calls"),
                func.count(case((calls.c.status == "error", 1))).label("errors"),
                (func.count() - func.count(calls.c.cost_nanousd)).label("unpriced"),
                func.sum(calls.c.input_tokens).label("input_tokens"),
                func.sum(calls.c.output_tokens).label("output_tokens"),
                cost.label("cost_nanousd"),
            )
            .where(*conditions(filters, calls))
            .group_by(*keys.names)
            .order_by(func.coalesce(cost, -1).desc(), func.count().desc(), *keys.order)
        )
        return [_group(row, keys) for row in self._rows(query)]

    def top(
        self,
        by: Sequence[str],
        filters: Filters = Filters(),
        *,
        order: Order = "cost",
        limit: int = 10,
    ) -> Top:
        """
        Return the groups of calls that come first in an order, and the totals of all calls.

        Raises:
            ConfigurationError: A dimension is unknown.
        """
        calls = self._summable()
        keys = Keys(by, calls, self._engine.dialect.name)
        query = top_query(keys, calls, conditions(filters, calls), order, limit)
        return top_from(self._rows(query), keys)

    def spends(self, by: Sequence[str], filters: Filters = Filters()) -> list[Spend]:
        """
        Return what calls have used and cost, of those that tell both.

        Raises:
            ConfigurationError: A dimension is unknown.
        """
        calls = self._summable()
        keys = Keys(by, calls, self._engine.dialect.name)
        rows = self._rows(spend_query(keys, calls, conditions(filters, calls)))
        return [spend_from(row, keys) for row in rows]

    def experiments(self) -> list[str]:
        """
        Return the keys of the experiments that have calls.
        """
        query = select(CALLS.c.experiment).where(CALLS.c.experiment.is_not(None)).distinct()
        return sorted(row["experiment"] for row in self._rows(query))

    def stored_ids(self, ids: Collection[str]) -> set[str]:
        """
        Return those of the ids that are stored already.
        """
        return self._stored(CALLS, ids)

    def stored_outcomes(self, ids: Collection[str]) -> set[str]:
        """
        Return those of the ids of outcomes that are stored already.
        """
        return self._stored(OUTCOMES, ids)

    def event_detail(self, id: str) -> str | None:
        """
        Return the detail of an event, None if there is no such event.
        """
        rows = self._rows(select(EVENTS.c.detail).where(EVENTS.c.id == id))
        return str(rows[0]["detail"]) if rows else None

    def events(self, kind: str) -> list[StoredEvent]:
        """
        Return the events of a kind, oldest first.
        """
        query = (
            select(EVENTS.c.at_us, EVENTS.c.detail)
            .where(EVENTS.c.kind == kind)
            .order_by(EVENTS.c.at_us, EVENTS.c.seq)
        )
        return [StoredEvent(**row) for row in self._rows(query)]

    def _stored(self, known: FromClause, ids: Collection[str]) -> set[str]:
        wanted = sorted(ids)
        found: set[str] = set()
        for start in range(0, len(wanted), 500):
            chosen = known.c.id.in_(wanted[start : start + 500])
            found.update(str(row["id"]) for row in self._rows(select(known.c.id).where(chosen)))
        return found

    def _summable(self) -> FromClause:
        """
        Return where to sum calls up.

        SQLite looks for late facts of each call, a quarter of the time of a report,
        even if there are none. On a server a reader may have no right but to the views.
        """
        if self._engine.dialect.name != "sqlite":
            return CALLS
        amended = self._rows(select(AMENDMENTS.c.call_id).limit(1))
        return CALLS if amended else STORED

    def _many(self, text: ColumnElement[Any], values: Sequence[str]) -> ColumnElement[bool]:
        """
        Return that a column of texts has one of some values, as many rows may.

        SQLite takes what an index finds for a few rows, however many they are. It would look up
        each by itself and, to join two such finds, compare every row with every other: this is
        not looked up.
        """
        is_planned = self._engine.dialect.name != "sqlite"
        return (text if is_planned else func.coalesce(text, "")).in_(values)

    def _streamed(self, query: Select[Any]) -> Iterator[Sequence[Any]]:
        """
        Return rows as they come, not all of them in memory.
        """
        try:
            with self._engine.connect().execution_options(**_STREAMED) as connection:
                yield from connection.execute(query)
        except SQLAlchemyError as error:
            raise unreadable(error) from error

    def _rows(self, query: Any) -> list[Mapping[str, Any]]:
        try:
            with self._engine.connect() as connection:
                return [dict(row) for row in connection.execute(query).mappings()]
        except SQLAlchemyError as error:
            raise unreadable(error) from error


def unreadable(error: SQLAlchemyError) -> StoreUnavailableError:
    """
    Say that the database cannot be read, and why.
    """
    reason = str(error.__cause__ or error).partition("\n")[0]
    return StoreUnavailableError(f"the database cannot be read now: {reason}")


def conditions(filters: Filters, calls: FromClause = CALLS) -> list[ColumnElement[bool]]:
    """
    Return what calls must fulfil.
    """
    equal = ("feature", "experiment", "variant", "framework", "status", "trace_id", "user_ref")
    found = [
        calls.c[name] == value for name in equal if (value := getattr(filters, name)) is not None
    ]
    if filters.since_us is not None:
        found.append(calls.c.started_at_us >= filters.since_us)
    if filters.until_us is not None:
        found.append(calls.c.started_at_us < filters.until_us)
    if filters.after_seq is not None:
        found.append(calls.c.seq > filters.after_seq)
    if filters.lacks_price:
        found += _lacks_price(calls)
    return found


def _lacks_price(calls: FromClause) -> list[ColumnElement[bool]]:
    columns = calls.c
    return [
        columns.cost_nanousd.is_(None),
        columns.input_tokens.is_not(None),
        # What is known in part is not priced, whatever its price.
        columns.usage_source.not_in(("partial", "missing")),
    ]


def one_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    """
    Return 1 for rows that fulfil a condition, else 0: to be summed up.
    """
    return case((condition, 1), else_=0)


def _group(row: Mapping[str, Any], keys: Keys) -> Group:
    figures = (whole(row[name]) for name in Group._fields[1:])
    return Group(keys.of(row), *figures)  # type: ignore[arg-type]


def whole(value: Any) -> int | None:
    """
    Return a figure as an integer: a sum of BIGINT is a Decimal on PostgreSQL.
    """
    return None if value is None else int(value)


def _record(row: Mapping[str, Any]) -> CallRecord:
    return CallRecord(**{name: row[name] for name in CALL_COLUMNS})
