"""
`modeltrail spikes`.
"""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from histories import HOUR_US, START_US, call, keep

from modeltrail.record import CallRecord
from modeltrail.storage import Store

WEEKS_5 = 5 * 168
SPIKE = 700
# 2026-07-06: five weeks after the start.
WINDOW = ("--since", "2026-06-01", "--until", "2026-07-06")


def traffic() -> Iterator[CallRecord]:
    """Give five weeks of 4 calls an hour, 40 at one of them, and two days of a new feature."""
    for hour in range(WEEKS_5):
        for number in range(40 if hour == SPIKE else 4):
            at_us = START_US + hour * HOUR_US + number * 1_000_000
            yield call(at_us, feature="support", cost_nanousd=2_000_000, latency_us=900_000)
    for hour in range(WEEKS_5 - 48, WEEKS_5):
        yield call(START_US + hour * HOUR_US, feature="extract")


@pytest.fixture
def watched(url: str) -> str:
    """Make a trail with one spike."""
    store = Store.open(url)
    keep(store, traffic())
    store.close()
    return url


def test_table_shows_hour_and_expectation(cli: Any, watched: str) -> None:
    """A line per finding, a word about the rest on stderr, and 1 at the end."""
    result = cli("spikes", *WINDOW)
    assert result.exit_code == 1
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["HOUR", "(UTC)", "FEATURE", "METRIC", "VALUE", "EXPECTED", "RATIO", "SCORE"]
    # Hour 700 of the 1st of June is 04:00 of the 30th; 2 sqrt(40.375) - 2 sqrt(4.375) = 8.525.
    assert lines[1:] == [
        ["2026-06-30", "04:00", "support", "calls", "40", "4", "10.0x", "8.5"],
        ["2026-06-30", "04:00", "support", "cost", "$0.08", "$0.008", "10.0x", "8.5"],
    ]
    told = result.stderr.splitlines()
    assert told[0].startswith("judged: 4 series of whole hours, from 2026-06-01 00:00:00 to")
    # Extract: every metric but none judged; support: tokens are never reported.
    assert sum("of extract: 2 days of history" in line for line in told) == 5
    assert "not judged: output_tokens of support: 0 hours are known; 168 are needed" in told


def test_recent_hours_only(cli: Any, watched: str) -> None:
    """What cron has told yesterday it does not tell again."""
    recent = ("--recent", "2026-06-30T05:00")
    assert cli("spikes", *WINDOW, *recent).exit_code == 0
    assert cli("spikes", *WINDOW, "--recent", "2026-06-30T04:00").exit_code == 1


def test_formats_have_the_same_rows(cli: Any, watched: str) -> None:
    """JSON tells all, lines and CSV have its rows."""
    words = ("spikes", *WINDOW, "--metric", "cost,calls")
    found = json.loads(cli(*words, "--format", "json").stdout)
    assert (found["schema"], found["by"]) == ("modeltrail.spikes/1", ["feature"])
    assert (found["metrics"], found["judged"]) == (["cost_nanousd", "calls"], 2)
    cost = next(row for row in found["rows"] if row["metric"] == "cost_nanousd")
    assert cost == {
        "feature": "support",
        "start_us": START_US + SPIKE * HOUR_US,
        "metric": "cost_nanousd",
        "value": 80_000_000,
        "expected": 8_000_000,
        "ratio": 10.0,
        "score": 8.525,
    }
    assert [each["feature"] for each in found["refused"]] == ["extract", "extract"]
    lines = cli(*words, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == found["rows"]
    rows = list(csv.DictReader(io.StringIO(cli(*words, "--format", "csv").stdout)))
    assert [row["value"] for row in rows] == [str(row["value"]) for row in found["rows"]]


def test_too_little_history_cannot_be_told(cli: Any, watched: str) -> None:
    """Three weeks are judged by nobody: 3, not a clean bill."""
    result = cli("spikes", "--since", "2026-06-15", "--until", "2026-07-06")
    assert result.exit_code == 3
    assert "21 days of history; 4 weeks are needed" in result.stderr
    empty = cli("spikes", "--since", "2020-01-01", "--until", "2020-06-01")
    assert empty.exit_code == 3
    assert "there are no calls in this time" in empty.stderr


def test_wrong_words_are_usage(typed: Any, watched: str) -> None:
    """A dimension, a metric or a time that is none ends with 2."""
    for words in (["--by", "colour"], ["--metric", "joy"], ["--since", "then"]):
        assert typed("spikes", *words).returncode == 2


BUDGETS = """
[[budget]]
feature = "support"
metric = "cost_usd"
per = "hour"
at_most = "0.05"
"""


def test_budgets_need_no_history(cli: Any, watched: str, tmp_path: Path) -> None:
    """A week is enough for a budget: exceeded is 1, kept is 0; neither is 3."""
    file = tmp_path / "budgets.toml"
    file.write_text(BUDGETS)
    week = ("spikes", "--since", "2026-06-29", "--until", "2026-07-06", "--budgets", str(file))
    result = cli(*week)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].split() == [
        "2026-06-30", "04:00", "hour", "feature=support", "cost_usd", "0.08", "0.05", "40",
    ]  # fmt: skip
    assert "budgets: 1 judged" in result.stderr
    (row,) = json.loads(cli(*week, "--format", "json").stdout)["over_budget"]
    assert row == {
        "budget": 1,
        "only": {"feature": "support"},
        "metric": "cost_usd",
        "per": "hour",
        "start_us": START_US + SPIKE * HOUR_US,
        "value": "0.08",
        "at_most": "0.05",
        "calls": 40,
    }
    assert json.loads(cli(*week, "--format", "jsonl").stdout) == row
    file.write_text(BUDGETS.replace("0.05", "0.08"))
    assert cli(*week).exit_code == 0
    assert cli(*week[:-2]).exit_code == 3


def test_wrong_budgets_are_usage(typed: Any, watched: str, tmp_path: Path) -> None:
    """A file that is not there or not right, or a format without a place for them, ends with 2."""
    file = tmp_path / "budgets.toml"
    missing = typed("spikes", "--budgets", str(file))
    assert missing.returncode == 2
    assert f"the budgets {file} cannot be read" in missing.stderr
    file.write_text(BUDGETS.replace("cost_usd", "euros"))
    wrong = typed("spikes", "--budgets", str(file))
    assert (wrong.returncode, "budget 1: metric cannot be 'euros'" in wrong.stderr) == (2, True)
    file.write_text(BUDGETS)
    assert typed("spikes", "--budgets", str(file), "--format", "csv").returncode == 2


def test_the_future_is_not_judged(cli: Any, watched: str) -> None:
    """Hours that are not over are no hours of silence, whatever --until says."""
    found = json.loads(cli("spikes", "--until", "2199-01-01", "--format", "json").stdout)
    end = datetime.fromtimestamp(found["until_us"] / 1e6, UTC)
    assert end <= datetime.now(UTC)
    assert found["until_us"] % HOUR_US == 0
