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


@pytest.fixture
def two_features(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a trail of 30 days with a call a day of chat, and two a day of search in the last 5."""
    monkeypatch.setattr("modeltrail.cli.forecast.now_us", lambda: NOW_US)
    with modeltrail.open(url) as trail:
        for ago in range(30):
            trail.recorder._clock_us = lambda ago=ago: NOW_US - 1 - ago * DAY_US
            for feature in ["chat", *["search"] * 2 * (ago < 5)]:
                with modeltrail.tag(feature=feature):
                    trail.recorder.start(request(f"{feature}-{ago}")).stop(response())


@pytest.mark.usefixtures("two_features")
def test_groups_are_forecast_each_by_itself(cli: Any) -> None:
    """Chat as in the month of one group; of search there are too few days to say anything."""
    result = cli("cost", "forecast", "--by", "feature", "--format", "json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (found["schema"], found["by"]) == ("modeltrail.cost-forecast-by/1", ["feature"])
    assert (found["month"], found["alpha"], found["until_us"]) == ("2026-09", 0.1, NOW_US)
    chat, search = found["rows"]
    assert (chat["feature"], chat["spent_nanousd"]) == ("chat", 21 * CALL_NANOUSD)
    assert chat["estimate_nanousd"] == pytest.approx(30.5 * CALL_NANOUSD, abs=51)
    assert chat["low_nanousd"] <= chat["estimate_nanousd"] <= chat["high_nanousd"]
    assert (chat["days"], chat["refused"], chat["spent_usd"]) == (28, None, "0.0001323")
    assert (search["feature"], search["spent_nanousd"]) == ("search", 10 * CALL_NANOUSD)
    assert search["refused"] == "there are 3 full days, and it takes 14"
    names = ["estimate_nanousd", "low_nanousd", "high_nanousd", "estimate_usd", "days"]
    assert {search[name] for name in names} == {None}
    assert found["total"]["spent_nanousd"] == 31 * CALL_NANOUSD
    assert found["total"].keys() == chat.keys() - {"feature"}


@pytest.mark.usefixtures("two_features")
def test_total_is_that_without_groups(cli: Any) -> None:
    """What all calls will cost is the same, however they are split."""
    names = ["spent_nanousd", "estimate_nanousd", "low_nanousd", "high_nanousd", "days"]
    whole = json.loads(cli("cost", "forecast", "--format", "json").stdout)
    for by in ("feature", "model,feature"):
        split = json.loads(cli("cost", "forecast", "--by", by, "--format", "json").stdout)
        assert [split["total"][name] for name in names] == [whole[name] for name in names]


@pytest.mark.usefixtures("two_features")
def test_groups_as_table_and_csv(cli: Any) -> None:
    """What is not known is a dash or empty, and why is said."""
    result = cli("cost", "forecast", "--by", "feature")
    head, chat, search, total = result.stdout.splitlines()
    assert head.split() == ["FEATURE", "SPENT", "BY", "ITS", "END", "LOW", "HIGH"]
    assert chat.split()[:2] == ["chat", "$0.0001323"]
    assert search.split() == ["search", "$0.000063", "\u2014", "\u2014", "\u2014"]
    assert total.split()[:2] == ["TOTAL", "$0.0001953"]
    assert "no forecast of 1 of 2 groups: there are 3 full days" in result.stderr
    assert "neither estimates nor bounds of groups add up" in result.stderr
    lines = cli("cost", "forecast", "--by", "feature", "--format", "csv").stdout.splitlines()
    assert lines[0].startswith("feature,spent_nanousd,estimate_nanousd,low_nanousd,high_nanousd,")
    told = f'search,{10 * CALL_NANOUSD},,,,0.000063,,,,,"there are 3 full days, and it takes 14"'
    assert lines[2] == told


def test_groups_of_too_few_days(cli: Any, daily: Any) -> None:
    """What is spent is shown all the same; the command ends with 3."""
    daily(5)
    result = cli("cost", "forecast", "--by", "model")
    assert result.exit_code == 3
    assert "$0.0000315" in result.stdout
    assert "cannot tell what the month will cost" in result.stderr


@pytest.mark.parametrize("by", ["day", "feature,hour", "month"])
def test_time_is_no_group_of_a_forecast(cli: Any, daily: Any, by: str) -> None:
    """Nor is a word that cost does not know."""
    daily(1)
    result = cli("cost", "forecast", "--by", by)
    assert result.exit_code == 2
    assert f"leave {by.removeprefix('feature,')} out of --by" in result.stderr
    assert cli("cost", "forecast", "--by", "colour").exit_code == 2
