"""
The record and its parts.
"""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from modeltrail.record import CallRecord

MINIMAL = {
    "id": "0192f0c1-2345-7000-8000-000000000000",
    "framework": "langchain",
    "framework_version": "1.7.2",
    "operation": "chat",
    "started_at_us": 1_700_000_000_123_456,
    "status": "ok",
}


def test_what_was_not_reported_is_none() -> None:
    """A record of a call about which little is known claims nothing."""
    record = msgspec.convert(MINIMAL, CallRecord)
    assert (record.input_tokens, record.cost_nanousd, record.latency_us) == (None, None, None)
    assert (record.usage_source, record.cost_source) == ("missing", "none")


def test_properties_speak_the_units_of_people() -> None:
    """Seconds, dollars and dates are derived exactly."""
    record = msgspec.convert(
        {**MINIMAL, "latency_us": 1_500_000, "cost_nanousd": 413_001}, CallRecord
    )
    assert record.latency_s == 1.5
    assert record.cost_usd == Decimal("0.000413001")
    assert record.started_at == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)


def test_record_is_frozen() -> None:
    """Nobody changes a record once it is made."""
    record = msgspec.convert(MINIMAL, CallRecord)
    with pytest.raises(AttributeError):
        record.status = "error"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("input_tokens", -1),
        ("input_tokens", 2**60),
        ("status", "done"),
        ("started_at_us", "now"),
        ("propensity_ppm", 1_000_001),
    ],
)
def test_impossible_values_are_refused(column: str, value: object) -> None:
    """Validation refuses what no call can have."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**MINIMAL, column: value}, CallRecord)
