"""
Named reads for those who settle accounts: what was used, hour by hour.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from modeltrail.record import CostSource, Operation, UsageSource
from modeltrail.storage.dimensions import HOUR_US, Keys, free_tag
from modeltrail.storage.queries import (
    CALLS,
    Filters,
    Queries,
    conditions,
    one_if,
    unreadable,
    whole,
)


class MeteredHour(NamedTuple):
    """
    The calls of one hour that one key made of one model, as a provider would count them.

    What was served from a cache is not among them.

    Attributes:
        model: The model that answered, or else the one asked for.
        key: The free tag `key_alias`, None if the calls have none.
        calls: All of them.
        failed: Those that ended with an error and have no usage; whether the
            provider counted them is not known.
        unmetered: Those whose tokens are not known, the failed among them.
        unpriced: Those with tokens and no cost.
        input_tokens: Of those whose tokens are known, like the others.
    """

    start_us: int
    provider: str
    model: str | None
    key: str | None
    calls: int
    failed: int
    unmetered: int
    unpriced: int
    input_tokens: int | None
    cache_read_input_tokens: int | None
    cache_creation_input_tokens: int | None
    output_tokens: int | None
    cost_nanousd: int | None


class RequestedCall(NamedTuple):
    """
    One call by the id that the provider gave to its request.
    """

    id: str
    request_id: str | None
    started_at_us: int
    model: str | None
    status: str
    input_tokens: int | None
    output_tokens: int | None


class BilledCall(NamedTuple):
    """
    What a bill needs of one call.

    Attributes:
        model: The model that answered, or else the one asked for.
        usage_detail: JSON text.
        tags: The values of the dimensions asked for.
    """

    started_at_us: int
    provider: str | None
    model: str | None
    operation: Operation
    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int | None
    cache_creation_input_tokens: int | None
    reasoning_output_tokens: int | None
    usage_detail: str | None
    service_tier: str | None
    usage_source: UsageSource
    cost_nanousd: int | None
    cost_source: CostSource
    tags: tuple[str | None, ...]


class Metered(Queries):
    """
    Reads of what was used.
    """

    def first_call_us(self) -> int | None:
        """
        Return when the first call of the trail started, None if it has none.
        """
        return whole(self._rows(select(func.min(CALLS.c.started_at_us).label("first")))[0]["first"])

    def metered_hours(
        self, providers: Sequence[str], since_us: int, until_us: int
    ) -> list[MeteredHour]:
        """
        Return what was used of providers, hour by hour, model by model, key by key.
        """
        # A part that is computed is grouped by its name: PostgreSQL takes two
        # parameters for two, though they be equal.
        calls = (
            select(
                (CALLS.c.started_at_us // literal_column(str(HOUR_US), BigInteger)).label("hour"),
                func.coalesce(CALLS.c.response_model, CALLS.c.request_model).label("model"),
                free_tag(CALLS, "key_alias", self._engine.dialect.name).label("key"),
                *(CALLS.c[name] for name in _COUNTED),
            )
            .where(
                CALLS.c.provider.in_(providers),
                CALLS.c.started_at_us >= since_us,
                CALLS.c.started_at_us < until_us,
                CALLS.c.cost_source != "cache",
                func.coalesce(CALLS.c.cache_hit, False).is_(False),
            )
            .subquery()
        )
        unknown = or_(
            calls.c.input_tokens.is_(None), calls.c.usage_source.in_(("missing", "partial"))
        )
        failed = calls.c.input_tokens.is_(None) & calls.c.output_tokens.is_(None)
        unpriced = calls.c.input_tokens.is_not(None) & calls.c.cost_nanousd.is_(None)
        keys = (calls.c.hour, calls.c.provider, calls.c.model, calls.c.key)
        query = (
            select(
                *keys,
                func.count().label("calls"),
                func.sum(one_if((calls.c.status == "error") & failed)).label("failed"),
                func.sum(one_if(unknown)).label("unmetered"),
                func.sum(one_if(unpriced)).label("unpriced"),
                *(func.sum(calls.c[name]).label(name) for name in _SUMMED),
            )
            .group_by(*keys)
            .order_by(*keys)
        )
        return [_hour(row) for row in self._rows(query)]

    def requested_calls(self, provider: str, since_us: int, until_us: int) -> list[RequestedCall]:
        """
        Return the calls of a provider with the ids of their requests.
        """
        query = (
            select(
                CALLS.c.id,
                CALLS.c.provider_request_id.label("request_id"),
                CALLS.c.started_at_us,
                func.coalesce(CALLS.c.response_model, CALLS.c.request_model).label("model"),
                CALLS.c.status,
                CALLS.c.input_tokens,
                CALLS.c.output_tokens,
            )
            .where(
                CALLS.c.provider == provider,
                CALLS.c.started_at_us >= since_us,
                CALLS.c.started_at_us < until_us,
                CALLS.c.cost_source != "cache",
                func.coalesce(CALLS.c.cache_hit, False).is_(False),
            )
            .order_by(CALLS.c.started_at_us, CALLS.c.seq)
        )
        return [RequestedCall(**{**row, "id": str(row["id"])}) for row in self._rows(query)]

    def billed_calls(self, by: Sequence[str], filters: Filters) -> Iterator[BilledCall]:
        """
        Return the calls one by one, in no order; those that a cache served for nothing are none.

        Raises:
            ConfigurationError: A dimension is unknown.
            StoreUnavailableError: The database cannot be read.
        """
        keys = Keys(by, CALLS, self._engine.dialect.name)
        own = [CALLS.c[name] for name in BilledCall._fields if name not in {"model", "tags"}]
        model = func.coalesce(CALLS.c.response_model, CALLS.c.request_model).label("model")
        for_nothing = (CALLS.c.cost_source == "cache") & (
            func.coalesce(CALLS.c.cost_nanousd, 0) == 0
        )
        query = select(*own, model, *keys.columns).where(~for_nothing, *conditions(filters))
        return self._billed(query, keys)

    def _billed(self, query: Any, keys: Keys) -> Iterator[BilledCall]:
        own = BilledCall._fields[:-1]
        try:
            # A bill may be of millions of calls.
            options = {"stream_results": True, "yield_per": 5_000}
            with self._engine.connect().execution_options(**options) as connection:
                for row in map(dict, connection.execute(query).mappings()):
                    yield BilledCall(**{name: row[name] for name in own}, tags=keys.of(row))
        except SQLAlchemyError as error:
            raise unreadable(error) from error


_SUMMED = MeteredHour._fields[-5:]
_COUNTED = ("provider", "status", "usage_source", *_SUMMED)


def _hour(row: Mapping[str, Any]) -> MeteredHour:
    figures = {name: whole(row[name]) for name in MeteredHour._fields[4:]}
    return MeteredHour(
        start_us=int(row["hour"]) * HOUR_US,
        provider=row["provider"],
        model=row["model"],
        key=row["key"],
        **figures,  # type: ignore[arg-type]
    )
