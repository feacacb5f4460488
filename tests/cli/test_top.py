"""
`modeltrail top`.
"""

import csv
import io
import json
from typing import Any

import pytest
from recording import request, response

import modeltrail

# 2026-09-21 14:13:20 UTC.
START_US = 1_790_000_000_000_000
SINCE = ("--since", "2026-09-01")
# gpt-4o-mini: 0.15 and 0.60 dollars per million tokens, in and out.
NANOUSD_IN, NANOUSD_OUT = 150, 600


@pytest.fixture
def budget(url: str) -> str:
    """
    Make a trail of 40 calls of 40 tokens, 2 with a prompt pasted a thousandfold, and 3 errors.
    """
    with modeltrail.open(url) as trail:
        trail.recorder._clock_us = lambda: START_US
        for number in range(40):
            call = request(
                f"run-{number}", prompt=f"Be brief, {number % 4}.", tags={"feature": "a"}
            )
            usage = {"prompt_tokens": 30, "completion_tokens": 10}
            trail.recorder.start(call).stop(response(usage=usage, latency_us=100_000 + number))
        for number in range(2):
            call = request(f"bad-{number}", prompt="Be brief. " * 999, tags={"feature": "b"})
            usage = {"prompt_tokens": 30_000, "completion_tokens": 10}
            trail.recorder.start(call).stop(response(usage=usage, latency_us=5_000_000))
        for number in range(3):
            call = request(f"err-{number}", prompt="Be quick.", tags={"feature": "c"})
            trail.recorder.start(call).fail(TimeoutError("too slow"))
    return url


def rows(cli: Any, *words: str) -> list[dict[str, Any]]:
    """Return the rows of a JSON answer."""
    found: list[dict[str, Any]] = json.loads(cli("top", *words, *SINCE, "--format", "json").stdout)[
        "rows"
    ]
    return found


def test_prompt_that_eats_the_budget_comes_first(cli: Any, budget: str) -> None:
    """Two of 45 calls have nearly all the cost, and their prompt says so."""
    result = cli("top", "--by", "prompt_digest", "--limit", "1", *SINCE, "--format", "json")
    found = json.loads(result.stdout)
    (worst,) = found["rows"]
    bad = 2 * (30_000 * NANOUSD_IN + 10 * NANOUSD_OUT)
    good = 40 * (30 * NANOUSD_IN + 10 * NANOUSD_OUT)
    assert (worst["calls"], worst["cost_nanousd"]) == (2, bad)
    assert worst["cost_share"] == bad / (bad + good) > 0.95
    assert (found["schema"], found["groups"]) == ("modeltrail.top/1", 6)
    assert (found["total"]["calls"], found["total"]["cost_nanousd"]) == (45, bad + good)
    shown = cli("calls", "list", "--feature", "b", "--format", "json")
    assert worst["prompt_digest"] in shown.stdout
    assert "the first 1 of 6 groups, by cost" in result.stderr


def test_table_has_the_total_of_all_calls(cli: Any, budget: str) -> None:
    """The last line is of the groups that are not shown, too."""
    words = ("top", "--by", "feature", "-n", "1", *SINCE)
    lines = [line.split() for line in cli(*words).stdout.splitlines()]
    assert lines[0][:7] == ["FEATURE", "CALLS", "ERRORS", "ERROR", "SHARE", "TOKENS", "COST"]
    cost = ["$0.009012", "95.5%"]
    assert lines[1] == ["b", "2", "0", "0.0%", "60,020", *cost, "5.000s", "5.000s"]
    total = ["45", "3", "6.7%", "61,620", "$0.009432", "100.0%"]
    assert lines[2][:7] == ["TOTAL", *total]
    assert lines[2][-1] == "5.000s"


@pytest.mark.parametrize(
    ("order", "first"), [("cost", "b"), ("tokens", "b"), ("errors", "c"), ("calls", "a")]
)
def test_each_order_has_its_first(cli: Any, budget: str, order: str, first: str) -> None:
    """What is asked for comes first."""
    assert rows(cli, "--by", "feature", "--order", order)[0]["feature"] == first


def test_slowest_on_average_comes_first(cli: Any, arms: Any) -> None:
    """By latency, one slow call outranks many that took longer together; unknown comes last."""
    arms("many", 8, base=100, feature="many")
    arms("slow", 1, base=500, feature="slow")
    found = json.loads(
        cli("top", "--by", "feature", "--order", "latency", "--format", "json").stdout
    )["rows"]
    assert [row["feature"] for row in found] == ["slow", "many"]
    assert [row["mean_latency_us"] for row in found] == [500_000, 200_000]
    assert [row["max_latency_us"] for row in found] == [500_000, 300_000]


def test_unknown_is_no_zero(cli: Any, budget: str) -> None:
    """A group without known cost or tokens says so and has no share."""
    (failed,) = [row for row in rows(cli, "--by", "feature") if row["feature"] == "c"]
    assert (failed["calls"], failed["errors"], failed["error_share"]) == (3, 3, 1.0)
    assert (failed["unpriced"], failed["tokens"]) == (3, None)
    assert (failed["cost_nanousd"], failed["cost_usd"], failed["cost_share"]) == (None, None, None)


def test_programs_get_the_same_rows(cli: Any, budget: str) -> None:
    """Every format has the same groups in the same order."""
    words = ("top", "--by", "feature", *SINCE, "--format")
    lines = cli(*words, "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows(cli, "--by", "feature")
    read = list(csv.DictReader(io.StringIO(cli(*words, "csv").stdout)))
    assert [row["feature"] for row in read] == ["b", "a", "c"]


def test_window_is_a_week_by_default(cli: Any, budget: str) -> None:
    """Calls of long ago matter no more; no calls are no error."""
    result = cli("top")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split()[:3] == ["TOTAL", "0", "0"]
    assert cli("top", "--by", "").exit_code == 0
