"""
The views: what other tools should read.

`calls` are the calls with their amendments applied, `exposures` the first call
of each unit in each experiment, `outcomes` the outcomes with plain numbers.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, inspect, text

# Facts that may come late, and the SQL type that their JSON text is read as.
AMENDABLE = {
    "cost_nanousd": "BIGINT",
    "cost_reported_nanousd": "BIGINT",
    "cost_source": "TEXT",
    "price_id": "TEXT",
    "schema_ok": "BOOLEAN",
    "output_format": "TEXT",
    "origin_id": "TEXT",
    "provider": "TEXT",
    "response_model": "TEXT",
    "response_id": "TEXT",
    "provider_request_id": "TEXT",
    "system_fingerprint": "TEXT",
    "service_tier": "TEXT",
    "deployment": "TEXT",
    "cache_hit": "BOOLEAN",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cache_read_input_tokens": "BIGINT",
    "cache_creation_input_tokens": "BIGINT",
    "reasoning_output_tokens": "BIGINT",
    "usage_detail": "TEXT",
    "usage_source": "TEXT",
    "error_type": "TEXT",
}
# The text that a JSON scalar stands for; NULL for null.
_SCALAR = {"sqlite": "json_extract({}, '$')", "postgresql": "({})::jsonb #>> '{{}}'"}

EXPOSURES = """
CREATE VIEW exposures AS
SELECT experiment, phase, variant, unit_type, unit_ref, propensity_ppm, id AS call_id,
       started_at_us AS at_us
FROM (
    SELECT call.*, row_number() OVER (
        PARTITION BY experiment, phase, unit_ref ORDER BY started_at_us, seq) AS place
    FROM call WHERE experiment IS NOT NULL AND variant IS NOT NULL AND unit_ref IS NOT NULL
) AS ranked
WHERE place = 1
"""

OUTCOMES = """
CREATE VIEW outcomes AS
SELECT id, at_us, name, value_micros / 1000000.0 AS value, call_id, trace_id, session_ref, unit_ref
FROM outcome
"""


def create_views(connection: Connection) -> None:
    """
    Make the views anew.
    """
    columns = [column["name"] for column in inspect(connection).get_columns("call")]
    for name in ("calls", "exposures", "outcomes"):
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))
    connection.execute(text(_calls(columns, _SCALAR[connection.dialect.name])))
    connection.execute(text(EXPOSURES))
    connection.execute(text(OUTCOMES))


def _calls(columns: Sequence[str], scalar: str) -> str:
    # Amendments are few: the newest of each field, one row per call, joined as a set.
    newest = ",\n    ".join(
        f"max(CASE WHEN field = '{name}' THEN value END) AS {name}" for name in AMENDABLE
    )
    shown = ",\n  ".join(_column(name, scalar) for name in columns)
    return f"""
CREATE VIEW calls AS
SELECT
  {shown}
FROM call AS c
LEFT JOIN (
  SELECT call_id,
    {newest}
  FROM (
    SELECT call_id, field, value, row_number() OVER (
      PARTITION BY call_id, field ORDER BY at_us DESC, seq DESC) AS place
    FROM amendment
  ) AS ranked
  WHERE place = 1
  GROUP BY call_id
) AS a ON a.call_id = c.id
"""


def _column(name: str, scalar: str) -> str:
    if name not in AMENDABLE:
        return f"c.{name} AS {name}"
    value = scalar.format(f"a.{name}")
    return (
        f"CASE WHEN a.{name} IS NULL THEN c.{name} "
        f"ELSE CAST({value} AS {AMENDABLE[name]}) END AS {name}"
    )
