"""
The demo, run as a newcomer runs it, against the provider's own log and RouterArena's table.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from examples.demo.table import load

ROOT = Path(__file__).parents[2]
URL = "sqlite:///demo-trail/calls.db"

pytestmark = pytest.mark.timeout(400)


class Ran(NamedTuple):
    """
    What the demo left.
    """

    folder: Path
    output: str
    requests: list[dict[str, Any]]
    calls: list[dict[str, Any]]


def program(folder: Path, *words: str) -> str:
    """
    Run the program in a folder and return what it printed.
    """
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    ran = subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environ,
        check=False,
    )
    assert ran.returncode in (0, 3), ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """
    Run the demo once, in an empty folder with an empty home.
    """
    folder = tmp_path_factory.mktemp("demo")
    output = program(folder, "examples.demo")
    log = (folder / "demo-trail" / "provider_requests.jsonl").read_text("utf-8")
    listed = program(
        folder, "modeltrail", "--db", URL, "calls", "list", "-n", "0", "--format", "json"
    )
    requests = [json.loads(line) for line in log.splitlines()]
    return Ran(folder, output, requests, json.loads(listed)["rows"])


def test_one_record_per_request_the_provider_saw(ran: Ran) -> None:
    """By question, model and outcome the trail has what the provider saw, no more, no less."""
    served = Counter(
        (line["question"], line["model"], None if line["status"] == 200 else str(line["status"]))
        for line in ran.requests
    )
    recorded = Counter(
        (f"Question {json.loads(row['tags'])['question']}", row["request_model"], row["error_code"])
        for row in ran.calls
    )
    assert recorded == served
    assert len(ran.requests) > 809


def test_every_question_has_the_tables_tokens_and_dollars(ran: Ran) -> None:
    """Tokens and cost of each answered call equal RouterArena's own figures, to the nano-dollar."""
    answers = load().answers
    answered = [row for row in ran.calls if row["status"] == "ok"]
    assert len({json.loads(row["tags"])["question"] for row in answered}) == 809
    for row in answered:
        expected = answers[json.loads(row["tags"])["question"], row["request_model"]]
        found = (row["input_tokens"], row["output_tokens"], Decimal(row["cost_usd"]))
        dollars = expected.cost_usd.quantize(Decimal("1e-9"))
        assert found == (expected.input_tokens, expected.output_tokens, dollars)


def test_all_frameworks_streams_and_errors_are_there(ran: Ran) -> None:
    """Each application recorded whole and streamed answers and the scripted errors."""
    frameworks = ("langchain", "llama_index", "litellm")
    seen = Counter((row["framework"], row["streaming"], row["status"]) for row in ran.calls)
    for framework in frameworks:
        assert seen[framework, False, "ok"] > 100
        assert seen[framework, True, "ok"] > 100
    assert {(row["framework"], row["error_code"]) for row in ran.calls if row["error_code"]} == {
        (framework, code) for framework in frameworks for code in ("429", "500")
    }
    assert {row["status"] for row in ran.calls} == {"ok", "error"}


def test_users_keep_their_variant(ran: Ran) -> None:
    """No user is in two variants, and the variant decides the model."""
    variants: dict[str, set[str]] = {}
    for row in ran.calls:
        variants.setdefault(row["unit_ref"], set()).add(row["variant"])
    assert len(variants) == 240
    assert all(len(each) == 1 for each in variants.values())
    assert {(row["variant"], row["request_model"]) for row in ran.calls} == {
        ("control", "claude-3-haiku-20240307"),
        ("treatment", "gemini-2.0-flash-001"),
    }


def test_output_tells_the_story(ran: Ran) -> None:
    """The demo shows calls, costs, the comparison, both reports on routing and what to try next."""
    story = ("llama_index", "knowledge", "treatment", "score")
    for word in (*story, "Worth their price", "always treatment", "Try next"):
        assert word in ran.output
    assert f"{len(ran.requests)} requests" in ran.output
    assert f"{len(ran.calls)} records" in ran.output


def test_second_run_starts_anew(ran: Ran) -> None:
    """Running the demo again leaves the same calls, not twice as many."""
    output = program(ran.folder, "examples.demo")
    assert f"{len(ran.requests)} requests" in output
    assert f"{len(ran.calls)} records" in output
