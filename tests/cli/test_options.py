"""
Moments, as people type them.
"""

import pytest

from modeltrail.cli.options import moment_us, names_in, window_us, within
from modeltrail.errors import ConfigurationError

NOW_US = 1_790_000_000_000_000
DAY_US = 86_400_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("30s", NOW_US - 30_000_000),
        ("15m", NOW_US - 900_000_000),
        ("2h", NOW_US - 7_200_000_000),
        ("7d", NOW_US - 7 * DAY_US),
        ("1w", NOW_US - 7 * DAY_US),
        ("999999999999d", 0),
        ("1970-01-02", DAY_US),
        ("1970-01-02T00:00", DAY_US),
        ("1970-01-02T00:00:00.000001Z", DAY_US + 1),
        ("1970-01-02T02:00:00+02:00", DAY_US),
    ],
)
def test_moment(text: str | None, expected: int | None) -> None:
    """An age counts back from now; what names no zone is UTC."""
    assert moment_us(text, NOW_US) == expected


@pytest.mark.parametrize("text", ["", "soon", "15", "m", "-1h", "15 m", "2026-13-01", "1.5h"])
def test_no_moment(text: str) -> None:
    """Anything else is refused, with both ways to say it."""
    with pytest.raises(ConfigurationError, match="ISO 8601.*15m"):
        moment_us(text, NOW_US)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14d..7d", (NOW_US - 14 * DAY_US, NOW_US - 7 * DAY_US)),
        ("7d..", (NOW_US - 7 * DAY_US, NOW_US)),
        ("1970-01-02..1970-01-03T00:00:00.000001Z", (DAY_US, 2 * DAY_US + 1)),
    ],
)
def test_window(text: str, expected: tuple[int, int]) -> None:
    """Two moments; what has no end ends now."""
    assert window_us(text, NOW_US) == expected


@pytest.mark.parametrize("text", ["", "7d", "..7d", "..", "7d.14d", "7d..14d", "7d..7d", "a..b"])
def test_no_window(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ConfigurationError, match="no window|before it begins|no time"):
        window_us(text, NOW_US)


def test_names() -> None:
    """Each once, in the order given."""
    assert names_in(" b, a,,b ") == ["b", "a"]


def test_time_that_ends_before_it_begins() -> None:
    """Ages are easily swapped, and nothing would be found without anybody being told."""
    for since, until in (("1d", "7d"), ("2026-09-21", "2026-09-21"), ("7d", "2020-01-01")):
        with pytest.raises(ConfigurationError, match=f"--until {until} is not after --since"):
            within(since, until, NOW_US)
    found = within("7d", "1d", NOW_US)
    assert (found.since_us, found.until_us) == (NOW_US - 7 * DAY_US, NOW_US - DAY_US)
    assert within(None, "1970-01-02", NOW_US).until_us == DAY_US
