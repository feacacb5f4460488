"""
`modeltrail calls list` and `show`.
"""

import csv
import io
import json
from typing import Any

import pytest

from modeltrail.record import CallRecord


def rows(result: Any) -> list[dict[str, Any]]:
    """Return the rows of a JSON document."""
    assert result.exit_code == 0
    return list(json.loads(result.stdout)["rows"])


def test_table_shows_the_newest_first(cli: Any, filled: str) -> None:
    """A line per call, with times in UTC, models, tokens, cost and how it ended."""
    result = cli("calls", "list")
    lines = [line.split() for line in result.stdout.splitlines()]
    short = lines[1][2]
    assert lines[1] == [
        *("2026-09-21", "14:15:20", short, "extract", "B", "gpt-4o-mini"),
        *("—/—", "—", "—", lines[1][9], "error", "RateLimitError", "429"),
    ]
    assert lines[2][3:] == ["support", "—", "house-model", "5/2", "—", "—", "1.200s", "ok"]
    assert lines[3] == [
        *("2026-09-21", "14:13:20", lines[3][2], "support", "—"),
        *("gpt-4o-mini", "→", "gpt-4o-mini-2024-07-18", "14/7", "$0.0000063"),
        *("0.050s", "0.310s", "ok"),
    ]
    assert (len(lines), result.stderr) == (4, "")


def test_json_has_every_column(cli: Any, filled: str) -> None:
    """A row is the record by its column names, with its place and its exact cost."""
    result = cli("calls", "list", "--format", "json")
    envelope = json.loads(result.stdout)
    assert list(envelope) == ["schema", "generated_at", "rows"]
    assert envelope["schema"] == "modeltrail.calls/1"
    assert envelope["generated_at"].endswith("Z")
    newest, _, oldest = envelope["rows"]
    assert set(oldest) == {"seq", *CallRecord.__struct_fields__, "cost_usd"}
    assert (oldest["seq"], oldest["cost_nanousd"], oldest["cost_usd"]) == (1, 6300, "0.0000063")
    assert (newest["cost_nanousd"], newest["cost_usd"], newest["error_code"]) == (None, None, "429")


def test_jsonl_has_the_same_rows(cli: Any, filled: str) -> None:
    """One row per line."""
    lines = cli("calls", "list", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows(cli("calls", "list", "--format", "json"))


def test_csv_has_the_same_rows(cli: Any, filled: str) -> None:
    """A heading, then rows; unknown is empty."""
    result = cli("calls", "list", "--format", "csv")
    found = list(csv.DictReader(io.StringIO(result.stdout)))
    assert list(found[0]) == ["seq", *CallRecord.__struct_fields__, "cost_usd"]
    assert (found[2]["cost_usd"], found[2]["streaming"]) == ("0.0000063", "false")
    assert (found[1]["cost_usd"], found[1]["feature"], found[1]["variant"]) == ("", "support", "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-n", "2"], ["run-3", "run-2"]),
        (["-n", "0"], ["run-3", "run-2", "run-1"]),
        (["--feature", "support"], ["run-2", "run-1"]),
        (["--experiment", "e"], ["run-3"]),
        (["--variant", "B"], ["run-3"]),
        (["--framework", "test"], ["run-3", "run-2", "run-1"]),
        (["--framework", "litellm"], []),
        (["--status", "error"], ["run-3"]),
        (["--trace", "t-1"], ["run-1"]),
        (["--user", "u-1"], ["run-1"]),
        (["--user", "u-2"], []),
        (["--since", "2026-09-21T14:14:20"], ["run-3", "run-2"]),
        (["--until", "2026-09-21T14:14:20Z"], ["run-1"]),
        (["--since", "2026-09-21T16:15:20+02:00"], ["run-3"]),
        (["--until", "1s"], ["run-3", "run-2", "run-1"]),
    ],
)
def test_filters(cli: Any, filled: str, words: list[str], expected: list[str]) -> None:
    """Each option restricts the calls."""
    found = rows(cli("calls", "list", *words, "--format", "json"))
    assert [row["run_id"] for row in found] == expected


def test_a_list_cut_short_says_so(cli: Any, filled: str) -> None:
    """What is not listed is mentioned, on stderr."""
    assert "-n 0 lists all" in cli("calls", "list", "-n", "3").stderr
    assert cli("calls", "list", "-n", "4").stderr == ""


def test_narrow_table_leaves_out_columns_and_says_which(
    cli: Any, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under 100 columns the less important ones go; no number is cut."""
    monkeypatch.setenv("COLUMNS", "80")
    result = cli("calls", "list")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "$0.0000063  0.310s  ok" in result.stdout
    assert "left out for want of width: VARIANT, ASKED → SERVED" in result.stderr


def test_table_of_no_calls_is_its_heading(cli: Any, filled: str) -> None:
    """Nothing found is no error."""
    result = cli("calls", "list", "--feature", "none")
    assert (result.exit_code, result.stdout.count("\n")) == (0, 1)


def test_user_is_looked_up_with_the_trails_key_only(
    cli: Any, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another key nobody would be found, so that it is refused."""
    monkeypatch.setenv("MODELTRAIL_KEY", "ab" * 32)
    result = cli("calls", "list", "--user", "u-1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "MODELTRAIL_KEY_FILE" in result.stderr


def test_user_without_a_key_makes_none(
    cli: Any, filled: str, own_home: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Reading makes no key."""
    monkeypatch.setenv("HOME", str(tmp_path))
    result = cli("calls", "list", "--user", "u-1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert not (tmp_path / ".config").exists()


def test_show_groups_what_is_known(cli: Any, filled: str) -> None:
    """A page has the groups of the record; what was not reported is named last."""
    id = rows(cli("calls", "list", "--trace", "t-1", "--format", "json"))[0]["id"]
    lines = cli("calls", "show", id).stdout.splitlines()
    groups = [line for line in lines if not line.startswith(" ")]
    assert groups == [
        *("identity", "model", "time", "usage", "cost", "outcome", "tags", "shape"),
        "policy and origin",
    ]
    assert f"  id                          {id}" in lines
    assert "  started_at_us               1790000000000000  2026-09-21 14:13:20.000000 UTC" in lines
    assert "  latency_us                  310000  0.310s" in lines
    assert "  cost_nanousd                6300  $0.0000063" in lines
    assert "  not reported: error_type, error_code" in lines


def test_show_accepts_the_short_id_of_the_list(cli: Any, filled: str) -> None:
    """What `list` prints can be pasted."""
    short = cli("calls", "list").stdout.splitlines()[1].split()[2]
    result = cli("calls", "show", short, "--format", "json")
    envelope = json.loads(result.stdout)
    assert envelope["schema"] == "modeltrail.call/1"
    assert envelope["call"]["id"].startswith(short)
    assert envelope["call"]["error_type"] == "RateLimitError"


@pytest.mark.parametrize(("id", "message"), [("ffff", "no call has"), ("0", "more than one")])
def test_show_of_an_unclear_id_is_1(cli: Any, filled: str, id: str, message: str) -> None:
    """An id that names no call, or several, is a finding."""
    result = cli("calls", "show", id)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
