"""
How the comparison of the demo's two models reads: RouterArena's tokens, dollars and scores.
"""

from pathlib import Path
from typing import Any

import pytest
from drawn import parsed

from examples.demo.table import load
from examples.demo.world import ARMS, EXPERIMENT, MODELS, RATE_LIMITED_EVERY, USERS
from modeltrail.experiment.assign import assign
from modeltrail.experiment.declaration import Declaration, Guardrail
from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Store
from modeltrail.storage.rows import Batch, Row, call_row

SNAPSHOTS = Path(__file__).with_name("snapshots")
START_US = 1_790_000_000_000_000
MINUTE_US = 60_000_000
PLAN = Declaration(
    EXPERIMENT,
    ARMS,
    "user",
    control="control",
    primary="score",
    guardrails=(Guardrail("errors", 0.05),),
    plan_units=USERS,
)


def call(at_us: int, user: str, variant: str, feature: str, **columns: Any) -> Row:
    """Give a call of the experiment."""
    given = {
        "id": uuid7(at_us),
        "framework": "demo",
        "framework_version": "1",
        "operation": "chat",
        "started_at_us": at_us,
        "latency_us": 400_000,
        "feature": feature,
        "experiment": EXPERIMENT,
        "variant": variant,
        "unit_type": "user",
        "unit_ref": user,
    }
    return call_row(CallRecord(**given | columns))


@pytest.fixture
def answered(url: str) -> None:
    """Let the demo's users ask its questions; latency is made up: 8 ms for a token."""
    calls: list[Row] = []
    scores: list[Row] = []
    table = load()
    for place, question in enumerate(table.questions):
        at_us = START_US + place * MINUTE_US
        user = f"user-{place % USERS:03d}"
        variant = assign(EXPERIMENT, user, ARMS).variant
        assert variant is not None
        answer = table.answers[question.id, MODELS[variant]]
        who = (user, variant, question.feature)
        if place % RATE_LIMITED_EVERY == 0:
            calls.append(call(at_us, *who, status="error", error_code="429"))
        known = {
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
            "cost_nanousd": int(answer.cost_usd * 10**9),
            "latency_us": 300_000 + 8_000 * answer.output_tokens,
        }
        calls.append(call(at_us + 1, *who, status="ok", **known))
        micros = round(answer.score * 1_000_000)
        scores.append((uuid7(at_us), at_us + 1, "score", micros, None, None, None, user))
    store = Store.open(url)
    declared = (PLAN.id, START_US - 1, "experiment", PLAN.detail)
    assert store.append(Batch(call=calls, outcome=scores, event=[declared])) == []
    store.close()


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("80", ()),
        ("140", ()),
        ("140-by-feature", ("--metric", "cost", "--metric", "score", "--by", "feature")),
        ("md", ("--format", "md")),
    ],
)
def test_comparison_reads_well(
    cli: Any, monkeypatch: pytest.MonkeyPatch, name: str, words: tuple[str, ...]
) -> None:
    """As it was looked at by people; no line is longer than the terminal, and twice the same."""
    width = name.partition("-")[0]
    if width.isdecimal():
        monkeypatch.setenv("COLUMNS", width)
    result = cli("compare", EXPERIMENT, *words)
    assert result.stdout == (SNAPSHOTS / f"compare-{name}.txt").read_text("utf-8")
    if width.isdecimal():
        assert max(map(len, result.stdout.splitlines())) <= int(width)
    assert cli("compare", EXPERIMENT, *words).stdout == result.stdout


@pytest.mark.usefixtures("answered")
def test_page_of_the_demo(cli: Any) -> None:
    """Its parts in their order, twice the same bytes; each figure's numbers stand in a table."""
    words = ("compare", EXPERIMENT, "--metric", "cost", "--by", "feature", "--format", "html")
    shown = cli(*words).stdout
    parts = [
        f"{each.tag} {''.join(each.itertext())}"
        for each in parsed(shown).iter()
        if each.tag in {"h1", "h2", "figcaption", "caption", "th"}
    ]
    assert "\n".join(parts) + "\n" == (SNAPSHOTS / "compare-html-parts.txt").read_text("utf-8")
    assert cli(*words).stdout == shown
