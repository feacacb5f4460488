"""
The tables: columns and indexes, nothing else.

They are a documented contract for other tools (docs/reference/schema.md). The
migrations make them; a test compares the two. Rows are written in batches
without building these objects, which would cost twenty times as much.
"""

from typing import Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlmodel import Field, SQLModel

# An integer key that SQLite is to number by itself must be called INTEGER there.
Key = BigInteger().with_variant(Integer(), "sqlite")
# Native on PostgreSQL; on SQLite text that can be read and pasted.
Uuid = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")


class Table(SQLModel):
    """
    Base of the tables; keeps them out of the application's own metadata.
    """

    metadata: ClassVar[MetaData] = MetaData()


def _seq() -> Any:
    # An identity, so that a role that may insert needs no right to a sequence.
    return Field(default=None, sa_column=Column("seq", Key, Identity(), primary_key=True))


def _big() -> Any:
    return Field(default=None, sa_type=BigInteger)


def _index_of_known(name: str, first: str, *columns: str) -> Index:
    # Rows without the tag cost the index nothing; both databases see that
    # `tag = ?` asks for none of them.
    known = text(f"{first} IS NOT NULL")
    return Index(name, first, *columns, sqlite_where=known, postgresql_where=known)


def _partitioned(by: str) -> dict[str, str]:
    return {"postgresql_partition_by": f"RANGE ({by})"}


class Call(Table, table=True):
    """
    One model call attempt. Never updated: late facts are amendments.
    """

    __tablename__ = "call"
    # On PostgreSQL a key of a partitioned table must contain the column it is
    # partitioned by; on SQLite the pair is as unique as the id alone.
    __table_args__ = (
        UniqueConstraint("id", "started_at_us", name="uq_call_id"),
        Index("ix_call_started_at", "started_at_us"),
        _index_of_known("ix_call_trace", "trace_id"),
        _index_of_known("ix_call_feature", "feature", "started_at_us"),
        _index_of_known("ix_call_experiment", "experiment", "variant", "unit_ref"),
        _index_of_known("ix_call_user", "user_ref", "started_at_us"),
        _partitioned("started_at_us"),
    )

    seq: int | None = _seq()
    # identity
    id: str = Field(sa_type=Uuid)
    run_id: str | None = None
    trace_id: str | None = None
    parent_id: str | None = None
    origin_id: str | None = None
    framework: str
    framework_version: str
    operation: str
    # model
    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    deployment: str | None = None
    response_id: str | None = None
    provider_request_id: str | None = None
    streaming: bool
    attempt: int | None = None
    is_fallback: bool | None = None
    cache_hit: bool | None = None
    shadow: bool | None = None
    parameters: str | None = None
    # time
    started_at_us: int = Field(sa_type=BigInteger)
    latency_us: int | None = _big()
    time_to_first_chunk_us: int | None = _big()
    # usage
    input_tokens: int | None = _big()
    output_tokens: int | None = _big()
    cache_read_input_tokens: int | None = _big()
    cache_creation_input_tokens: int | None = _big()
    reasoning_output_tokens: int | None = _big()
    usage_detail: str | None = None
    usage_source: str
    # cost
    cost_nanousd: int | None = _big()
    cost_reported_nanousd: int | None = _big()
    cost_source: str
    price_id: str | None = None
    # outcome
    status: str
    error_type: str | None = None
    error_code: str | None = None
    finish_reasons: str | None = None
    # tags
    feature: str | None = None
    segment: str | None = None
    experiment: str | None = None
    phase: str | None = None
    variant: str | None = None
    propensity_ppm: int | None = None
    unit_type: str | None = None
    unit_ref: str | None = None
    user_ref: str | None = None
    session_ref: str | None = None
    environment: str | None = None
    tags: str | None = None
    # shape
    input_chars: int | None = _big()
    output_chars: int | None = _big()
    output_format: str | None = None
    schema_ok: bool | None = None
    input_digest: str | None = None
    output_digest: str | None = None
    prompt_digest: str | None = None
    # policy and origin
    capture_mode: str
    policy_digest: str | None = None
    writer_id: str | None = None
    writer_seq: int | None = _big()
    origin: str | None = None
    record_version: int


class Amendment(Table, table=True):
    """
    A fact about a call that came after the call was stored.
    """

    __tablename__ = "amendment"
    __table_args__ = (
        # The place in the spool that it came from, so that a replay adds nothing.
        UniqueConstraint("origin", "field", "started_at_us", name="uq_amendment_origin"),
        Index("ix_amendment_call", "call_id"),
        _partitioned("started_at_us"),
    )

    seq: int | None = _seq()
    call_id: str = Field(sa_type=Uuid)
    started_at_us: int = Field(sa_type=BigInteger)
    at_us: int = Field(sa_type=BigInteger)
    field: str
    value: str
    why: str | None = None
    origin: str


class Outcome(Table, table=True):
    """
    A business or quality metric of a call, trace, session or unit.
    """

    __tablename__ = "outcome"
    __table_args__ = (
        UniqueConstraint("id", "at_us", name="uq_outcome_id"),
        Index("ix_outcome_name", "name", "unit_ref"),
        Index("ix_outcome_call", "call_id"),
        Index("ix_outcome_trace", "trace_id"),
        _partitioned("at_us"),
    )

    seq: int | None = _seq()
    id: str = Field(sa_type=Uuid)
    at_us: int = Field(sa_type=BigInteger)
    name: str
    value_micros: int = Field(sa_type=BigInteger)
    call_id: str | None = Field(default=None, sa_type=Uuid)
    trace_id: str | None = None
    session_ref: str | None = None
    unit_ref: str | None = None


class Event(Table, table=True):
    """
    Something that happened to the trail itself.
    """

    __tablename__ = "event"
    __table_args__ = (UniqueConstraint("id", name="uq_event_id"),)

    seq: int | None = _seq()
    id: str = Field(sa_type=Uuid)
    at_us: int = Field(sa_type=BigInteger)
    kind: str
    detail: str


class Writer(Table, table=True):
    """
    A process that has committed to this trail.
    """

    __tablename__ = "writer"
    __table_args__ = (UniqueConstraint("id", name="uq_writer_id"),)

    seq: int | None = _seq()
    id: str = Field(sa_type=Uuid)
    started_at_us: int = Field(sa_type=BigInteger)
    host: str
    pid: int
    version: str
