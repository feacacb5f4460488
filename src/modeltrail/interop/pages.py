"""
Pages of buckets of results: how OpenAI and Anthropic hand out what they counted.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from modeltrail.errors import ConfigurationError
from modeltrail.interop.export import SECOND_US, Export, ExportKind, UsageBucket, rfc3339_us
from modeltrail.render.figures import moment

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Span = tuple[int, int]


class Bucket(Protocol[R_co]):
    """
    A minute, an hour or a day; the first and the last may be cut.
    """

    @property
    def results(self) -> Sequence[R_co]:
        """What was counted in it, group by group."""

    def span_us(self) -> Span:
        """Return its start and its end, which is excluded, microseconds UTC."""


class UnixBucket(Struct, Generic[R], frozen=True):
    """
    A bucket of OpenAI's, in seconds since 1970.
    """

    start_time: int
    end_time: int
    results: list[R]

    def span_us(self) -> Span:
        """
        Return start and end.
        """
        return self.start_time * SECOND_US, self.end_time * SECOND_US


class DatedBucket(Struct, Generic[R], frozen=True):
    """
    A bucket of Anthropic's, in dates, UTC.
    """

    starting_at: str
    ending_at: str
    results: list[R]

    def span_us(self) -> Span:
        """
        Return start and end.

        Raises:
            ConfigurationError: One of them is no time.
        """
        return rfc3339_us(self.starting_at), rfc3339_us(self.ending_at)


B = TypeVar("B", bound=Bucket[Any])


class Page(Struct, Generic[B], frozen=True):
    """
    What one request returns.
    """

    data: list[B]
    has_more: bool = False


def export_of(
    name: str,
    pages: Sequence[Page[B]],
    read: Callable[[Any, Span], UsageBucket],
    *,
    format: str,
    provider: str,
    kind: ExportKind,
) -> Export:
    """
    Read the pages of one file, one after the other.

    Args:
        read: Reads one result, within the span of its bucket.

    Raises:
        ConfigurationError: A bucket ends no later than it begins.
    """
    buckets = [bucket for page in pages for bucket in page.data]
    spans = tuple(bucket.span_us() for bucket in buckets)
    for start_us, end_us in spans:
        if start_us >= end_us:
            raise ConfigurationError(
                f"a bucket ends no later than it begins, at {moment(start_us)} UTC"
            )
    return Export(
        name=name,
        format=format,
        provider=provider,
        kind=kind,
        buckets=tuple(
            read(each, span)
            for bucket, span in zip(buckets, spans, strict=True)
            for each in bucket.results
        ),
        spans=spans,
        more=pages[-1].has_more,
    )
