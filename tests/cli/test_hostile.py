"""
What whoever calls a model writes into a tag does nothing to whoever reads it.
"""

import csv
import io
import json
import re
from typing import Any

import pytest
from recording import make_call, request, response

import modeltrail

HOSTILE = (
    "\x1b]0;owned\x07",
    "\x1b[31mred\x1b[0m",
    "\x9b31mred",
    "\u202egnp.exe",
    "\u2066isolated\u2069",
    "\u200eleft\u200f",
    "a\nfalse line",
    "a\r\tb",
    "\x00nul",
    "\x7fdel",
    "\u2028line",
    "[bold]loud[/bold]",
    "[link=https://example.org]here[/link]",
    ":smile:",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    'quote " and , comma',
)
# A newline ends a line of output; everything else of this kind is an attack.
CONTROL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


@pytest.fixture
def hostile(url: str) -> str:
    """Make a trail with a hostile text in every place that takes one."""
    with modeltrail.open(url) as trail:
        for number, text in enumerate(HOSTILE):
            tags = {"feature": text, "variant": text, "experiment": "exp", "unit": str(number)}
            call = trail.recorder.start(
                request(str(number), request_model=text, tags={**tags, "free": text})
            )
            if number % 2:
                call.fail(type(text.replace("\0", ""), (Exception,), {})(), code=text)
            else:
                call.stop(response(response_model=f"{text}2"))
        trail.outcome(HOSTILE[0], 1.0, unit="0")
    return url


def stored(text: str) -> str:
    """Return a text as the trail has it: no column takes NUL."""
    return text.replace("\0", "\ufffd")


COMMANDS = [
    ["calls", "list"],
    ["cost", "--by", "feature,variant,request_model,error_type"],
]


@pytest.mark.parametrize("format", ["table", "json", "jsonl", "csv"])
@pytest.mark.parametrize("words", COMMANDS)
def test_no_control_character_in_any_list(
    cli: Any, hostile: str, words: list[str], format: str
) -> None:
    """Nothing of the corpus reaches a terminal as it is, in no format."""
    result = cli(*words, "--format", format)
    assert result.exit_code == 0
    assert CONTROL.findall(result.stdout + result.stderr) == []


@pytest.mark.parametrize("width", ["60", "100", "200"])
def test_table_has_a_line_per_call_and_shows_markup(
    cli: Any, hostile: str, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    """A newline makes no line of its own, markup is shown and not obeyed."""
    monkeypatch.setenv("COLUMNS", width)
    result = cli("calls", "list")
    assert result.stdout.count("\n") == len(HOSTILE) + 1
    if width == "200":
        assert "[bold]loud[/bold]" in result.stdout
        assert "[link=https://e" in result.stdout
        assert ":smile:" in result.stdout
        assert r"\u{1b}]0;owned\u{7}" in result.stdout
        assert r"\u{202e}gnp.exe" in result.stdout


def test_json_is_exact(cli: Any, hostile: str) -> None:
    """Programs get the true text, by both JSON formats."""
    rows = json.loads(cli("calls", "list", "--format", "json").stdout)["rows"]
    lines = cli("calls", "list", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows
    found = {int(row["run_id"]): row["feature"] for row in rows}
    assert found == {number: stored(text) for number, text in enumerate(HOSTILE)}


def test_csv_holds_no_formula(cli: Any, hostile: str) -> None:
    """Every cell that a spreadsheet would compute is marked; its row is whole."""
    reader = csv.DictReader(io.StringIO(cli("calls", "list", "--format", "csv").stdout))
    found = {int(row["run_id"]): row["feature"] for row in reader}
    assert len(found) == len(HOSTILE)
    for number, text in enumerate(HOSTILE):
        assert found[number].startswith("'") == text.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert found[HOSTILE.index("=1+1")] == "'=1+1"
    assert found[HOSTILE.index('quote " and , comma')] == 'quote " and , comma'


def test_page_of_a_call(cli: Any, hostile: str) -> None:
    """A call's page is as clean as the list."""
    rows = json.loads(cli("calls", "list", "--format", "json").stdout)["rows"]
    for row in rows[:: len(rows) // 4]:
        for format in ("table", "json"):
            result = cli("calls", "show", row["id"], "--format", format)
            assert result.exit_code == 0
            assert CONTROL.findall(result.stdout) == []


def test_comparison_and_messages(cli: Any, hostile: str) -> None:
    """Names of variants, outcomes and experiments are cleaned, in errors too."""
    unnamed = cli("compare", "exp")
    assert unnamed.exit_code == 2
    assert CONTROL.findall(unnamed.stderr) == []
    assert unnamed.stderr.count("\n") == 1
    for format in ("table", "json"):
        result = cli("compare", "exp", "--control", HOSTILE[0], "--format", format)
        assert result.exit_code in {1, 3}
        assert CONTROL.findall(result.stdout) == []
    echoed = cli("compare", "\x1b[31m")
    assert (echoed.exit_code, CONTROL.findall(echoed.stderr)) == (1, [])


def test_line_of_tail(cli: Any, hostile: str, url: str) -> None:
    """What is followed is cleaned, cut or not."""
    from modeltrail.render.call import line

    with modeltrail.open(url) as trail:
        make_call(trail.recorder, "last")
        assert trail.flush(10)
        lines = [line(each.record) for each in trail.store.calls(limit=None)]
    assert len(lines) == len(HOSTILE) + 1
    assert CONTROL.findall("".join(lines)) == []
    assert "\n" not in "".join(lines)
