"""
`modeltrail route curve`, and routes as pages, on published answers.
"""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from drawn import across, figures, lines, of_kind, parsed, place, points, texts, upwards

from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Store
from modeltrail.storage.rows import OUTCOME_COLUMNS, Batch, call_row, row_from

DATA = Path(__file__).parents[1] / "experiment"
START_US = 1_780_272_000_000_000
ASKED = ("route", "curve", "--quality", "outcome:good", "--pair-by", "tag.question")

Keep = Callable[..., list[CallRecord]]


@pytest.fixture
def keep(url: str) -> Keep:
    """Store calls to questions, each with how good it was and a tag `score`."""

    def put(
        rows: list[tuple[str, str, float, Any]], **outcomes: dict[str, float]
    ) -> list[CallRecord]:
        calls = [
            CallRecord(
                id=uuid7(START_US + n),
                framework="test",
                framework_version="1",
                operation="chat",
                started_at_us=START_US + n,
                status="ok",
                request_model=model,
                trace_id=question,
                tags=json.dumps(
                    {"question": question} | ({} if score is None else {"score": str(score)})
                ),
            )
            for n, (question, model, _, score) in enumerate(rows)
        ]
        told = [
            {"id": uuid7(1), "at_us": 1, "name": "good", "value_micros": round(good * 1e6)}
            | {"call_id": call.id}
            for call, (_, _, good, _) in zip(calls, rows, strict=True)
        ]
        told += [
            {"id": uuid7(2), "at_us": 2, "name": name, "value_micros": round(value * 1e6)}
            | {"trace_id": question}
            for name, values in outcomes.items()
            for question, value in values.items()
        ]
        store = Store.open(url)
        batch = Batch(
            call=list(map(call_row, calls)),
            outcome=[row_from(each, OUTCOME_COLUMNS) for each in told],
        )
        assert store.append(batch) == []
        store.close()
        return calls

    return put


def published() -> list[dict[str, str]]:
    """Return the answers of GPT-4 and Mixtral to GSM8K's questions."""
    with gzip.open(DATA / "routellm.csv.gz", "rt", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["benchmark"] == "gsm8k"]


@pytest.fixture
def gsm8k(keep: Keep) -> None:
    """Store them, with the length of the prompt as their score."""
    keep(
        [
            (f"q{n}", model, float(row[model]), row["prompt_chars"])
            for n, row in enumerate(published())
            for model in ("gpt_4", "mixtral")
        ]
    )


@pytest.mark.usefixtures("gsm8k")
def test_router_by_length(cli: Any) -> None:
    """RouteLLM's figures: 85.769 and 63.734 % of 1,307, the best 92.961 at 29.23; APGR .5982."""
    result = cli(*ASKED, "--score", "tag.score", "--format", "json")
    shown = json.loads(result.stdout)
    assert (result.exit_code, shown["schema"]) == (0, "modeltrail.route-curve/1")
    assert (shown["strong"], shown["weak"], shown["questions"]) == ("gpt_4", "mixtral", 1_307)
    assert shown["strong_quality"] == pytest.approx(0.85769, abs=5e-6)
    assert shown["weak_quality"] == pytest.approx(0.63734, abs=5e-6)
    assert shown["optimal_quality"] == pytest.approx(0.92961, abs=5e-6)
    assert shown["optimal_share"] == pytest.approx(0.2923, abs=5e-5)
    # What is published has ten bins, and breaks ties by a hash.
    assert shown["apgr"] == pytest.approx(0.5982, abs=2e-3)
    assert shown["apgr_lower"] > 0.5
    assert [row["recovered"] for row in shown["rows"]] == [0.2, 0.5, 0.8]
    assert all(row["strong_share"] < row["recovered"] for row in shown["rows"])
    assert (shown["refused"], "by" in shown) == (None, False)


@pytest.mark.usefixtures("gsm8k")
def test_as_it_is_read(cli: Any) -> None:
    """The sentence, CPT beside that of lots, both models and the best; the same as Markdown."""
    text = cli(*ASKED, "--score", "tag.score").stdout
    lines_of = text.splitlines()
    assert lines_of[0] == "tag.score tells better than lots which calls need gpt_4."
    assert lines_of[2].split("  ")[0] == "GAP RECOVERED"
    assert [line.split()[0] for line in lines_of[3:6]] == ["20%", "50%", "80%"]
    assert "always mixtral                 0.0%   0.6373" in lines_of
    assert any(line.startswith("APGR, the mean share of the gap") for line in lines_of)
    told = cli(*ASKED, "--score", "tag.score", "--format", "md").stdout
    assert told.startswith("## Does tag.score tell which calls need the stronger model?\n\n")
    assert "| always mixtral | 0.0% | 0.6373 |" in told


