"""
Anthropic's `GET /v1/organizations/cost_report`.

Amounts are decimal strings of cents. Grouped by description a cost names its
model; the costs of the priority tier are not in it.
"""

from decimal import Decimal

import msgspec
from msgspec import Struct

from modeltrail.interop.export import Export, UsageBucket, nanousd
from modeltrail.interop.pages import DatedBucket, Page, Span, export_of

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


PAGES = msgspec.json.Decoder(Page[DatedBucket[Result]])


def read(name: str, content: bytes) -> Export:
    """
    Read a file of pages, one after the other.

    Raises:
        ConfigurationError: A time is none, or an amount in another currency.
    """
    pages = PAGES.decode_lines(content)
    return export_of(
        name, pages, _read, format="anthropic-costs", provider="anthropic", kind="costs"
    )


def _read(result: Result, span: Span) -> UsageBucket:
    return UsageBucket(
        provider="anthropic",
        start_us=span[0],
        end_us=span[1],
        model=result.model,
        project=result.workspace_id,
        cost_nanousd=nanousd(result.amount, result.currency, per_dollar=CENTS),
        batch=result.service_tier == "batch",
    )
