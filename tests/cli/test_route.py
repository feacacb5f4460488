"""
`modeltrail route`, on logs whose figures are known.
"""

import csv
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import pytest
from msgspec import structs
from recording import make_call

import modeltrail
from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Store
from modeltrail.storage.rows import OUTCOME_COLUMNS, Batch, call_row, row_from

DATA = Path(__file__).parents[1]
START_US = 1_780_272_000_000_000
HAIKU, FLASH = "claude-3-haiku-20240307", "gemini-2.0-flash-001"
ARENA = ("route", "frontier", "--quality", "outcome:score", "--pair-by", "tag.question_id")


def rows_of(name: str) -> list[dict[str, str]]:
    """Read a file of data."""
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def record(number: int, **columns: Any) -> CallRecord:
    """Return a call."""
    given: dict[str, Any] = {
        "id": uuid7(START_US + number),
        "framework": "test",
        "framework_version": "1",
        "operation": "chat",
        "started_at_us": START_US + number,
        "status": "ok",
    }
    return CallRecord(**given | columns)


@pytest.fixture
def keep(url: str) -> Callable[..., None]:
    """Store calls, each with its outcome if it has one."""

    def put(calls: list[CallRecord], scores: list[float | None] | None = None) -> None:
        outcomes = [
            {"id": uuid7(1), "at_us": 1, "name": "score", "value_micros": round(score * 1e6)}
            | {"call_id": each.id}
            for each, score in zip(calls, scores or [None] * len(calls), strict=True)
            if score is not None
        ]
        store = Store.open(url)
        rows = [row_from(each, OUTCOME_COLUMNS) for each in outcomes]
        assert store.append(Batch(call=list(map(call_row, calls)), outcome=rows)) == []
        store.close()

    return put


@pytest.fixture
def arena(cli: Any, tmp_path: Path) -> None:
    """Import 809 questions that two models have answered."""
    log = tmp_path / "arena.csv"
    log.write_bytes(gzip.decompress((DATA / "experiment" / "routerarena.csv.gz").read_bytes()))
    words = ("--map", "request_model=model", "--outcome", "score=score", "--keep")
    assert cli("import", "calls", str(log), "--set", "started_at=2026-01-01", *words).exit_code == 0


@pytest.fixture
def mmlu(keep: Any) -> None:
    """Store 14,037 calls whose variants were drawn with a probability by feature."""
    rows = rows_of("stats/ope_mmlu_logged.csv.gz")
    keep(
        [
            record(
                number,
                feature=row["feature"],
                variant=row["variant"],
                experiment="mmlu",
                propensity_ppm=round(float(row["propensity"]) * 1e6),
                cost_nanousd=100 if row["variant"] == "A" else 1,
            )
            for number, row in enumerate(rows)
        ],
        [float(row["correct"]) for row in rows],
    )


def test_frontier_of_real_models(cli: Any, arena: None) -> None:
    """RouterArena's own figures, through import, store and report."""
    result = cli(*ARENA, "--format", "json")
    shown = json.loads(result.stdout)
    assert (result.exit_code, shown["schema"]) == (0, "modeltrail.route-frontier/1")
    assert (shown["questions"], shown["refused"]) == (809, None)
    flash, haiku = shown["rows"]
    assert (flash["model"], haiku["model"]) == (FLASH, HAIKU)
    assert flash["cost_nanousd"] / 1e6 == pytest.approx(0.0475, abs=5e-5)
    assert haiku["cost_nanousd"] / 1e6 == pytest.approx(0.1760, abs=5e-5)
    assert (flash["quality"], haiku["quality"]) == pytest.approx((0.6901, 0.5234), abs=5e-5)
    gap = [haiku[f"quality_gap{end}"] for end in ("", "_lower", "_upper")]
    assert gap == pytest.approx([-0.1668, -0.2001, -0.1335], abs=5e-5)
    assert (flash["quality_gap"], flash["on_hull"], haiku["on_pareto"]) == (None, True, False)