@pytest.mark.parametrize("columns", [80, 140])
def test_long_names_leave_room_for_the_figures(
    cli: Any, keep: Keep, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Names are cut, figures are not; a heading has no long name."""
    weak, strong = "mistralai/Mixtral-8x7B-Instruct-v0.1", "openai/gpt-4-1106-preview-2023"
    keep(
        [
            (f"q{i}", model, float(i % 4 > (model == weak) * 2), i)
            for i in range(200)
            for model in (weak, strong)
        ]
    )
    monkeypatch.setenv("COLUMNS", str(columns))
    told = cli(*ASKED, "--score", "tag.score").stdout.splitlines()
    table = [line for line in told if "%  " in line or "SHARE" in line]
    assert len(table) == 8
    assert max(map(len, table)) <= columns
    assert any("100.0%   0.7500" in line for line in table)
    assert "SHARE TO THE STRONG ONE" in table[0]


@pytest.mark.usefixtures("gsm8k")
def test_curve_as_a_page(cli: Any) -> None:
    """From the weak model's quality to the strong one's; CPT as in the table; the same twice."""
    words = (*ASKED, "--score", "tag.score")
    shown = cli(*words, "--format", "html").stdout
    (figure,) = figures(shown)
    x, y = across(figure), upwards(figure)
    drawn = points(figure, "polyline", "course")
    assert (x(drawn[0][0]), y(drawn[0][1])) == (
        pytest.approx(0, abs=0.2),
        pytest.approx(0.637, abs=2e-3),
    )
    assert (x(drawn[-1][0]), y(drawn[-1][1])) == (
        pytest.approx(100),
        pytest.approx(0.858, abs=2e-3),
    )
    assert len(drawn) <= 201
    rows = json.loads(cli(*words, "--format", "json").stdout)["rows"]
    marks = [x(x1) / 100 for x1, _, _, _ in lines(figure, "reference")]
    assert marks == pytest.approx([row["strong_share"] for row in rows], abs=2e-3)
    assert cli(*words, "--format", "html").stdout == shown


def test_constant_score_is_lots(cli: Any, keep: Keep) -> None:
    """Drawing lots: CPT 50 and 80 exactly, APGR one half, and so nothing that could be told."""
    rows = [
        (f"q{n}", model, float(n % k > 0), 1)
        for n in range(60)
        for model, k in (("s", 9), ("w", 2))
    ]
    keep(rows)
    result = cli(*ASKED, "--score", "tag.score", "--format", "csv")
    assert result.exit_code == 3
    assert result.stdout == "recovered,strong_share\n0.2,0.2\n0.5,0.5\n0.8,0.8\n"
    told = cli(*ASKED, "--score", "tag.score").stdout
    assert told.startswith("tag.score is not shown to tell better than lots which calls need s.")


def test_score_told_later(cli: Any, keep: Keep) -> None:
    """
    An outcome of the trace; who knows the answers needs the strong model as seldom as can be.

    The weak model fails on every third question, on which the strong one does not: half of the
    gap is recovered by a sixth of the calls.
    """
    rows = [(f"q{n}", m, float(m == "s" or n % 3 > 0), None) for n in range(60) for m in ("s", "w")]
    keep(rows, hard={f"q{n}": float(n % 3 == 0) for n in range(60)})
    words = ("route", "curve", "--quality", "outcome:good", "--pair-by", "trace")
    shown = json.loads(cli(*words, "--score", "outcome:hard", "--format", "json").stdout)
    assert [row["strong_share"] for row in shown["rows"]] == pytest.approx(
        [0.2 / 3, 0.5 / 3, 0.8 / 3]
    )
    # Full quality at a third: (1/2) (1/3) + 2/3.
    assert shown["apgr"] == pytest.approx(5 / 6)
    turned = keep([], easy={f"q{n}": float(n % 3 > 0) for n in range(60)})
    assert turned == []
    told = cli(*words, "--score", "outcome:easy").stdout
    assert told.startswith("outcome:easy tells worse than lots which calls need s: turn it round.")


def test_what_is_left_out_is_told(cli: Any, keep: Keep) -> None:
    """Questions without a score, and those that one of the models did not answer."""
    rows: list[tuple[str, str, float, Any]] = [
        (f"q{n}", m, float(m == "s" or n % 3 > 0), n if n > 5 else None)
        for n in range(60)
        for m in ("s", "w")
    ]
    keep([*rows, ("alone", "s", 1.0, 3)])
    result = cli(*ASKED, "--score", "tag.score")
    assert "left out: 6 questions have no score" in result.stderr
    assert "left out: 1 questions were not answered by all" in result.stderr
    assert "By 54 questions." in result.stdout
    page = cli(*ASKED, "--score", "tag.score", "--format", "html")
    assert "left out: 6 questions have no score" in texts(parsed(page.stdout), "p")
    assert page.stderr == ""


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            [("a", "s", 1.0, "high"), ("a", "w", 0.0, "high")],
            "the score 'high' of 'a' is no number",
        ),
        ([("a", "s", 1.0, 1), ("a", "w", 0.0, 2)], "'a' has two different scores"),
        (
            [("a", "s", 1.0, 1), ("a", "w", 0.0, 1), ("a", "w", 1.0, 1)],
            "w has answered 'a' more than",
        ),
        (
            [("a", "s", 1.0, None), ("a", "w", 0.0, None)],
            "no question that both models answered has",
        ),
        (
            [(f"q{n}", m, 1.0, n) for n in range(9) for m in "sw"],
            "the difference is the same in every",
        ),
    ],
)
def test_what_cannot_be_told_is_3(cli: Any, keep: Keep, rows: Any, reason: str) -> None:
    """With the reason, in every format; a page has no figure then."""
    keep(rows)
    result = cli(*ASKED, "--score", "tag.score", "--strong", "s")
    assert result.exit_code == 3
    assert result.stdout.startswith(f"Cannot tell: {reason}")
    page = cli(*ASKED, "--score", "tag.score", "--strong", "s", "--format", "html")
    assert (page.exit_code, figures(page.stdout)) == (3, [])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--score", "length"), "'length' is no score; use tag.NAME or outcome:NAME"),
        (("--score", "tag."), "'tag.' is no score"),
        (("--score", "tag.score"), "name two with --strong and --weak: a, b, c"),
        (
            ("--score", "tag.score", "--strong", "d"),
            "nothing that is compared is named 'd': a, b, c",
        ),
        (("--score", "tag.score", "--strong", "a", "--weak", "a"), "'a' cannot be both"),
        (("--score", "tag.score", "--alpha", "2"), "alpha must be between 0 and 1"),
    ],
)
def test_what_makes_no_sense_is_2(
    cli: Any, keep: Keep, words: tuple[str, ...], message: str
) -> None:
    """With what to do."""
    keep([("q", model, 1.0, 1) for model in "abc"])
    result = cli(*ASKED, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_two_of_three(cli: Any, keep: Keep) -> None:
    """Named, they are judged by themselves."""
    keep(
        [
            (f"q{n}", m, float(n % k > 0), n % 2)
            for n in range(60)
            for m, k in zip("abc", (9, 2, 5), strict=True)
        ]
    )
    shown = json.loads(
        cli(
            *ASKED, "--score", "tag.score", "--strong", "c", "--weak", "b", "--format", "json"
        ).stdout
    )
    assert (shown["strong"], shown["strong_quality"], shown["weak_quality"]) == ("c", 0.8, 0.5)


def test_frontier_as_a_page(cli: Any, tmp_path: Path) -> None:
    """RouterArena's two models: $.0475 and $.1760 per 1,000 calls, .6901 and .5234 good."""
    log = tmp_path / "arena.csv"
    log.write_bytes(gzip.decompress((DATA / "routerarena.csv.gz").read_bytes()))
    kept = ("--map", "request_model=model", "--outcome", "score=score", "--keep")
    assert cli("import", "calls", str(log), "--set", "started_at=2026-01-01", *kept).exit_code == 0
    words = ("--quality", "outcome:score", "--pair-by", "tag.question_id", "--format", "html")
    shown = cli("route", "frontier", *words).stdout
    (figure,) = figures(shown)
    x, y = across(figure), upwards(figure)
    for kind, cost, quality in (("firm", 0.0475, 0.6901), ("open", 0.1760, 0.5234)):
        (dot,) = of_kind(figure, "circle", kind)
        assert x(place(dot, "cx")) == pytest.approx(cost, abs=2e-4)
        assert y(place(dot, "cy")) == pytest.approx(quality, abs=1e-3)
    # The interval of the quality as the table has it: [0.659, 0.721].
    upright = [each for each in lines(figure, "outer") if each[0] == each[2]]
    ends = [sorted((y(each[1]), y(each[3]))) for each in upright if abs(each[1] - each[3]) > 9]
    assert ends[0] == pytest.approx([0.659, 0.721], abs=2e-3)
    assert "gemini-2.0-flash-001" in texts(parsed(shown), "td")
    assert cli("route", "frontier", *words).stdout == shown
    cheapest = cli("route", "cheapest", "--margin", "0.05", *words).stdout
    assert [each[0].text for each in figures(cheapest)] == ["Quality", "Cost"]
    told = cli("route", "cheapest", "--margin", "0.05", *words[:-1], "md").stdout
    assert told.startswith("## The cheapest model that is not worse, by feature\n")
    assert "| by lot |" in told
