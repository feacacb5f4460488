"""
The first schema: calls, their amendments, outcomes, events and writers.

On PostgreSQL the large tables are partitioned by month.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from modeltrail.storage.migrations.postgres import create_partitions
from modeltrail.storage.migrations.views import create_views

revision = "0001"
down_revision = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Columns = tuple[sa.Column[Any], ...]
UUID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")


def _call_columns() -> Columns:
    return (
        sa.Column("id", UUID, nullable=False),
        sa.Column("run_id", sa.String()),
        sa.Column("trace_id", sa.String()),
        sa.Column("parent_id", sa.String()),
        sa.Column("origin_id", sa.String()),
        sa.Column("framework", sa.String(), nullable=False),
        sa.Column("framework_version", sa.String(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("provider", sa.String()),
        sa.Column("request_model", sa.String()),
        sa.Column("response_model", sa.String()),
        sa.Column("system_fingerprint", sa.String()),
        sa.Column("service_tier", sa.String()),
        sa.Column("deployment", sa.String()),
        sa.Column("response_id", sa.String()),
        sa.Column("provider_request_id", sa.String()),
        sa.Column("streaming", sa.Boolean(), nullable=False),
        sa.Column("attempt", sa.Integer()),
        sa.Column("is_fallback", sa.Boolean()),
        sa.Column("cache_hit", sa.Boolean()),
        sa.Column("shadow", sa.Boolean()),
        sa.Column("parameters", sa.String()),
        sa.Column("started_at_us", sa.BigInteger(), nullable=False),
        sa.Column("latency_us", sa.BigInteger()),
        sa.Column("time_to_first_chunk_us", sa.BigInteger()),
        sa.Column("input_tokens", sa.BigInteger()),
        sa.Column("output_tokens", sa.BigInteger()),
        sa.Column("cache_read_input_tokens", sa.BigInteger()),
        sa.Column("cache_creation_input_tokens", sa.BigInteger()),
        sa.Column("reasoning_output_tokens", sa.BigInteger()),
        sa.Column("usage_detail", sa.String()),
        sa.Column("usage_source", sa.String(), nullable=False),
        sa.Column("cost_nanousd", sa.BigInteger()),
        sa.Column("cost_reported_nanousd", sa.BigInteger()),
        sa.Column("cost_source", sa.String(), nullable=False),
        sa.Column("price_id", sa.String()),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("error_type", sa.String()),
        sa.Column("error_code", sa.String()),
        sa.Column("finish_reasons", sa.String()),
        sa.Column("feature", sa.String()),
        sa.Column("segment", sa.String()),
        sa.Column("experiment", sa.String()),
        sa.Column("phase", sa.String()),
        sa.Column("variant", sa.String()),
        sa.Column("propensity_ppm", sa.Integer()),
        sa.Column("unit_type", sa.String()),
        sa.Column("unit_ref", sa.String()),
        sa.Column("user_ref", sa.String()),
        sa.Column("session_ref", sa.String()),
        sa.Column("environment", sa.String()),
        sa.Column("tags", sa.String()),
        sa.Column("input_chars", sa.BigInteger()),
        sa.Column("output_chars", sa.BigInteger()),
        sa.Column("output_format", sa.String()),
        sa.Column("schema_ok", sa.Boolean()),
        sa.Column("input_digest", sa.String()),
        sa.Column("output_digest", sa.String()),
        sa.Column("prompt_digest", sa.String()),
        sa.Column("capture_mode", sa.String(), nullable=False),
        sa.Column("policy_digest", sa.String()),
        sa.Column("writer_id", sa.String()),
        sa.Column("writer_seq", sa.BigInteger()),
        sa.Column("origin", sa.String()),
        sa.Column("record_version", sa.Integer(), nullable=False),
    )


def _amendment_columns() -> Columns:
    return (
        sa.Column("call_id", UUID, nullable=False),
        sa.Column("started_at_us", sa.BigInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("why", sa.String()),
        sa.Column("origin", sa.String(), nullable=False),
    )


def _outcome_columns() -> Columns:
    return (
        sa.Column("id", UUID, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value_micros", sa.BigInteger(), nullable=False),
        sa.Column("call_id", UUID),
        sa.Column("trace_id", sa.String()),
        sa.Column("session_ref", sa.String()),
        sa.Column("unit_ref", sa.String()),
    )


def _event_columns() -> Columns:
    return (
        sa.Column("id", UUID, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
    )


def _writer_columns() -> Columns:
    return (
        sa.Column("id", UUID, nullable=False),
        sa.Column("started_at_us", sa.BigInteger(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
    )


INDEXES = {
    "ix_call_started_at": ("call", ["started_at_us"]),
    "ix_amendment_call": ("amendment", ["call_id"]),
    "ix_outcome_name": ("outcome", ["name", "unit_ref"]),
    "ix_outcome_call": ("outcome", ["call_id"]),
    "ix_outcome_trace": ("outcome", ["trace_id"]),
}

# Of calls that have the first column only.
INDEXES_OF_KNOWN = {
    "ix_call_trace": ["trace_id"],
    "ix_call_feature": ["feature", "started_at_us"],
    "ix_call_experiment": ["experiment", "variant", "unit_ref"],
    "ix_call_user": ["user_ref", "started_at_us"],
}


def upgrade() -> None:
    """
    Make the tables, their first partitions and the views.
    """
    _create("call", _call_columns(), "uq_call_id", ["id"], by="started_at_us")
    _create(
        "amendment",
        _amendment_columns(),
        "uq_amendment_origin",
        ["origin", "field"],
        by="started_at_us",
    )
    _create("outcome", _outcome_columns(), "uq_outcome_id", ["id"], by="at_us")
    _create("event", _event_columns(), "uq_event_id", ["id"])
    _create("writer", _writer_columns(), "uq_writer_id", ["id"])
    for name, (table, columns) in INDEXES.items():
        op.create_index(name, table, columns)
    for name, columns in INDEXES_OF_KNOWN.items():
        known = sa.text(f"{columns[0]} IS NOT NULL")
        op.create_index(name, "call", columns, sqlite_where=known, postgresql_where=known)
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        create_partitions(bind)
    create_views(bind)


def _create(
    table: str,
    columns: Columns,
    unique: str,
    key: list[str],
    by: str | None = None,
) -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    primary = [by, "seq"] if by and postgres else ["seq"]
    op.create_table(
        table,
        sa.Column("seq", KEY, sa.Identity(), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint(*primary),
        sa.UniqueConstraint(*key, *([by] if by else []), name=unique),
        postgresql_partition_by=f"RANGE ({by})" if by else None,
    )
