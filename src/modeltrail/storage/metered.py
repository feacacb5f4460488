"""
Named reads for those who settle accounts: what was used, hour by hour.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    case,
    func,
    literal_column,
    or_,
    select,
)

from modeltrail.storage.dimensions import HOUR_US, free_tag
from modeltrail.storage.queries import CALLS, Queries


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


class Metered(Queries):
    """
    Reads of what was used.
    """

    def first_call_us(self) -> int | None:
        """
        Return when the first call of the trail started, None if it has none.
        """
        return _figure(
            self._rows(select(func.min(CALLS.c.started_at_us).label("first")))[0]["first"]
        )

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
                _how_many((calls.c.status == "error") & failed).label("failed"),
                _how_many(unknown).label("unmetered"),
                _how_many(unpriced).label("unpriced"),
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


_SUMMED = MeteredHour._fields[-5:]
_COUNTED = ("provider", "status", "usage_source", *_SUMMED)


def _hour(row: Mapping[str, Any]) -> MeteredHour:
    figures = {name: _figure(row[name]) for name in MeteredHour._fields[4:]}
    return MeteredHour(
        start_us=int(row["hour"]) * HOUR_US,
        provider=row["provider"],
        model=row["model"],
        key=row["key"],
        **figures,  # type: ignore[arg-type]
    )


def _how_many(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _figure(value: Any) -> int | None:
    # A sum of BIGINT is a Decimal on PostgreSQL.
    return None if value is None else int(value)
