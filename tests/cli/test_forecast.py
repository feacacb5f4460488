"""
`modeltrail cost forecast`.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from recording import request, response

import modeltrail

DAY_US = 86_400_000_000
NOW_US = int(datetime(2026, 9, 21, 12, tzinfo=UTC).timestamp()) * 1_000_000
# gpt-4o-mini: 14 tokens at 0.15 and 7 at 0.60 dollars a million.
CALL_NANOUSD = 14 * 150 + 7 * 600


@pytest.fixture
def daily(url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make a trail with a call at noon of each of the last days, now included."""
    monkeypatch.setattr("modeltrail.cli.forecast.now_us", lambda: NOW_US)

    def make(days: int) -> None:
        with modeltrail.open(url) as trail:
            for ago in range(days):
                trail.recorder._clock_us = lambda ago=ago: NOW_US - 1 - ago * DAY_US
                trail.recorder.start(request(f"run-{ago}")).stop(response())

    return make


def test_month_is_forecast(cli: Any, daily: Any) -> None:
    """Of 21 calls so far; nine days and a half are to come, with one call each."""
    daily(30)
    found = json.loads(cli("cost", "forecast", "--format", "json").stdout)
    assert (found["schema"], found["month"]) == ("modeltrail.cost-forecast/1", "2026-09")
    assert found["spent_nanousd"] == 21 * CALL_NANOUSD
    assert found["days"] == 28
    whole = 30.5 * CALL_NANOUSD
    assert found["estimate_nanousd"] == pytest.approx(whole, abs=51)
    assert found["low_nanousd"] <= found["estimate_nanousd"] <= found["high_nanousd"]
    assert (found["alpha"], found["spent_usd"]) == (0.1, "0.0001323")
    lines = cli("cost", "forecast").stdout.splitlines()
    assert lines[0] == "2026-09: $0.0001323 spent until 2026-09-21 12:00:00 UTC"
    assert lines[1].startswith("by its end: $0.000192")
    assert "90% interval $0.000192" in lines[1]
    assert cli("cost", "forecast", "--format", "csv").stdout.startswith("month,spent_nanousd,")


def test_too_few_days_are_refused(cli: Any, daily: Any) -> None:
    """The first and the last day are none; 13 are too few."""
    daily(15)
    result = cli("cost", "forecast")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "there are 13 full days, and it takes 14" in result.stderr
