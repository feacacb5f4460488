"""
Anthropic's `GET /v1/organizations/usage_report/messages`.

It counts what is read from and written to a cache apart from the other input,
and it does not count requests.
"""

import msgspec
from msgspec import Struct

from modeltrail.interop.export import Export, UsageBucket
from modeltrail.interop.pages import DatedBucket, Page, Span, export_of


class CacheCreation(Struct, frozen=True):
    """
    Tokens written to a cache, by how long they are kept.
    """

    ephemeral_5m_input_tokens: int = 0
    ephemeral_1h_input_tokens: int = 0


class Result(Struct, frozen=True, kw_only=True):
    """
    One group of a bucket; what was not grouped by is null.
    """

    uncached_input_tokens: int
    cache_read_input_tokens: int
    cache_creation: CacheCreation
    output_tokens: int
    model: str | None = None
    api_key_id: str | None = None
    workspace_id: str | None = None
    service_tier: str | None = None


PAGES = msgspec.json.Decoder(Page[DatedBucket[Result]])


def read(name: str, content: bytes) -> Export:
    """
    Read a file of pages, one after the other.

    Raises:
        ConfigurationError: A time is none.
    """
    pages = PAGES.decode_lines(content)
    return export_of(
        name, pages, _read, format="anthropic-usage", provider="anthropic", kind="usage"
    )


def _read(result: Result, span: Span) -> UsageBucket:
    written = result.cache_creation
    creation = written.ephemeral_5m_input_tokens + written.ephemeral_1h_input_tokens
    return UsageBucket(
        provider="anthropic",
        start_us=span[0],
        end_us=span[1],
        model=result.model,
        key=result.api_key_id,
        project=result.workspace_id,
        input_tokens=result.uncached_input_tokens + result.cache_read_input_tokens + creation,
        cache_read_input_tokens=result.cache_read_input_tokens,
        cache_creation_input_tokens=creation,
        output_tokens=result.output_tokens,
        batch=result.service_tier == "batch",
    )
