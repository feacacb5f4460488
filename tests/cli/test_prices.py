"""
`modeltrail prices`.
"""

import json
from typing import Any

import pytest
from recording import request, response

import modeltrail

MILLION = ["--input-tokens", "1000000", "--output-tokens", "100000"]


@pytest.mark.parametrize(
    ("day", "dollars"), [("2025-05-15", 14), ("2025-07-15", 2.8)], ids=["before", "after"]
)
def test_quote_is_of_the_calls_time(cli: Any, day: str, dollars: float) -> None:
    """OpenAI cut the price of o3 in June 2025, from 10 and 40 to 2 and 8 dollars a million."""
    words = ["--provider", "openai", "--model", "o3", "--at", day, *MILLION]
    result = cli("prices", "quote", *words, "--format", "json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["schema"]) == (0, "modeltrail.price-quote/1")
    assert found["cost_nanousd"] == dollars * 10**9
    assert float(found["cost_usd"]) == dollars
    assert (found["provider"], found["model"]) == ("openai", "o3")
    assert (found["cost_source"], "openai/o3" in found["price_id"]) == ("genai-prices", True)


def test_quote_counts_cached_tokens_once(cli: Any) -> None:
    """Cached tokens are part of the input: 100 at 1.25 and 900 at 2.50 dollars a million."""
    words = ["--model", "gpt-4o", "--at", "2026-06-01", "--input-tokens", "1000"]
    words += ["--cache-read-tokens", "100", "--output-tokens", "0"]
    result = cli("prices", "quote", *words)
    assert result.stdout.startswith("$0.002375 at 2026-06-01 00:00:00 UTC, by genai-prices:")


@pytest.mark.parametrize("format", ["table", "json"])
def test_unknown_price_is_told(cli: Any, format: str) -> None:
    """Nobody's model costs an unknown amount, not nothing, and the program says so."""
    words = ["--provider", "nobody", "--model", "house-model", *MILLION, "--format", format]
    result = cli("prices", "quote", *words)
    assert result.exit_code == 1
    assert result.stderr == "no price is known for house-model of nobody and these tokens\n"
    if format == "json":
        assert json.loads(result.stdout)["cost_nanousd"] is None
    else:
        assert result.stdout == ""


def test_models_without_a_price_are_listed(cli: Any, filled: str) -> None:
    """Of calls with tokens and no cost the model is named; a call that failed has none to price."""
    result = cli("prices", "missing", "--format", "json")
    (row,) = json.loads(result.stdout)["rows"]
    assert result.exit_code == 1
    assert (row["request_model"], row["calls"]) == ("house-model", 1)
    assert (row["input_tokens"], row["output_tokens"]) == (5, 2)
    table = cli("prices", "missing").stdout.splitlines()
    assert table[0].split()[:3] == ["PROVIDER", "ASKED", "FOR"]
    assert ["house-model" in line for line in table] == [False, True]


def test_model_with_a_price_at_another_tier_is_listed(cli: Any, url: str) -> None:
    """What one tier costs is no price of another; usage that is not whole lacks no price."""
    with modeltrail.open(url) as trail:
        for number, (tier, usage) in enumerate(
            [
                ("default", {"prompt_tokens": 5, "completion_tokens": 2}),
                ("no-such-tier", {"prompt_tokens": 7, "completion_tokens": 3}),
                ("no-such-tier", {"prompt_tokens": 7, "completion_tokens": 3}),
                # Of 5 tokens 9 from a cache, which cannot be.
                (
                    "default",
                    {"prompt_tokens": 5, "completion_tokens": 2, "prompt_cache_hit_tokens": 9},
                ),
            ]
        ):
            call = trail.recorder.start(request(f"run-{number}", provider="openai"))
            call.stop(response(service_tier=tier, usage=usage))
    result = cli("prices", "missing", "--format", "json")
    (row,) = json.loads(result.stdout)["rows"]
    assert result.exit_code == 1
    assert (row["request_model"], row["service_tier"]) == ("gpt-4o-mini", "no-such-tier")
    assert (row["calls"], row["input_tokens"], row["output_tokens"]) == (2, 14, 6)


def test_nothing_missing_is_well(cli: Any, filled: str) -> None:
    """A window without such calls ends with 0."""
    result = cli("prices", "missing", "--until", "2020-01-01", "--format", "jsonl")
    assert (result.exit_code, result.stdout) == (0, "")
