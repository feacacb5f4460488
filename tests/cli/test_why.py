"""
`modeltrail cost why`.
"""

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from recording import request, response

import modeltrail
from modeltrail.integration import Response

MAY, JULY = (datetime(2025, month, 15, tzinfo=UTC) for month in (5, 7))
WINDOWS = ("--before", "2025-05-01..2025-06-01", "--after", "2025-07-01..2025-08-01")
USAGE = {"prompt_tokens": 1_000, "completion_tokens": 100}


@pytest.fixture
def summer(url: str) -> str:
    """
    Make a trail of the summer in which OpenAI cut the price of o3, to a fifth on 2025-06-10.

    4 calls in May, 8 in July and one of a model without a price.
    """
    with modeltrail.open(url) as trail:
        for day, calls in ((MAY, 4), (JULY, 8)):
            trail.recorder._clock_us = lambda day=day: int(day.timestamp()) * 1_000_000
            for number in range(calls):
                tags = {"feature": "big" if number else "small"}
                call = request(f"{day}-{number}", request_model="o3", tags=tags)
                trail.recorder.start(call).stop(response(response_model="o3", usage=USAGE))
        unknown = request("unknown", request_model="house-model")
        trail.recorder.start(unknown).stop(Response(usage=USAGE))
    return url


def found(cli: Any, *words: str) -> dict[str, Any]:
    """Return a JSON answer."""
    result = cli("cost", "why", *words, "--format", "json")
    assert result.exit_code == 0
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_change_is_divided_exactly(cli: Any, summer: str) -> None:
    """A call went from $0.014 to $0.0028: both effects, each averaged over the other's sides."""
    answer = found(cli, *WINDOWS)
    assert answer["schema"] == "modeltrail.cost-change/1"
    assert (answer["before"]["calls"], answer["before"]["cost_nanousd"]) == (4, 4 * 14_000_000)
    assert (answer["after"]["calls"], answer["after"]["cost_nanousd"]) == (8, 8 * 2_800_000)
    assert answer["change_nanousd"] == -33_600_000
    parts = {name: part["nanousd"] for name, part in answer["parts"].items()}
    volume, price = 4 * (14_000_000 + 2_800_000) // 2, -11_200_000 * (4 + 8) // 2
    assert parts == {"volume": volume, "mix": 0, "tokens": 0, "cache": 0, "price": price}
    assert answer["parts"]["price"]["usd"] == "-0.0672"
    (row,) = answer["rows"]
    assert (row["provider"], row["model"], row["price_nanousd"]) == (None, "o3", price)


def test_table_says_what_and_where(cli: Any, summer: str) -> None:
    """Factors, then the rows that changed most, and on stderr what the figures lack."""
    result = cli("cost", "why", *WINDOWS, "--by", "feature", "-n", "1")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0][-3:] == ["4", "calls", "$0.056"]
    assert lines[1][-3:] == ["8", "calls", "$0.0224"]
    factors = {line[0]: line[1] for line in lines[4:9]}
    assert factors == {
        "volume": "+$0.0336",
        "mix": "$0.00",
        "tokens": "$0.00",
        "cache": "$0.00",
        "price": "-$0.0672",
    }
    assert lines[9] == ["change", "-$0.0336"]
    assert lines[11][:3] == ["PROVIDER", "MODEL", "FEATURE"]
    assert lines[12][1:6] == ["o3", "big", "$0.042", "$0.0196", "-$0.0224"]
    assert lines[13][:4] == ["TOTAL", "$0.056", "$0.0224", "-$0.0336"]
    more, left_out = result.stderr.splitlines()
    assert more == "the 1 of 2 rows that have changed most"
    assert left_out.startswith("after: 1 calls whose cost or tokens are not known")


def test_programs_get_the_rows(cli: Any, summer: str) -> None:
    """Every format has the same rows, and they add up."""
    words = ("--by", "feature", *WINDOWS)
    answer = found(cli, *words)
    assert answer["by"] == ["provider", "model", "feature"]
    lines = cli("cost", "why", *words, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == answer["rows"]
    text = cli("cost", "why", *words, "--format", "csv").stdout
    read = list(csv.DictReader(io.StringIO(text)))
    assert sum(int(row["change_nanousd"]) for row in read) == answer["change_nanousd"]


def test_first_calls_are_volume(cli: Any, summer: str) -> None:
    """Without any call before, all is volume."""
    words = ("--before", "2025-04-01..2025-05-01", "--after", "2025-05-01..2025-06-01")
    parts = found(cli, *words)["parts"]
    assert parts.pop("volume")["nanousd"] == 4 * 14_000_000
    assert all(part["nanousd"] == 0 for part in parts.values())


def test_nothing_has_no_reasons(cli: Any, summer: str) -> None:
    """Without a call in either window there is nothing to tell."""
    words = ("--before", "2024-01-01..2024-02-01", "--after", "2024-02-01..2024-03-01")
    result = cli("cost", "why", *words)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "cannot tell why: there are no calls in either window\n"


def test_window_whose_cost_is_unknown_cannot_be_compared(cli: Any, url: str) -> None:
    """Calls that are all unpriced are no calls that cost nothing."""
    with modeltrail.open(url) as trail:
        trail.recorder._clock_us = lambda: int(JULY.timestamp()) * 1_000_000
        call = request("one", request_model="house-model")
        trail.recorder.start(call).stop(Response(usage=USAGE))
    result = cli("cost", "why", *WINDOWS)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "no call of the second window, of 1, has known cost and tokens" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("why", *WINDOWS, "--by", "nothing"), "choose from feature"),
        (("why", *WINDOWS[:3], "7d"), "no window"),
        (("why", "--before", "7d..14d", "--after", "7d.."), "ends before it begins"),
        (("--by", "model", "why", *WINDOWS), "say --by behind why"),
    ],
)
def test_usage(cli: Any, summer: str, words: tuple[str, ...], message: str) -> None:
    """What was typed wrongly is told, and no option is passed over in silence."""
    result = cli("cost", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
