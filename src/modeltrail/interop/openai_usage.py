"""
OpenAI's `GET /v1/organization/usage/completions` (and `/embeddings`).

`input_tokens` includes what was read from and written to a cache.
"""

import msgspec
from msgspec import Struct

from modeltrail.interop.export import Export, UsageBucket
from modeltrail.interop.pages import Page, Span, UnixBucket, export_of


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


PAGES = msgspec.json.Decoder(Page[UnixBucket[Result]])


def read(name: str, content: bytes) -> Export:
    """
    Read a file of pages, one after the other.
    """
    pages = PAGES.decode_lines(content)
    return export_of(name, pages, _read, format="openai-usage", provider="openai", kind="usage")


def _read(result: Result, span: Span) -> UsageBucket:
    return UsageBucket(
        provider="openai",
        start_us=span[0],
        end_us=span[1],
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
