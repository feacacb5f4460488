"""
Numbers as people read them.
"""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.render.figures import (
    count,
    decimals_for,
    difference,
    moment,
    money,
    percent,
    seconds,
    usd_from,
)


@pytest.mark.parametrize(
    ("nanousd", "expected"),
    [
        (0, "0.00"),
        (1, "0.000000001"),
        (413_000, "0.000413"),
        (1_500_000_000, "1.50"),
        (-2_100_000_000, "-2.10"),
        (2**53, "9007199.254740992"),
    ],
)
def test_usd_from(nanousd: int, expected: str) -> None:
    """Dollars are exact, with two decimals at least."""
    assert usd_from(nanousd) == expected


@given(st.integers(-(2**63), 2**63))
def test_usd_loses_nothing(nanousd: int) -> None:
    """The written amount is the amount."""
    assert Decimal(usd_from(nanousd)).scaleb(9) == nanousd
    assert "E" not in usd_from(nanousd)


@pytest.mark.parametrize(
    ("nanousd", "expected"),
    [
        (None, "—"),
        (0, "$0.00"),
        (1_234_567_500_000_000, "$1,234,567.50"),
        (-500_000_000, "-$0.50"),
    ],
)
def test_money(nanousd: int | None, expected: str) -> None:
    """Shown amounts have a dollar sign; an unknown one is a dash."""
    assert money(nanousd) == expected


def test_count_and_seconds() -> None:
    """Counts are grouped, durations have milliseconds; unknown is a dash."""
    assert [count(None), count(0), count(1_234_567)] == ["—", "0", "1,234,567"]
    assert [seconds(None), seconds(0), seconds(310_400)] == ["—", "0.000s", "0.310s"]
    assert seconds(3_600_000_000) == "3600.000s"


def test_moment() -> None:
    """A moment keeps its microseconds, in any century."""
    assert moment(1_790_000_000_123_457) == "2026-09-21 14:13:20"
    assert moment(1_790_000_000_123_457, fraction=True) == "2026-09-21 14:13:20.123457"
    assert moment(-1, fraction=True) == "1969-12-31 23:59:59.999999"


@pytest.mark.parametrize(
    ("spread", "digits", "expected"),
    [
        (0.35, 2, 2),
        (0.000167, 2, 5),
        (3.5, 2, 1),
        (35.0, 2, 0),
        (3500.0, 2, 0),
        (1e-30, 2, 9),
        (0.0, 2, 9),
        (float("inf"), 2, 9),
        (0.00184, 4, 6),
    ],
)
def test_decimals_for(spread: float, digits: int, expected: int) -> None:
    """As many decimals as show so many digits of the spread."""
    assert decimals_for(spread, digits) == expected


def test_difference_has_a_sign() -> None:
    """More is marked as much as less; no change has no sign."""
    assert [difference(n) for n in (5 * 10**8, 0, -5 * 10**8)] == ["+$0.50", "$0.00", "-$0.50"]


def test_percent() -> None:
    """To one decimal; unknown is a dash."""
    assert [percent(share) for share in (0.0, 0.9551, 1.0, None)] == [
        "0.0%",
        "95.5%",
        "100.0%",
        "—",
    ]
