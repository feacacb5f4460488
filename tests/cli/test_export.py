"""
`modeltrail export focus`.
"""

import csv
import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import bills
import pytest
from bills import BIG, MINI

from modeltrail.interop.focus import COLUMNS

USED = bills.history((MINI, BIG), hours=30, calls=4)


def read(text: str) -> list[dict[str, str]]:
    """Read CSV."""
    return list(csv.DictReader(io.StringIO(text)))


def test_sum_is_that_of_the_calls(cli: Any, url: str) -> None:
    """Tokens and dollars, exactly; list prices are those that were written down by hand."""
    bills.record_all(url, USED)
    result = cli("export", "focus")
    rows = read(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert tuple(rows[0]) == COLUMNS
    dollars = Decimal(sum(each.nanousd for each in USED)).scaleb(-9)
    for column in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
        assert sum(Decimal(row[column]) for row in rows) == dollars
    tokens = sum(each.input + each.output for each in USED)
    assert sum(Decimal(row["ConsumedQuantity"]) for row in rows) == tokens
    # Two days, two models, three kinds of token.
    assert len(rows) == 2 * 2 * 3


def test_period_tags_and_window(cli: Any, url: str) -> None:
    """By hour, with other tags, from a moment on."""
    tagged = [
        replace(each, columns={"feature": "a" if number % 2 else None, "variant": "B"})
        for number, each in enumerate(USED)
    ]
    bills.record_all(url, tagged)
    words = ("--period", "hour", "--by", "feature,variant", "--since", "2026-09-22T05:00")
    rows = read(cli("export", "focus", *words, "--account", "acct-7").stdout)
    assert {row["ChargePeriodStart"] for row in rows} == {"2026-09-22T05:00:00Z"}
    assert {row["BillingAccountId"] for row in rows} == {"acct-7"}
    tags = [json.loads(row["Tags"]) for row in rows]
    assert {"variant": "B"} in tags and {"feature": "a", "variant": "B"} in tags


def test_what_is_left_out_is_told(cli: Any, url: str) -> None:
    """Calls without a cost, and charges without a unit price, are counted on stderr."""
    unpriced = replace(USED[0], columns={"cost_nanousd": None, "cost_source": "none"})
    house = {"response_model": "house-model", "cost_source": "custom"}
    bills.record_all(
        url, [USED[0], unpriced, bills.without_usage(USED[0]), replace(USED[0], columns=house)]
    )
    result = cli("export", "focus")
    left_out, without = result.stderr.splitlines()
    assert left_out == "left out: 2 calls without a known cost, 1 of them with tokens"
    assert without.startswith("1 of ")
    assert without.endswith(" charges have no list price for each token")


def test_hits_of_a_cache_are_no_charges(cli: Any, url: str) -> None:
    """What was served for nothing consumed nothing."""
    hit = {"cost_nanousd": 0, "cost_source": "cache", "cache_hit": True}
    bills.record_all(url, [USED[0], replace(USED[0], columns=hit)])
    rows = read(cli("export", "focus").stdout)
    used = USED[0].input + USED[0].output
    assert sum(Decimal(row["ConsumedQuantity"]) for row in rows) == used


def test_file_is_what_stdout_is(cli: Any, url: str, tmp_path: Path) -> None:
    """--output writes the same; a file that cannot be written is an error of usage."""
    bills.record_all(url, USED)
    expected = cli("export", "focus").stdout
    path = tmp_path / "focus.csv"
    result = cli("export", "focus", "--output", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert path.read_bytes().decode() == expected
    result = cli("export", "focus", "--output", str(tmp_path / "no" / "focus.csv"))
    assert (result.exit_code, "cannot be written" in result.stderr) == (2, True)


def test_no_formula_comes_through(cli: Any, url: str) -> None:
    """A model that is called like a formula is text in a spreadsheet."""
    evil = {"response_model": "=cmd|' /C calc'!A0", "cost_source": "custom", "cost_nanousd": -5}
    bills.record_all(url, [replace(USED[0], columns=evil)])
    (row,) = read(cli("export", "focus").stdout)
    assert row["ResourceId"].startswith("'=")
    assert row["BilledCost"] == "-0.000000005"


@pytest.mark.parametrize(
    ("words", "message"),
    [(("--by", "nothing"), "calls cannot be grouped by 'nothing'"), (("--since", "?"), "no time")],
)
def test_errors_say_what_to_do(cli: Any, url: str, words: tuple[str, ...], message: str) -> None:
    """What cannot be used ends with 2."""
    bills.record_all(url, USED[:1])
    result = cli("export", "focus", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_empty_trail_has_only_a_heading(cli: Any, url: str) -> None:
    """No calls, no charges."""
    bills.record_all(url, [])
    assert cli("export", "focus").stdout.strip() == ",".join(COLUMNS)
