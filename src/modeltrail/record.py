"""
The record of one model call, and what it is made of.

Everything here is frozen and does no I/O. Numbers carry their unit in their
name; None means "not reported", never zero.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

RECORD_VERSION = 1

Operation = Literal[
    "chat",
    "text_completion",
    "embeddings",
    "image_generation",
    "speech",
    "transcription",
    "rerank",
]
Status = Literal["ok", "error", "cancelled", "incomplete"]
UsageSource = Literal["provider", "partial", "estimated", "missing", "cache"]
CostSource = Literal["reported", "genai-prices", "custom", "cache", "none"]
CaptureMode = Literal["metadata", "digest", "masked", "encrypted", "full"]
Durability = Literal["process", "power"]
OutputFormat = Literal["json", "prose", "code", "tool_call", "refusal", "empty"]

# Canonical JSON (RFC 8785) carries integers exactly up to 2**53; a larger count
# or amount is no measurement but a fault of its source.
LARGEST = 2**53
Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Amount = Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]


USAGE_COLUMNS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_output_tokens",
)


class Usage(Struct, frozen=True, kw_only=True):
    """
    Tokens of one call, as the provider reported them.

    `input_tokens` includes cached tokens and `output_tokens` includes
    reasoning, whatever dialect the provider speaks.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    detail: Mapping[str, int] | None = None
    source: UsageSource = "missing"


class Tags(Struct, frozen=True, kw_only=True):
    """
    What a call was for and whom it served.

    `unit`, `user` and `session` hold plain values in memory only: they are
    keyed (`Keys.ref`) before anything is written.
    """

    feature: str | None = None
    segment: str | None = None
    experiment: str | None = None
    phase: str | None = None
    variant: str | None = None
    propensity_ppm: int | None = None
    unit_type: str | None = None
    unit: str | None = None
    user: str | None = None
    session: str | None = None
    environment: str | None = None
    extra: Mapping[str, Any] = {}


