"""
OpenAI's `GET /v1/organization/usage/completions` (and `/embeddings`).

`input_tokens` includes what was read from and written to a cache.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from modeltrail.interop.export import SECOND_US, Export, UsageBucket


class Result(Struct, frozen=True, kw_only=True):
    """
    One group of a bucket; what was not grouped by is null.
    """

    input_tokens: int
    num_model_requests: int
    output_tokens: int = 0  # embeddings have none
    input_cached_tokens: int | None = None
    input_cache_write_tokens: int | None = None
    model: str | None = None
    project_id: str | None = None
    api_key_id: str | None = None
    batch: bool | None = None


class Bucket(Struct, frozen=True):
    """
    A minute, an hour or a day; the first and the last may be cut.
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
    """
    pages: Sequence[Page] = PAGES.decode_lines(content)
    buckets = [bucket for page in pages for bucket in page.data]
    return Export(
        name=name,
        format="openai-usage",
        provider="openai",
        kind="usage",
        buckets=tuple(_read(bucket, each) for bucket in buckets for each in bucket.results),
        spans=tuple((each.start_time * SECOND_US, each.end_time * SECOND_US) for each in buckets),
        more=pages[-1].has_more,
    )


def _read(bucket: Bucket, result: Result) -> UsageBucket:
    return UsageBucket(
        provider="openai",
        start_us=bucket.start_time * SECOND_US,
        end_us=bucket.end_time * SECOND_US,
        model=result.model,
        key=result.api_key_id,
        project=result.project_id,
        requests=result.num_model_requests,
        input_tokens=result.input_tokens,
        cache_read_input_tokens=result.input_cached_tokens,
        cache_creation_input_tokens=result.input_cache_write_tokens,
        output_tokens=result.output_tokens,
        batch=bool(result.batch),
    )
