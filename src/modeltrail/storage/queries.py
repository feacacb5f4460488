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
from modeltrail.stats.estimate import UnitSums
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
EXPOSURES = _view("exposures", Call, ("experiment", "variant", "unit_ref", "propensity_ppm"))
OUTCOMES = table("outcomes", column("value"), *_columns(Outcome, ("id", "name", "unit_ref")))
EVENTS = _view("event", Event, ("id", "at_us", "kind", "detail"), "seq")

# Calls that are read at once where all are: each time the amendments are joined.
PAGE = 20_000
# Metric of a call -> its column and the scale of its total.
CALL_METRICS: Mapping[str, str] = {
    "cost": "cost_nanousd",
    "latency": "latency_us",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
}


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which calls to read; None does not restrict.

    Attributes:
        since_us: First moment, microseconds UTC, included.
        until_us: Last moment, excluded.
        after_seq: Only calls stored after this one.
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


class Propensity(NamedTuple):
    """
    With what probability the units of one variant were given it.

    Attributes:
        least: The smallest that was logged, parts per million; None if none was.
        most: The largest.
        unknown: How many units have none.
    """

    variant: str
    least: int | None
    most: int | None
    unknown: int


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
            .order_by(func.coalesce(cost, -1).desc())
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

    def outcome_names(self, experiment: str) -> list[str]:
        """
        Return the names of the outcomes that units of an experiment have.
        """
        query = (
            select(OUTCOMES.c.name)
            .join(EXPOSURES, EXPOSURES.c.unit_ref == OUTCOMES.c.unit_ref)
            .where(EXPOSURES.c.experiment == experiment)
            .distinct()
        )
        return sorted(row["name"] for row in self._rows(query))

    def call_sums(self, experiment: str, metric: str) -> list[UnitSums]:
        """
        Return a metric of the calls of an experiment, per variant and unit.

        Args:
            metric: One of `CALL_METRICS`, or `error`: the share of calls that
                ended with an error. Calls that do not report the metric, and
                those served from a cache or in shadow, do not count.
        """
        value: Any
        if metric == "error":
            value = one_if(CALLS.c.status == "error")
        else:
            value = CALLS.c[CALL_METRICS[metric]]
        query = (
            select(
                CALLS.c.variant,
                CALLS.c.unit_ref,
                func.sum(value).label("total"),
                func.count(value).label("count"),
            )
            .where(
                CALLS.c.experiment == experiment,
                CALLS.c.variant.is_not(None),
                CALLS.c.unit_ref.is_not(None),
                func.coalesce(CALLS.c.shadow, False).is_(False),
            )
            .group_by(CALLS.c.variant, CALLS.c.unit_ref)
        )
        return [_unit_sums(row) for row in self._rows(query)]

    def outcome_sums(self, experiment: str, name: str) -> list[UnitSums]:
        """
        Return an outcome of the units of an experiment, per variant and unit.
        """
        query = (
            select(
                EXPOSURES.c.variant,
                EXPOSURES.c.unit_ref,
                func.sum(OUTCOMES.c.value).label("total"),
                func.count().label("count"),
            )
            .join(OUTCOMES, OUTCOMES.c.unit_ref == EXPOSURES.c.unit_ref)
            .where(EXPOSURES.c.experiment == experiment, OUTCOMES.c.name == name)
            .group_by(EXPOSURES.c.variant, EXPOSURES.c.unit_ref)
        )
        return [_unit_sums(row) for row in self._rows(query)]

    def propensities(self, experiment: str) -> list[Propensity]:
        """
        Return the probabilities that an experiment's assignments were logged with.
        """
        logged = EXPOSURES.c.propensity_ppm
        query = (
            select(
                EXPOSURES.c.variant,
                func.min(logged).label("least"),
                func.max(logged).label("most"),
                (func.count() - func.count(logged)).label("unknown"),
            )
            .where(EXPOSURES.c.experiment == experiment)
            .group_by(EXPOSURES.c.variant)
            .order_by(EXPOSURES.c.variant)
        )
        return [Propensity(**row) for row in self._rows(query)]

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
    return found


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


def _unit_sums(row: Mapping[str, Any]) -> UnitSums:
    return UnitSums(
        variant=row["variant"],
        unit=row["unit_ref"],
        total=float(row["total"] or 0),
        count=float(row["count"]),
    )


def _record(row: Mapping[str, Any]) -> CallRecord:
    return CallRecord(**{name: row[name] for name in CALL_COLUMNS})
