"""
OpenAI's `GET /v1/organization/costs`.

Grouped by line item a cost names its model: "gpt-4o-mini-2024-07-18, input".
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from msgspec import Struct

from modeltrail.interop.export import SECOND_US, Export, UsageBucket, nanousd


class Amount(Struct, frozen=True):
    """
    Dollars, as exact as they are written.
    """

    value: Decimal
    currency: str


class Result(Struct, frozen=True, kw_only=True):
    """
    One group of a day; what was not grouped by is null.
    """

    amount: Amount
    line_item: str | None = None
    project_id: str | None = None
    api_key_id: str | None = None


class Bucket(Struct, frozen=True):
    """
    A day.
    """

    start_time: int
    end_time: int
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
        ConfigurationError: An amount is in another currency.
    """
    pages: Sequence[Page] = PAGES.decode_lines(content)
    buckets = [bucket for page in pages for bucket in page.data]
    return Export(
        name=name,
        format="openai-costs",
        provider="openai",
        kind="costs",
        buckets=tuple(_read(bucket, each) for bucket in buckets for each in bucket.results),
        spans=tuple((each.start_time * SECOND_US, each.end_time * SECOND_US) for each in buckets),
        more=pages[-1].has_more,
    )


def _read(bucket: Bucket, result: Result) -> UsageBucket:
    return UsageBucket(
        provider="openai",
        start_us=bucket.start_time * SECOND_US,
        end_us=bucket.end_time * SECOND_US,
        model=_model(result.line_item),
        key=result.api_key_id,
        project=result.project_id,
        cost_nanousd=nanousd(result.amount.value, result.amount.currency),
    )


def _model(line_item: str | None) -> str | None:
    model, comma, _ = (line_item or "").partition(", ")
    return model if comma else None
