"""
Prices of current models: the cases of an oracle that knows other sources than ours.
"""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from modeltrail.prices import Subject, price
from modeltrail.record import Usage

ORACLE = json.loads((Path(__file__).parent / "oracle" / "prices.json").read_text())
CASES = ORACLE["cases"]
DISAGREEING = [case for case in ORACLE["left_out"] if "cost_nanousd" in case]
TERM = re.compile(r"([\d,]+) x ([\d.]+)")


def name(case: dict[str, Any]) -> str:
    """
    Return what a case is about.
    """
    return f"{case['provider']}:{case['model']}@{case['at']}:{case['usage']['input_tokens']}"


def cost(case: dict[str, Any]) -> int | None:
    """
    Return what we say that a case costs.
    """
    at = datetime.fromisoformat(case["at"]).replace(tzinfo=UTC)
    at_us = int(at.timestamp()) * 1_000_000
    subject = Subject(case["provider"], case["model"], at_us, case.get("service_tier"))
    used = Usage(**case["usage"], source="provider")
    return price(used, subject, operation=case["operation"]).nanousd


@pytest.mark.parametrize("case", CASES, ids=name)
def test_cost_is_that_of_another_source(case: dict[str, Any]) -> None:
    """A computed cost is the oracle's, to the nano-dollar."""
    assert cost(case) == case["cost_nanousd"]


@pytest.mark.parametrize("case", CASES, ids=name)
def test_arithmetic_leads_to_the_cost(case: dict[str, Any]) -> None:
    """What a case shows is a sum over all of its tokens, and comes to what it says."""
    shown, result = case["arithmetic"].split(" / 1,000,000 = ")
    terms = [(int(count.replace(",", "")), price) for count, price in TERM.findall(shown)]
    assert shown == f"({' + '.join(f'{count:,} x {price}' for count, price in terms)})"
    usage = case["usage"]
    assert sum(count for count, _ in terms) == usage["input_tokens"] + usage.get("output_tokens", 0)
    dollars = sum(count * Decimal(price) for count, price in terms) / 10**6
    assert dollars == Decimal(result)
    assert round(dollars * 10**9) == case["cost_nanousd"]


def test_oracle_has_forty_models_of_eight_providers() -> None:
    """Each names a source, which is never where our prices come from."""
    current = [case for case in CASES if case["at"].startswith("2026-11-26")]
    assert len({(case["provider"], case["model"]) for case in current}) >= 40
    assert len({case["provider"] for case in current}) >= 8
    assert all("genai" not in case["source"] for case in CASES)
    assert all(case["source"].startswith(("LiteLLM ", "https://")) for case in CASES)


@pytest.mark.parametrize("case", DISAGREEING, ids=name)
def test_what_is_left_out_still_disagrees(case: dict[str, Any]) -> None:
    """Whatever agrees by now belongs to the cases."""
    assert cost(case) != case["cost_nanousd"]
