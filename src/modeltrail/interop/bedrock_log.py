"""
Amazon Bedrock's model invocation log: one call a line, by the id of its request.

What is read from and written to a cache is counted apart from the other input.
"""

import msgspec
from msgspec import Struct

from modeltrail.interop.export import (
    HOUR_US,
    Export,
    LoggedCall,
    UsageBucket,
    rfc3339_us,
)
from modeltrail.stats.exact import sum_known


class Identity(Struct, frozen=True):
    """
    Who called.
    """

    arn: str | None = None


class Input(Struct, frozen=True, rename="camel"):
    """
    What of the input is counted; bodies are passed over.
    """

    input_token_count: int | None = None
    cache_read_input_token_count: int | None = None
    cache_write_input_token_count: int | None = None


class Output(Struct, frozen=True, rename="camel"):
    """
    The same of the output.
    """

    output_token_count: int | None = None


class Line(Struct, frozen=True, rename="camel"):
    """
    One call.
    """

    timestamp: str
    request_id: str
    model_id: str
    identity: Identity = Identity()
    input: Input = Input()
    output: Output = Output()
    error_code: str | None = None


LINES = msgspec.json.Decoder(Line)


def read(name: str, content: bytes) -> Export:
    """
    Read a log; it speaks of the hours from its first call to its last.

    Raises:
        ConfigurationError: A time is none.
    """
    # What stands there twice, by the id of its request, is one call.
    lines = list({line.request_id: line for line in LINES.decode_lines(content)}.values())
    buckets = tuple(map(_bucket, lines))
    first = min(each.start_us for each in buckets)
    last = max(each.start_us for each in buckets)
    return Export(
        name=name,
        format="bedrock-log",
        provider="aws",
        kind="calls",
        buckets=buckets,
        calls=tuple(map(_call, lines)),
        spans=((first // HOUR_US * HOUR_US, (last // HOUR_US + 1) * HOUR_US),),
    )


def _total(given: Input) -> int | None:
    return sum_known(
        (
            given.input_token_count,
            given.cache_read_input_token_count,
            given.cache_write_input_token_count,
        )
    )


def _model(line: Line) -> str:
    # An inference profile is told by its whole name.
    return line.model_id.rpartition("/")[2]


def _call(line: Line) -> LoggedCall:
    return LoggedCall(
        provider="aws",
        request_id=line.request_id,
        at_us=rfc3339_us(line.timestamp),
        model=_model(line),
        input_tokens=_total(line.input),
        output_tokens=line.output.output_token_count,
        error=line.error_code,
    )


def _bucket(line: Line) -> UsageBucket:
    at_us = rfc3339_us(line.timestamp)
    return UsageBucket(
        provider="aws",
        start_us=at_us,
        end_us=at_us,
        model=_model(line),
        key=line.identity.arn,
        # What failed without a count is no request in the trail's figures either.
        requests=0 if line.error_code and _total(line.input) is None else 1,
        input_tokens=_total(line.input),
        cache_read_input_tokens=line.input.cache_read_input_token_count,
        cache_creation_input_tokens=line.input.cache_write_input_token_count,
        output_tokens=line.output.output_token_count,
    )
