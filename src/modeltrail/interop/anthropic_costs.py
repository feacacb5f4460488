"""
Anthropic's `GET /v1/organizations/cost_report`.

Amounts are decimal strings of cents. Grouped by description a cost names its
model; the costs of the priority tier are not in it.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from msgspec import Struct

from modeltrail.interop.export import Export, UsageBucket, nanousd, rfc3339_us

CENTS = 100


class Result(Struct, frozen=True, kw_only=True):
    """
    One group of a day; what was not grouped by is null.
    """

    amount: Decimal
    currency: str
    model: str | None = None
    workspace_id: str | None = None
    service_tier: str | None = None


class Bucket(Struct, frozen=True):
    """
    A day, UTC.
    """

    starting_at: str
    ending_at: str
    results: list[Result]


class Page(Struct, frozen=True):
    """
    What one request returns.
    """

    data: list[Bucket]
    has_more: bool = False


PAGES = msgspec.json.Decoder(Page)


def read(name: str, content: bytes) -> Export:
    """
    Read a file of pages, one after the other.

    Raises:
        ConfigurationError: A time is none, or an amount in another currency.
    """
    pages: Sequence[Page] = PAGES.decode_lines(content)
    buckets = [bucket for page in pages for bucket in page.data]
    return Export(
        name=name,
        format="anthropic-costs",
        provider="anthropic",
        kind="costs",
        buckets=tuple(_read(bucket, each) for bucket in buckets for each in bucket.results),
        spans=tuple((rfc3339_us(each.starting_at), rfc3339_us(each.ending_at)) for each in buckets),
        more=pages[-1].has_more,
    )


def _read(bucket: Bucket, result: Result) -> UsageBucket:
    return UsageBucket(
        provider="anthropic",
        start_us=rfc3339_us(bucket.starting_at),
        end_us=rfc3339_us(bucket.ending_at),
        model=result.model,
        project=result.workspace_id,
        cost_nanousd=nanousd(result.amount, result.currency, per_dollar=CENTS),
        batch=result.service_tier == "batch",
    )