# What matters least goes first where there is little room.
NARROW = """\
Worth their price, by 809 questions to all: gemini-2.0-flash-001.

MODEL                    PER 1,000  QUALITY  95% OF QUALITY  TO THE BEST  WORTH
gemini-2.0-flash-001       $0.0475    0.690  [0.659, 0.721]         best  yes
claude-3-haiku-20240307    $0.1760    0.523  [0.490, 0.557]       -0.167  no
(the best of each)         $0.0568    0.741  [0.712, 0.770]
"""
WIDE = """\
MODEL                    ANSWERS  PER 1,000       95% OF COST  QUALITY  95% OF QUALITY  TO THE BEST         95% OF IT  WORTH
gemini-2.0-flash-001         809    $0.0475  [0.0453, 0.0497]    0.690  [0.659, 0.721]         best                    yes
claude-3-haiku-20240307      809    $0.1760  [0.1674, 0.1846]    0.523  [0.490, 0.557]       -0.167  [-0.200, -0.133]  no
(the best of each)                  $0.0568  [0.0530, 0.0606]    0.741  [0.712, 0.770]
"""  # noqa: E501 - as it is shown


@pytest.mark.parametrize(("width", "told"), [(80, NARROW), (140, WIDE)])
def test_frontier_as_it_is_read(
    cli: Any, arena: None, monkeypatch: pytest.MonkeyPatch, width: int, told: str
) -> None:
    """In a narrow and in a wide terminal, no line of a table beyond its edge."""
    monkeypatch.setenv("COLUMNS", str(width))
    shown = cli(*ARENA).stdout
    assert told in shown
    assert max(map(len, shown.splitlines())) <= width


def test_formats_say_the_same(cli: Any, arena: None) -> None:
    """CSV and JSON lines have the rows of the document."""
    document = json.loads(cli(*ARENA, "--format", "json").stdout)["rows"]
    lines = [json.loads(line) for line in cli(*ARENA, "--format", "jsonl").stdout.splitlines()]
    table = list(csv.DictReader(cli(*ARENA, "--format", "csv").stdout.splitlines()))
    assert lines == document
    assert [float(row["quality"]) for row in table] == [row["quality"] for row in document]


def test_value_of_a_policy(cli: Any, mmlu: None) -> None:
    """Sending everything to the weaker model: the published figures, and the truth within each."""
    words = ("route", "what-if", "--all", "B", "--quality", "outcome:score")
    result = cli(*words, "--format", "json")
    shown = json.loads(result.stdout)
    assert (result.exit_code, shown["basis"]) == (0, "randomised")
    figures = {row["estimate"]: row for row in shown["rows"]}
    assert figures["ips"]["quality"] == pytest.approx(0.6786, abs=5e-5)
    assert figures["snips"]["quality"] == pytest.approx(0.6731, abs=5e-5)
    for name in ("ips", "snips", "doubly_robust"):
        assert figures[name]["quality_lower"] < 0.6809 < figures[name]["quality_upper"]
    # All calls of B cost the same.
    assert figures["snips"]["cost_nanousd"] == pytest.approx(1)


