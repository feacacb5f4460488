"""
What a local provider is asked, what it answers, and what it remembers.

Plain frozen values: nothing here knows of HTTP or of one provider's JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

Json: TypeAlias = dict[str, Any]
InputUsagePlace: TypeAlias = Literal["both", "start", "end", "nowhere"]

DEFAULT_TEXT = "The capital of France is Paris."


class ToolCall(NamedTuple):
    """
    One call of a tool that the model asks for.

    Args:
        name: The name of the tool.
        arguments: Its arguments as JSON text, sent as it stands, so it may be malformed on
            purpose.
    """

    name: str
    arguments: str = "{}"


@dataclass(frozen=True)
class Answer:
    """
    What the provider answers to one request.

    One `Answer` serves every endpoint; each takes the fields that it knows.

    Args:
        text: The text. ``None`` means a short fixed text, or no text beside tool calls or a
            refusal.
        model: The model that claims to have answered; ``None`` means the one asked for.
        tool_calls: Pairs of name and JSON arguments.
        finish_reason: ``None`` means ``tool_calls`` if there are any, else ``stop``.
        refusal: The text of a refusal, sent in its own field where the protocol has one.
        reasoning: The text of the model's reasoning, sent before the answer; ``None`` means none.
            OpenAI's chat completions have no field for it.
        input_tokens: All input tokens, the cached ones included.
        output_tokens: All output tokens, those of reasoning included.
        cached_tokens: Input tokens read from a cache; ``None`` means not reported.
        cache_write_5m_tokens: Input tokens written to a cache that lives for five minutes; ``None``
            means not reported.
        cache_write_1h_tokens: Input tokens written to a cache that lives for an hour; ``None``
            means not reported.
        reasoning_tokens: Output tokens spent on reasoning; ``None`` means not reported.
        usage: Whether usage is reported at all.
        stream_input_usage: Where a stream of Anthropic's protocol reports the input: at ``both``
            ends, as the API does; only at the ``start``, as it once did; only at the ``end`` or
            ``nowhere``, as some gateways do, which say 0 at the start.
        system_fingerprint: The fingerprint of the backend.
        service_tier: The tier that served the request.
        response_id: The id of the response; ``None`` means a new unique one.
        request_id: The id in the response's request id header; ``None`` means a new unique one.
        chunks: Into how many pieces streamed text is cut, at most one per character.
        delay: Seconds before the first byte.
        chunk_delay: Seconds before each piece of a stream but the first.
        truncate_after: End a stream properly after so many pieces, without a finish reason.
        embedding_dimension: The length of vectors, unless the request names one.
        media: The bytes of an image or of speech; ``None`` means a short fixed one.
        audio_seconds: The length of the audio, by which a transcription is then billed; ``None``
            means by tokens, or by three seconds in the verbose format, which knows no tokens.
        search_units: What reranking is billed by.

    Raises:
        ValueError: The numbers contradict each other.
    """

    text: str | None = None
    model: str | None = None
    tool_calls: tuple[tuple[str, str], ...] = ()
    finish_reason: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    input_tokens: int = 14
    output_tokens: int = 7
    cached_tokens: int | None = 0
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = 0
    usage: bool = True
    stream_input_usage: InputUsagePlace = "both"
    system_fingerprint: str | None = None
    service_tier: str | None = None
    response_id: str | None = None
    request_id: str | None = None
    chunks: int = 3
    delay: float = 0.0
    chunk_delay: float = 0.0
    truncate_after: int | None = None
    embedding_dimension: int = 8
    media: bytes | None = None
    audio_seconds: float | None = None
    search_units: int = 1

    def __post_init__(self) -> None:
        """
        Refuse usage that no provider could report.
        """
        if self.uncached_tokens < 0:
            msg = "cached_tokens and cache writes are part of input_tokens and cannot exceed them"
            raise ValueError(msg)
        if (self.reasoning_tokens or 0) > self.output_tokens:
            msg = "reasoning_tokens are part of output_tokens and cannot exceed them"
            raise ValueError(msg)
        if self.chunks < 1:
            msg = "chunks must be at least 1"
            raise ValueError(msg)
        if self.stream_input_usage not in get_args(InputUsagePlace):
            msg = f"stream_input_usage must be one of {get_args(InputUsagePlace)}"
            raise ValueError(msg)

    @property
    def content(self) -> str | None:
        """
        The text that is sent, ``None`` beside tool calls or a refusal without text.
        """
        if self.text is None and not self.tool_calls and self.refusal is None:
            return DEFAULT_TEXT
        return self.text

    @property
    def cache_write_tokens(self) -> int | None:
        """
        All input tokens written to a cache, ``None`` if not reported.
        """
        written = (self.cache_write_5m_tokens, self.cache_write_1h_tokens)
        told = [tokens for tokens in written if tokens is not None]
        return sum(told) if told else None

    @property
    def uncached_tokens(self) -> int:
        """
        The input tokens that were neither read from a cache nor written to one.
        """
        return self.input_tokens - (self.cached_tokens or 0) - (self.cache_write_tokens or 0)

    @property
    def ending(self) -> str:
        """
        The finish reason that is sent.
        """
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")


@dataclass(frozen=True)
class Fault:
    """
    How the provider fails on one request.

    By default it answers with an HTTP error. With `hang` it accepts and stays silent, with
    `drop_after` it resets the connection, with `error_after` it says within a stream what failed.

    Args:
        status: The HTTP status.
        type: The type in the error body; ``None`` means the usual one of this status.
        code: The code in the error body; ``None`` means the usual one of this status.
        message: The message in the error body.
        headers: Further headers of an HTTP error, such as ``retry-after``.
        hang: Say nothing for so many seconds, then close. Ends early when the client leaves or
            the server stops.
        drop_after: Reset the connection after so many pieces of a stream. A request that does
            not stream is reset before its first byte.
        error_after: Send the protocol's own error within the stream after so many pieces, and end
            it properly. The stream's HTTP status is 200; `status`, `type`, `code` and `message` say
            what the error is. A request that does not stream gets an HTTP error.
        answer: What is streamed until `drop_after` or `error_after`.
    """

    status: int = 500
    type: str | None = None
    code: str | None = None
    message: str = "The local provider was told to fail."
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: float | None = None
    drop_after: int | None = None
    error_after: int | None = None
    answer: Answer = field(default_factory=Answer)


@dataclass(frozen=True)
class ProviderRequest:
    """
    One request, as the callable that answers it sees it.

    Args:
        number: Its place in the order of arrival, from 1.
        path: The path, without query.
        model: The model asked for.
        body: The parsed JSON body, or the fields of a form without its files.
        headers: The headers with lower-cased names, credentials included (so that an answer can
            depend on the key); never part of the ``repr``.
    """

    number: int
    path: str
    model: str
    body: Json
    headers: Mapping[str, str] = field(repr=False)

    @property
    def stream(self) -> bool:
        """
        Whether the client asked for a stream.
        """
        return self.body.get("stream") is True


Step: TypeAlias = Answer | Fault
Answers: TypeAlias = Callable[[ProviderRequest], Step]


@dataclass(frozen=True)
class ServedRequest:
    """
    One line of the request log.

    Args:
        number: Its place in the order of arrival, from 1.
        path: The path, without query.
        model: The model asked for, if any.
        stream: Whether the client asked for a stream.
        arrived_at_us: When the request was read, in microseconds since the epoch.
        body: The parsed JSON body, or the fields of a form without its files.
        headers: The headers with lower-cased names; the values of credentials are replaced.
        status: The HTTP status sent; ``None`` while or if none was.
        finished: Whether the answer was written to its end; ``False`` if the client went away,
            the connection was reset or the server stopped.
        request_id: The value of the request id header sent.
        answer: The answer as it was sent, ids and model filled in, or the fault.
    """

    number: int
    path: str
    model: str | None
    stream: bool
    arrived_at_us: int
    body: Json
    headers: Mapping[str, str]
    status: int | None = None
    finished: bool = False
    request_id: str | None = None
    answer: Step | None = None
