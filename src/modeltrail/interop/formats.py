"""
Which formats of usage exports there are, and which one a file has.
"""

import gzip
import zlib
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import msgspec

from modeltrail.errors import ConfigurationError
from modeltrail.interop import (
    anthropic_costs,
    anthropic_usage,
    bedrock_log,
    openai_costs,
    openai_usage,
)
from modeltrail.interop.export import Export

FormatName = Literal[
    "openai-usage", "openai-costs", "anthropic-usage", "anthropic-costs", "bedrock-log"
]


class Format(NamedTuple):
    """
    How a format is read, and by what it is recognised.

    Attributes:
        marks: Keys that the first thing counted in a file has.
    """

    read: Callable[[str, bytes], Export]
    marks: frozenset[str]


FORMATS: Mapping[FormatName, Format] = {
    "openai-usage": Format(openai_usage.read, frozenset({"input_tokens", "num_model_requests"})),
    "openai-costs": Format(openai_costs.read, frozenset({"object", "amount"})),
    "anthropic-usage": Format(anthropic_usage.read, frozenset({"uncached_input_tokens"})),
    "anthropic-costs": Format(anthropic_costs.read, frozenset({"currency", "amount"})),
    "bedrock-log": Format(bedrock_log.read, frozenset({"requestId", "modelId"})),
}
_GZIP = b"\x1f\x8b"


class Bucket(msgspec.Struct, frozen=True):
    """
    What all pages have in common.
    """

    results: list[dict[str, msgspec.Raw]] = []


class Page(msgspec.Struct, frozen=True):
    """
    The same.
    """

    data: list[Bucket]


_OBJECTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PAGES = msgspec.json.Decoder(Page)


def read_export(name: str, content: bytes, format: FormatName | None = None) -> Export:
    """
    Read what a provider exported; gzip is unpacked.

    Args:
        format: Its format; by default what its content looks like.

    Raises:
        ConfigurationError: It is none of the known formats, or something in
            it is missing; the message names the file and the place.
    """
    try:
        plain = gzip.decompress(content) if content.startswith(_GZIP) else content
        if not plain.strip():
            raise ConfigurationError("is empty")
        return FORMATS[format or _recognised(plain)].read(name, plain)
    except (msgspec.MsgspecError, ConfigurationError, EOFError, OSError, zlib.error) as error:
        raise ConfigurationError(f"{name}: {error}") from error


def _recognised(content: bytes) -> FormatName:
    found = _first_counted(content)
    for name, format in FORMATS.items():
        if format.marks <= found:
            return name
    raise ConfigurationError(
        f"is no export that is known, or an empty one; name its format with --from: "
        f"{', '.join(FORMATS)}"
    )


def _first_counted(content: bytes) -> frozenset[str]:
    """
    Return the keys of a log's first line, or of the first result of any page.
    """
    first = _OBJECTS.decode_lines(content)[0]
    if "data" not in first:
        return frozenset(first)
    buckets = (bucket for page in _PAGES.decode_lines(content) for bucket in page.data)
    results = (result for bucket in buckets for result in bucket.results)
    return frozenset(next(results, ()))
