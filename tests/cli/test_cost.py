"""
`modeltrail cost`.
"""

import csv
import io
import json
from typing import Any

import pytest


def test_table_has_a_total_and_names_the_unpriced(cli: Any, filled: str) -> None:
    """Groups dearest first, a total, and on stderr what the figures lack."""
    result = cli("cost", "--by", "feature,variant")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0][:5] == ["FEATURE", "VARIANT", "CALLS", "ERRORS", "UNPRICED"]
    assert lines[1:] == [
        ["support", "—", "2", "0", "1", "19", "9", "$0.0000063", "$0.0063"],
        ["extract", "B", "1", "1", "1", "—", "—", "—", "—"],
        ["TOTAL", "3", "1", "2", "19", "9", "$0.0000063", "$0.0063"],
    ]
    window, unpriced = result.stderr.splitlines()
    assert window.startswith("from the first call to ")
    assert unpriced.startswith("unpriced: the cost of 2 of 3 calls is not known")


def test_json_is_exact(cli: Any, filled: str) -> None:
    """Amounts are integers of nano-dollars and exact decimals; unknown is null."""
    result = cli("cost", "--by", "feature", "--until", "2026-09-21T14:15", "--format", "json")
    found = json.loads(result.stdout)
    assert (found["schema"], found["by"]) == ("modeltrail.cost/1", ["feature"])
    assert (found["since_us"], found["until_us"]) == (None, 1_790_000_100_000_000)
    figures = {
        "calls": 2,
        "errors": 0,
        "unpriced": 1,
        "input_tokens": 19,
        "output_tokens": 9,
        "cost_nanousd": 6300,
        "cost_usd": "0.0000063",
        "per_1000_calls_nanousd": 6_300_000,
        "per_1000_calls_usd": "0.0063",
    }
    assert found["rows"] == [{"feature": "support", **figures}]
    assert found["total"] == figures


def test_jsonl_and_csv_have_the_same_rows(cli: Any, filled: str) -> None:
    """Every format has the same rows; the total is for people."""
    expected = json.loads(cli("cost", "--format", "json").stdout)["rows"]
    lines = cli("cost", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == expected
    found = list(csv.DictReader(io.StringIO(cli("cost", "--format", "csv").stdout)))
    assert [row["feature"] for row in found] == ["support", "extract"]
    assert [row["per_1000_calls_usd"] for row in found] == ["0.0063", ""]


@pytest.mark.parametrize("by", ["", ",", "status, status"])
def test_dimensions_are_read_kindly(cli: Any, filled: str, by: str) -> None:
    """None gives one row; one named twice is taken once."""
    found = json.loads(cli("cost", "--by", by, "--format", "json").stdout)
    assert found["by"] == (["status"] if "status" in by else [])
    assert sum(row["calls"] for row in found["rows"]) == 3
    assert cli("cost", "--by", by).exit_code == 0


@pytest.mark.parametrize("by", ["feature", ""])
def test_empty_window_is_no_error(cli: Any, filled: str, by: str) -> None:
    """No calls cost nothing known, not zero dollars."""
    result = cli("cost", "--by", by, "--until", "2020-01-01", "--since", "2019-01-01")
    assert result.exit_code == 0
    total = result.stdout.splitlines()[-1].split()
    assert total[-7:] == ["0", "0", "0", "—", "—", "—", "—"]
    assert (
        result.stderr == "from 2019-01-01 00:00:00 to 2020-01-01 00:00:00 UTC, the end excluded\n"
    )


def test_narrow_table_keeps_the_money(
    cli: Any, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 40 columns labels and cost remain."""
    monkeypatch.setenv("COLUMNS", "40")
    lines = cli("cost", "--by", "feature").stdout.splitlines()
    assert lines[0].split() == ["FEATURE", "CALLS", "COST"]
    assert lines[1].split() == ["support", "2", "$0.0000063"]
