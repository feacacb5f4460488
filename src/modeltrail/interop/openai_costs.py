"""
OpenAI's `GET /v1/organization/costs`.

Grouped by line item a cost names its model: "gpt-4o-mini-2024-07-18, input".
"""

from decimal import Decimal

import msgspec
from msgspec import Struct

from modeltrail.interop.export import Export, UsageBucket, nanousd
from modeltrail.interop.pages import Page, Span, UnixBucket, export_of


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


PAGES = msgspec.json.Decoder(Page[UnixBucket[Result]])


def read(name: str, content: bytes) -> Export:
    """
    Read a file of pages, one after the other.

    Raises:
        ConfigurationError: An amount is in another currency.
    """
    pages = PAGES.decode_lines(content)
    return export_of(name, pages, _read, format="openai-costs", provider="openai", kind="costs")


def _read(result: Result, span: Span) -> UsageBucket:
    return UsageBucket(
        provider="openai",
        start_us=span[0],
        end_us=span[1],
        model=_model(result.line_item),
        key=result.api_key_id,
        project=result.project_id,
        cost_nanousd=nanousd(result.amount.value, result.amount.currency),
    )


def _model(line_item: str | None) -> str | None:
    model, comma, _ = (line_item or "").partition(", ")
    return model if comma else None