class Request(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What is known of a call when it starts.

    Attributes:
        run_id: The framework's own id of the call, in the framework's own
            type; with `framework` it finds the call again when its end is
            announced.
        messages: The input as (role, text) pairs. Never stored as such: the
            capture policy decides what remains of it.
        prompt: The part of the input that the application wrote itself, such
            as the system prompt; its digest groups calls by template.
        started_at_us: When it began, microseconds UTC, if that was before now:
            some calls are only told of at their end.
        parameters: Parameters of the request. Only those of an allow-list
            are kept (`modeltrail.capture.PARAMETERS`).
        tags: What the framework was given for this very call, by the names
            of `Tags`, any other name being a free tag.
        default_tags: Tags that the framework's own words suggest; those of
            the application win.
    """

    framework: str
    framework_version: str
    operation: Operation
    run_id: str | UUID
    trace_id: str | UUID | None = None
    parent_id: str | UUID | None = None
    provider: str | None = None
    request_model: str | None = None
    deployment: str | None = None
    streaming: bool = False
    attempt: int | None = None
    is_fallback: bool | None = None
    shadow: bool | None = None
    started_at_us: int | None = None
    parameters: Mapping[str, Any] = {}
    messages: Sequence[tuple[str, str]] = ()
    prompt: str | None = None
    tags: Mapping[str, Any] = {}
    default_tags: Mapping[str, Any] = {}


class Response(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    What is known of a call when it ends, well or badly.

    Attributes:
        usage: What the provider or the framework reported, in a dialect that
            `modeltrail.usage` knows, what is nested in it as plain dicts.
        usage_source: Where it comes from, unless it is the provider's.
        text: The text of the answer; what is left of it decides the capture
            policy. None if it is unknown, "" if the answer was empty.
        tool_calls: (name, arguments as JSON text) pairs.
        refusal: The provider itself marked the answer as a refusal.
        cost_reported_nanousd: What the framework or the provider says that
            the call cost.
        origin_id: The call that was paid for, if this one was served from a
            cache.
        latency_us: How long the call took, if the framework measured it:
            its end may be announced late. Wins over our own measurement.
        time_to_first_chunk_us: The same for the first piece of a stream.
    """

    response_model: str | None = None
    response_id: str | None = None
    provider: str | None = None
    provider_request_id: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    deployment: str | None = None
    finish_reasons: Sequence[str] = ()
    usage: Mapping[str, Any] | None = None
    usage_source: UsageSource | None = None
    text: str | None = None
    tool_calls: Sequence[tuple[str, str]] = ()
    refusal: bool = False
    cache_hit: bool | None = None
    streaming: bool | None = None
    attempt: int | None = None
    is_fallback: bool | None = None
    cost_reported_nanousd: int | None = None
    origin_id: str | None = None
    latency_us: int | None = None
    time_to_first_chunk_us: int | None = None


class CallRecord(Struct, frozen=True, kw_only=True):
    """
    One finished model call attempt: one row of the table `call`.

    The fields are explained one by one in docs/reference/record.md.
    """

    # identity
    id: str
    run_id: str | None = None
    trace_id: str | None = None
    parent_id: str | None = None
    origin_id: str | None = None
    framework: str
    framework_version: str
    operation: Operation
    # model
    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    deployment: str | None = None
    response_id: str | None = None
    provider_request_id: str | None = None
    streaming: bool = False
    attempt: Count | None = None
    is_fallback: bool | None = None
    cache_hit: bool | None = None
    shadow: bool | None = None
    parameters: str | None = None
    # time
    started_at_us: Count
    latency_us: Count | None = None
    time_to_first_chunk_us: Count | None = None
    # usage
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    reasoning_output_tokens: Count | None = None
    usage_detail: str | None = None
    usage_source: UsageSource = "missing"
    # cost
    cost_nanousd: Amount | None = None
    cost_reported_nanousd: Amount | None = None
    cost_source: CostSource = "none"
    price_id: str | None = None
    # outcome
    status: Status
    error_type: str | None = None
    error_code: str | None = None
    finish_reasons: str | None = None
    # tags
    feature: str | None = None
    segment: str | None = None
    experiment: str | None = None
    phase: str | None = None
    variant: str | None = None
    propensity_ppm: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    unit_type: str | None = None
    unit_ref: str | None = None
    user_ref: str | None = None
    session_ref: str | None = None
    environment: str | None = None
    tags: str | None = None
    # shape
    input_chars: Count | None = None
    output_chars: Count | None = None
    output_format: OutputFormat | None = None
    schema_ok: bool | None = None
    input_digest: str | None = None
    output_digest: str | None = None
    prompt_digest: str | None = None
    # policy and origin
    capture_mode: CaptureMode = "digest"
    policy_digest: str | None = None
    writer_id: str | None = None
    writer_seq: Count | None = None
    origin: str | None = None
    record_version: int = RECORD_VERSION

    @property
    def started_at(self) -> datetime:
        """
        When the call started, UTC.
        """
        return datetime.fromtimestamp(self.started_at_us / 1e6, UTC)

    @property
    def latency_s(self) -> float | None:
        """
        From start to end, in seconds.
        """
        return None if self.latency_us is None else self.latency_us / 1e6

    @property
    def cost_usd(self) -> Decimal | None:
        """
        The cost in US dollars, exact.
        """
        return None if self.cost_nanousd is None else Decimal(self.cost_nanousd).scaleb(-9)


class FrameKind(IntEnum):
    """
    What a frame of the spool says.

    A CALL is a start and an end in one: the start could not be written when it
    was. CARRIED is a start repeated, so that the file where it stood can go.
    """

    START = 1
    END = 2
    AMEND = 3
    OUTCOME = 4
    EVENT = 5
    CALL = 6
    CARRIED = 7


class Frame(Struct, frozen=True, array_like=True):
    """
    One fact on its way to the trail.

    Attributes:
        id: The call's id; of an outcome or event, its own.
        started_at_us: When the call started (of an outcome or event: when it
            was), microseconds UTC.
        told: What a framework told, its texts taken out; `modeltrail.describe`
            turns it into columns. Read from a spool, it is a plain dict.
        facts: Columns of the record as they are.
        texts: Texts too long to be digested on the caller's thread, by the
            names `input`, `prompt` and `output`. The spool seals them. Read
            from a spool, they may be missing: room had run out.
    """

    kind: FrameKind
    id: str
    started_at_us: int
    told: Request | Response | Mapping[str, Any]
    facts: Mapping[str, Any]
    texts: Mapping[str, bytes] | None = None


# Takes a frame, or raises if it is lost.
Sink = Callable[[Frame], None]