def test_policy_by_feature(cli: Any, keep: Any, tmp_path: Path) -> None:
    """By option and by file alike; what is not named is an error that says so."""
    calls = two_arms(400, propensity_ppm=500_000)
    keep([*calls[:200], *(structs.replace(each, feature="astronomy") for each in calls[200:])])
    words = ("route", "what-if", "--format", "jsonl")
    told = cli(*words, "--policy", "astronomy=B", "--policy", "*=A")
    (tmp_path / "p.toml").write_text('astronomy = "B"\n"*" = {A = 1.0}\n')
    (tmp_path / "p.json").write_text('{"astronomy": {"B": 1.0}, "*": "A"}')
    for name in ("p.toml", "p.json"):
        assert cli(*words, "--policy-file", str(tmp_path / name)).stdout == told.stdout
    assert told.exit_code == 0
    table = cli("route", "what-if", "--all", "A").stdout
    assert "self-normalised" in table and "of 400 units" in table
    missing = cli(*words, "--policy", "astronomy=B")
    assert missing.exit_code == 2 and "* for all others" in missing.stderr
    unknown = cli(*words, "--all", "C")
    assert unknown.exit_code == 2 and "choose from A, B" in unknown.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "name one policy"),
        (["--all", "A", "--policy", "x=A"], "name one policy"),
        (["--policy", "x"], "'x' is no FEATURE=VARIANT"),
        (["--policy-file", "none.json"], "none.json cannot be read"),
        (["--all", "A", "--quality", "good"], "use ok or outcome:NAME"),
        (["--all", "A", "--quality", "outcome:good"], "no outcome is named 'good'"),
        (["--all", "A", "--alpha", "1"], "alpha must be between"),
    ],
)
def test_what_is_no_policy(cli: Any, keep: Any, words: list[str], why: str) -> None:
    """Each mistake is told, with what to do."""
    keep([record(0, variant="A")])
    result = cli("route", "what-if", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert why in result.stderr


def test_too_far_from_the_log_is_refused(cli: Any, keep: Any, tmp_path: Path) -> None:
    """The shop for women: an effective sample of 2.1, a weight of 21,739."""
    rows = [row for row in rows_of("stats/obd_bts.csv.gz") if row["campaign"] == "women"]
    keep(
        [
            record(
                number,
                feature=row["position"],
                variant=row["action"],
                propensity_ppm=round(float(row["propensity"]) * 1e6),
            )
            for number, row in enumerate(rows)
        ],
        [float(row["reward"]) for row in rows],
    )
    items = {row["action"] for row in rows}
    policy = tmp_path / "uniform.json"
    policy.write_text(json.dumps({"*": dict.fromkeys(items, 1 / len(items))}))
    words = ("route", "what-if", "--policy-file", str(policy), "--quality", "outcome:score")
    shown = json.loads((result := cli(*words, "--format", "json")).stdout)
    assert result.exit_code == 3
    assert shown["weights"]["effective"] == pytest.approx(2.078, abs=5e-4)
    assert shown["weights"]["largest"] == pytest.approx(21_739, abs=0.5)
    assert {row["quality"] for row in shown["rows"][1:]} == {None}
    assert "effective sample is 2.1" in shown["refused"]
    assert cli(*words).stdout.startswith("Cannot tell: the effective sample is 2.1")


def two_arms(n: int, **columns: Any) -> list[CallRecord]:
    """Return calls of two variants in turn."""
    return [record(i, feature="f", variant="AB"[i % 2], **columns) for i in range(n)]


def test_without_propensities_it_is_observed(cli: Any, keep: Any) -> None:
    """The figure stands under another name, and the command cannot tell."""
    keep(two_arms(400), [float(i % 4 == 0) for i in range(400)])
    words = ("route", "what-if", "--all", "A", "--quality", "outcome:score")
    shown = json.loads((result := cli(*words, "--format", "json")).stdout)
    assert (result.exit_code, shown["basis"]) == (3, "observational")
    assert [row["estimate"] for row in shown["rows"]] == ["logged", "observational"]
    assert [row["quality"] for row in shown["rows"]] == pytest.approx([0.25, 0.5])


def test_wrong_propensities_are_invalid(cli: Any, keep: Any) -> None:
    """Weights of a log of halves that claims quarters do not average to 1."""
    keep(two_arms(400, propensity_ppm=250_000))
    result = cli("route", "what-if", "--all", "A")
    assert result.exit_code == 1
    assert "the weights average 2 instead of 1" in result.stdout


def test_page_says_what_was_asked(cli: Any, keep: Any) -> None:
    """Who is sent a page has not seen the command."""
    keep(two_arms(400, propensity_ppm=500_000, experiment="e"), [1.0] * 400)
    words = ("route", "what-if", "--policy", "f=B", "--policy", "*=A", "--experiment", "e")
    more = ("--quality", "outcome:score", "--since", "2026-01-02", "--format")
    asked = (
        "Asked: between: variant; quality: outcome:score; policy: f gets B, * gets A; "
        "experiment: e; calls from 2026-01-02 00:00:00 UTC."
    )
    assert asked in cli(*words, *more, "html").stdout
    assert asked.replace("*", "\\*") in cli(*words, *more, "md").stdout
    frontier = ("route", "frontier", "--between", "variant", "--feature", "f", "--format")
    assert "Asked: between: variant; quality: ok; feature: f." in cli(*frontier, "html").stdout
    assert json.loads(cli(*frontier, "json").stdout)["feature"] == "f"


def test_a_propensity_of_none_is_invalid(cli: Any, keep: Any) -> None:
    """What was given to a call had a probability above 0."""
    calls = two_arms(399, propensity_ppm=500_000)
    keep([*calls, record(399, feature="f", variant="B", propensity_ppm=0)])
    result = cli("route", "what-if", "--all", "A")
    assert result.exit_code == 1
    assert "a propensity is not above 0" in result.stdout


def test_one_call_without_a_propensity_is_counted(cli: Any, keep: Any) -> None:
    """That it is observed is not the fault of the other 399."""
    keep([*two_arms(399, propensity_ppm=500_000), record(399, feature="f", variant="B")])
    words = ("route", "what-if", "--all", "A")
    result = cli(*words)
    assert result.exit_code == 3
    assert "1 of 400 calls tell no propensity" in result.stdout
    assert json.loads(cli(*words, "--format", "json").stdout)["no_propensity"] == 1


def test_policy_at_an_unknown_cost(cli: Any, keep: Any) -> None:
    """Its quality is told; its cost is unknown in every format, and it is said why."""
    calls = [
        record(
            i,
            feature="f",
            variant="AB"[i % 2],
            propensity_ppm=500_000,
            cost_nanousd=7 if i % 2 else None,
        )
        for i in range(400)
    ]
    keep(calls, [float(i % 4 == 0) for i in range(400)])
    words = ("route", "what-if", "--all", "A", "--quality", "outcome:score")
    for format in ("table", "md", "html", "csv", "jsonl", "json"):
        result = cli(*words, "--format", format)
        assert result.exit_code == 0
        assert "nan" not in result.stdout.lower().replace("nano", "")
    reason = "no overlap: the policy takes 'A' for 'f'"
    assert f"cannot be told: by calls of a known cost, {reason}" in cli(*words).stdout
    shown = json.loads(cli(*words, "--format", "json").stdout)
    assert shown["refused"] is None and shown["cost_refused"].startswith(reason)
    assert [row["cost_nanousd"] for row in shown["rows"]] == [7, None, None, None]
    assert [row["quality"] for row in shown["rows"][:2]] == pytest.approx([0.25, 0.5])


def test_policy_for_what_the_log_has_not_is_told(cli: Any, keep: Any) -> None:
    """A feature that is misspelt would get what all others get, unnoticed."""
    keep(two_arms(400, propensity_ppm=500_000))
    words = ("route", "what-if", "--policy", "g=B", "--policy", "*=A")
    result = cli(*words)
    assert "The policy names 'g', of which the log has no call." in result.stdout
    assert json.loads(cli(*words, "--format", "json").stdout)["not_in_log"] == ["g"]


def test_units_that_took_no_part_are_in_no_propensity(cli: Any, url: str) -> None:
    """Half of all users take part in a fair draw: of theirs, everything to one weighs 2 or 0."""
    with modeltrail.open(url) as trail:
        experiment = trail.experiment("half", {"A": 0.5, "B": 0.5}, coverage=0.5)
        for number in range(1_000):
            with modeltrail.tag(feature="f"):
                if experiment.assign(f"u-{number}").variant is not None:
                    make_call(trail.recorder, str(number))
    words = ("route", "what-if", "--all", "A", "--experiment", "half", "--format", "json")
    shown = json.loads((result := cli(*words)).stdout)
    assert (result.exit_code, shown["basis"]) == (0, "randomised")
    assert shown["weights"]["largest"] == pytest.approx(2)
    assert shown["rows"][1]["quality"] == 1


def test_everybody_in_a_part_of_a_namespace(cli: Any, url: str) -> None:
    """All units that took part get one variant: .1 of .0999... is a probability of 1, no more."""
    with modeltrail.open(url) as trail:
        experiment = trail.experiment("all", {"A": 1.0, "B": 0.0}, namespace=("n", 0.2, 0.3))
        for number in range(2_000):
            with modeltrail.tag(feature="f"):
                if experiment.assign(f"u-{number}").variant is not None:
                    make_call(trail.recorder, str(number))
    words = ("route", "what-if", "--all", "A", "--experiment", "all", "--format", "json")
    shown = json.loads((result := cli(*words)).stdout)
    assert (result.exit_code, shown["refused"]) == (0, None)
    assert shown["weights"]["mean"] == pytest.approx(1)


def test_served_model_was_not_drawn(cli: Any, keep: Any) -> None:
    """After a fallback the propensity is not that of what answered."""
    calls = two_arms(400, propensity_ppm=500_000, request_model="m")
    keep(calls, [float(i % 2) for i in range(400)])
    words = ("route", "what-if", "--quality", "outcome:score", "--format", "json")
    assert json.loads(cli(*words, "--all", "A").stdout)["basis"] == "randomised"
    served = json.loads(cli(*words, "--between", "model", "--all", "m").stdout)
    assert served["basis"] == "observational"


def questions(chances: dict[str, tuple[float, float]], n: int) -> tuple[list[Any], list[Any]]:
    """Return calls of a small and a large model to the same questions, and their scores."""
    random, calls, scores = Random(5), [], []
    for feature, both in chances.items():
        for i in range(n):
            for model, cost, chance in zip(("small", "large"), (1, 100), both, strict=True):
                more = {"feature": feature, "request_model": model, "cost_nanousd": cost * 1000}
                calls.append(record(len(calls), trace_id=f"{feature}{i}", **more))
                scores.append(float(random.random() < chance))
    return calls, scores


CHEAPEST = ("route", "cheapest", "--quality", "outcome:score", "--margin", "0.1")
CHOICES = r"""For 1 of 2 by feature a cheaper model than large is shown to be not worse by 0\.1\.

FEATURE  UNITS  CHOICE  P OF WORSE
easy       300  small   *[0-9.e-]+
hard       300  large        stays

POLICY        +PER 1,000 .*
these choices +\$.*
always large +\$0\.1000 .*
by lot +\$.*

"""


@pytest.mark.parametrize("width", [80, 140])
def test_cheapest_as_it_is_read(
    cli: Any, keep: Any, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """The small model where both are good, the large one where it is not."""
    monkeypatch.setenv("COLUMNS", str(width))
    keep(*questions({"easy": (0.95, 0.95), "hard": (0.3, 0.9)}, 300))
    result = cli(*CHEAPEST, "--pair-by", "trace")
    assert result.exit_code == 0
    assert re.match(CHOICES, result.stdout)
    tables = [line for line in result.stdout.splitlines() if not line.endswith(".")]
    assert max(map(len, tables)) <= width


def test_cheapest_of_a_baseline(cli: Any, keep: Any) -> None:
    """Not worse than the one named is another question; an unknown one is told."""
    keep(*questions({"easy": (0.95, 0.95), "hard": (0.3, 0.9)}, 100))
    words = (*CHEAPEST, "--pair-by", "trace", "--format", "json")
    shown = json.loads((result := cli(*words, "--baseline", "small")).stdout)
    # Nothing is cheaper than the cheapest.
    assert (result.exit_code, shown["baseline"]) == (3, "small")
    assert {row["model"] for row in shown["rows"]} == {"small"}
    assert shown["quality_difference"] == {
        "refused": "the difference is the same in every unit: its spread is unknown"
    }
    unknown = cli(*words, "--baseline", "medium")
    assert unknown.exit_code == 2 and "choose from large, small" in unknown.stderr
    assert cli(*words, "--margin", "0").exit_code == 2


def test_cheapest_where_each_call_went_to_one(cli: Any, keep: Any) -> None:
    """Choices on independent groups; their worth by the propensities of an experiment."""
    random, calls, scores = Random(6), [], []
    for i in range(3_000):
        feature, variant = ("easy", "hard")[i % 2], random.choice(("large", "small"))
        chance = 0.3 if (feature, variant) == ("hard", "small") else 0.9
        more = {"propensity_ppm": 500_000, "cost_nanousd": 1000 if variant == "small" else 100_000}
        calls.append(record(i, feature=feature, variant=variant, experiment="e", **more))
        scores.append(float(random.random() < chance))
    keep(calls, scores)
    shown = json.loads(
        (result := cli(*CHEAPEST, "--between", "variant", "--format", "json")).stdout
    )
    assert result.exit_code == 0
    assert {row["feature"]: row["variant"] for row in shown["rows"]} == {
        "easy": "small",
        "hard": "large",
    }
    # Half of the calls are easy, and cost a hundredth: .9 at 50,500 nano-dollars.
    policy, single = shown["policy"], shown["single"]
    assert policy["quality_lower"] < 0.9 < policy["quality_upper"]
    assert policy["cost_nanousd"] == pytest.approx(50_500, rel=0.05)
    assert single["cost_nanousd"] == pytest.approx(100_000)
    # A quarter of the calls, drawn by lot, are hard ones for the small model.
    assert shown["random"]["quality_lower"] < 0.75 < shown["random"]["quality_upper"]
    assert shown["cost_nanousd_difference"]["interval"][1] < -40_000


def test_frontier_where_each_call_went_to_one(cli: Any, keep: Any) -> None:
    """Each mean is that of its own calls; which answer was the best is unknown."""
    calls = two_arms(40, request_model="m", cost_nanousd=5)
    scores = [float(i % 4 == 0) for i in range(40)]
    keep(calls, scores)
    result = cli("route", "frontier", "--between", "variant", "--quality", "outcome:score")
    assert "Each call went to one variant" in result.stdout
    words = ("--between", "variant", "--quality", "outcome:score", "--format", "json")
    shown = json.loads(cli("route", "frontier", *words).stdout)
    quality = {row["variant"]: row["quality"] for row in shown["rows"]}
    assert quality == {"A": fmean(scores[::2]), "B": fmean(scores[1::2])}
    assert shown["questions"] is None and "refused" in shown["oracle"]


def test_a_model_without_a_place_does_not_hide_the_others(cli: Any, keep: Any) -> None:
    """One that was tried once, and one whose cost is unknown, are told apart from the others."""
    calls = [record(i, request_model="ab"[i % 2], cost_nanousd=5 + i % 2) for i in range(400)]
    scores = [float(i % 2 == 0 or i % 8 == 1) for i in range(400)]
    calls.append(record(400, request_model="tried", cost_nanousd=1))
    calls += [record(401 + i, request_model="own") for i in range(40)]
    keep(calls, [*scores, 1.0, *[float(i % 2) for i in range(40)]])
    words = ("route", "frontier", "--quality", "outcome:score")
    result = cli(*words)
    assert "Worth their price: a." in result.stdout
    assert "Not placed: tried: 1 unit(s): two are the least." in result.stdout
    assert "Not placed: own: by calls of a known cost, 0 unit(s)" in result.stdout
    # Whether the two of them differ from the best is unknown.
    assert result.exit_code == 3
    shown = json.loads(cli(*words, "--format", "json").stdout)
    assert [row["model"] for row in shown["rows"]] == ["a", "b"]
    assert list(shown["unplaced"]) == ["own", "tried"]


def test_one_model_with_a_place_has_nothing_to_compare_with(cli: Any, keep: Any) -> None:
    """The reason names the models."""
    calls = [record(i, request_model="a", cost_nanousd=5) for i in range(40)]
    keep([*calls, record(40, request_model="tried", cost_nanousd=1)])
    result = cli("route", "frontier")
    assert result.exit_code == 3
    assert "1 of 2 can be placed: tried: 1 unit(s): two are the least." in result.stdout


def test_retries_belong_to_the_answer(cli: Any, keep: Any) -> None:
    """What a failed attempt cost is part of the answer's cost; the answer is the one that came."""
    calls = []
    for i in range(4):
        shared: dict[str, Any] = {"trace_id": f"t{i}", "feature": "f"}
        failed = {"status": "error", "cost_nanousd": 7 if i else None}
        calls += [
            record(10 * i, request_model="a", **shared | failed),
            record(10 * i + 1, request_model="a", cost_nanousd=10 + i, **shared),
            record(10 * i + 2, request_model="b", cost_nanousd=100, **shared),
        ]
    keep(calls)
    result = cli("route", "frontier", "--pair-by", "trace", "--format", "json")
    shown = json.loads(result.stdout)
    assert [row["answers"] for row in shown["rows"]] == [4, 4]
    assert shown["rows"][0]["cost_nanousd"] == (10 + 11 + 12 + 13 + 3 * 7) / 4
    assert [row["quality"] for row in shown["rows"]] == [1, 1]
    assert shown["left_out"]["failed_cost"] == 1
    assert "1 failed attempts" in result.stderr
    # Nothing tells the two apart.
    assert result.exit_code == 3


def test_failures_at_an_unknown_cost_are_no_reason_to_look_good(cli: Any, keep: Any) -> None:
    """Left out, the model would seem never to fail."""
    more = {"feature": "f", "cost_nanousd": 1}
    calls = [record(i, request_model="ab"[i % 2], trace_id=f"t{i // 2}", **more) for i in range(40)]
    lost = [record(50, request_model="a", trace_id="x", status="error", feature="f")]
    lost += [record(51, request_model="b", trace_id="x", **more)]
    keep([*calls, *lost])
    result = cli("route", "frontier", "--pair-by", "trace")
    assert result.exit_code == 3
    assert "never failed" in result.stdout


def test_no_question_at_a_known_cost(cli: Any, keep: Any) -> None:
    """There are answers, but none that can be compared by its cost."""
    keep([record(i, trace_id=f"q{i // 2}", request_model="ab"[i % 2]) for i in range(80)])
    for words in (("frontier",), ("cheapest", "--margin", "0.1")):
        result = cli("route", *words, "--pair-by", "trace")
        assert result.exit_code == 3
        assert "none of 40 questions was answered by all at a known cost" in result.stdout


def test_questions_asked_twice_are_refused(cli: Any, keep: Any) -> None:
    """Which of two good answers counts is not for us to say."""
    more = {"feature": "f", "cost_nanousd": 1, "trace_id": "t"}
    keep([record(i, request_model=model, **more) for i, model in enumerate("aab")])
    result = cli("route", "frontier", "--pair-by", "trace")
    assert (result.exit_code, "more than once" in result.stdout) == (3, True)


def test_incomplete_questions_and_missing_outcomes_are_told(cli: Any, keep: Any) -> None:
    """They are left out, and how many they are stands beside."""
    calls, scores = questions({"f": (0.5, 0.9)}, 50)
    scores[0] = None
    keep([*calls, record(999, trace_id="z", feature="f", cost_nanousd=1)], [*scores, 1.0])
    result = cli(
        "route", "frontier", "--quality", "outcome:score", "--pair-by", "trace", "--format", "json"
    )
    shown = json.loads(result.stdout)
    assert shown["questions"] == 49
    assert shown["left_out"]["no_quality"] == {"small": 1}
    assert (shown["left_out"]["no_arm"], shown["left_out"]["incomplete"]) == (1, 1)
    assert "left out: calls without the outcome: small 1" in result.stderr


def test_variants_of_several_experiments_are_not_mixed(cli: Any, keep: Any) -> None:
    """Their names may be the same; one is to be named."""
    keep([record(i, variant="A", experiment=f"e{i % 2}", feature="f") for i in range(4)])
    result = cli("route", "what-if", "--all", "A")
    assert result.exit_code == 2 and "--experiment: e0, e1" in result.stderr
