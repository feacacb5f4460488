"""
Anthropic's `GET /v1/organizations/usage_report/messages`.

It counts what is read from and written to a cache apart from the other input,
and it does not count requests.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from modeltrail.interop.export import Export, UsageBucket, rfc3339_us


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


class Bucket(Struct, frozen=True):
    """
    A minute, an hour or a day, UTC.
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
        ConfigurationError: A time is none.
    """
    pages: Sequence[Page] = PAGES.decode_lines(content)
    buckets = [bucket for page in pages for bucket in page.data]
    return Export(
        name=name,
        format="anthropic-usage",
        provider="anthropic",
        kind="usage",
        buckets=tuple(_read(bucket, each) for bucket in buckets for each in bucket.results),
        spans=tuple((rfc3339_us(each.starting_at), rfc3339_us(each.ending_at)) for each in buckets),
        more=pages[-1].has_more,
    )


def _read(bucket: Bucket, result: Result) -> UsageBucket:
    written = result.cache_creation
    creation = written.ephemeral_5m_input_tokens + written.ephemeral_1h_input_tokens
    return UsageBucket(
        provider="anthropic",
        start_us=rfc3339_us(bucket.starting_at),
        end_us=rfc3339_us(bucket.ending_at),
        model=result.model,
        key=result.api_key_id,
        project=result.workspace_id,
        input_tokens=result.uncached_input_tokens + result.cache_read_input_tokens + creation,
        cache_read_input_tokens=result.cache_read_input_tokens,
        cache_creation_input_tokens=creation,
        output_tokens=result.output_tokens,
        batch=result.service_tier == "batch",
    )
