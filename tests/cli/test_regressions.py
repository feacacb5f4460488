"""
`modeltrail regressions`.
"""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from histories import START_US, call, keep
from recording import request, response

import modeltrail
from modeltrail.record import CallRecord
from modeltrail.storage import Store

MINUTE_US = 60_000_000


def answers(feature: str, model: str, first: int, json: int, prose: int) -> Iterator[CallRecord]:
    """Give calls, one a minute, that answer in JSON and then in prose."""
    for number in range(json + prose):
        yield call(
            START_US + (first + number) * MINUTE_US,
            feature=feature,
            response_model=model,
            output_format="json" if number < json else "prose",
        )


@pytest.fixture
def changed(url: str) -> str:
    """Make a trail in which another model serves one of two features from minute 1,000 on."""
    store = Store.open(url)
    keep(store, answers("extract", "m-2026-05", 0, 980, 20))
    keep(store, answers("extract", "m-2026-06", 1000, 930, 70))
    keep(store, answers("support", "m-2026-05", 0, 1960, 40))
    store.close()
    return url


def test_json_that_became_prose_is_found_by_itself(cli: Any, changed: str) -> None:
    """The change of the model is found, and what it did; the other feature has none."""
    result = cli("regressions", "--since", "2026-06-01")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[1].split() == [
        "2026-06-01", "16:40", "extract", "json", "98.0%", "93.0%", "-5.0pt",
        "[-6.9,", "-3.2]", "1,000/1,000", "m-2026-05", "→", "m-2026-06",
    ]  # fmt: skip
    assert lines[2].split()[2:7] == ["extract", "prose", "2.0%", "7.0%", "+5.0pt"]
    assert len(lines) == 3
    assert result.stderr == "compared: 2 figures at 1 changes\n"


def test_any_moment_can_be_asked_about(cli: Any, changed: str) -> None:
    """With --at every feature is compared, whether or not its model changed."""
    at = ("regressions", "--at", "2026-06-01T16:40")
    found = json.loads(cli(*at, "--format", "json").stdout)
    assert found["schema"] == "modeltrail.regressions/1"
    assert {row["feature"] for row in found["rows"]} == {"extract", "support"}
    extract = next(row for row in found["rows"] if row["feature"] == "extract")
    assert (extract["figure"], extract["before"], extract["after"]) == ("json", 0.98, 0.93)
    assert (extract["calls_before"], extract["calls_after"]) == (1000, 1000)
    lines = cli(*at, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == found["rows"]
    rows = list(csv.DictReader(io.StringIO(cli(*at, "--format", "csv").stdout)))
    assert [row["change"] for row in rows] == [str(row["change"]) for row in found["rows"]]
    # An hour around it: 60 calls on a side.
    few = cli(*at, "--window", "1h")
    assert few.exit_code == 3
    assert "extract at 2026-06-01 16:40:00 UTC: 60 calls before and 60 after" in few.stderr


def test_what_is_too_small_is_nothing(cli: Any, changed: str) -> None:
    """Six points are more than there was: 0."""
    assert cli("regressions", "--since", "2026-06-01", "--at-least", "6").exit_code == 0


def test_no_change_is_no_finding(cli: Any, changed: str) -> None:
    """Where no other model began to serve, 0 and a hint."""
    result = cli("regressions", "--since", "2026-06-05")
    assert result.exit_code == 0
    assert "to compare before and after a moment use --at" in result.stderr


def test_metadata_alone_tells(cli: Any, url: str) -> None:
    """What returned JSON last week returns prose: found although no text was ever kept."""
    times = iter(START_US + n * MINUTE_US for n in range(240))
    with modeltrail.open(url, capture="metadata") as trail:
        trail.recorder._clock_us = lambda: next(times)
        for number in range(240):
            started = trail.recorder.start(request(str(number), tags={"feature": "extract"}))
            text = '{"legs": 8}' if number < 120 else "It has eight legs."
            started.stop(response(text=text))
        assert trail.flush(20)
    result = cli("regressions", "--at", "2026-06-01T02:00")
    assert result.exit_code == 1
    shown = {line.split()[3]: line.split()[4:6] for line in result.stdout.splitlines()[1:]}
    assert shown["json"] == ["100.0%", "0.0%"]
    assert shown["output_chars"] == ["11.0", "18.0"]


def test_wrong_words_are_usage(typed: Any, changed: str) -> None:
    """A dimension, a moment or a length that is none ends with 2."""
    for words in (["--by", "colour"], ["--at", "then"], ["--window", "2026-06-01"]):
        assert typed("regressions", *words).returncode == 2
