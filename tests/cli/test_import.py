"""
`modeltrail import calls`.
"""

import csv
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pytest
from recording import request, response

import modeltrail
from modeltrail.keys import load_keys

SAMPLE = Path(__file__).parents[1] / "interop" / "logs" / "routerarena_calls.csv"
SAMPLE_WORDS = [
    "import",
    "calls",
    str(SAMPLE),
    *("--map", "request_model=model", "--map", "input_chars=prompt_chars"),
    *("--map", "output_chars=response_chars", "--outcome", "score=score"),
    *("--set", "started_at=2025-10-01", "--ignore", "success", "--keep"),
]
GOOD = "started_at,feature\n2026-01-01,a\n2026-01-02,b\n"


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    """Write a file."""

    def write(content: str, name: str = "log.csv") -> str:
        path = tmp_path / name
        path.write_text(content, "utf-8", newline="")
        return str(path)

    return write


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    """Ask the trail in SQL."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute(query).fetchall()


def whole(number: str, digits: int) -> int:
    """Move the point of a number, and round half to even."""
    return int(Decimal(number).scaleb(digits).to_integral_value(ROUND_HALF_EVEN))


def exists(url: str) -> bool:
    """Tell whether there is a trail."""
    return Path(url.removeprefix("sqlite:///")).exists()


def test_log_of_real_calls(cli: Any, url: str) -> None:
    """Sums are those of the file, row by row, in exact decimals."""
    result = cli(*SAMPLE_WORDS)
    assert result.exit_code == 0
    assert result.stdout == "51 rows, 0 bad: 51 new, 0 known, 51 outcomes\n"
    rows = list(csv.DictReader(SAMPLE.open(encoding="utf-8", newline="")))
    for model in {row["model"] for row in rows}:
        of_model = [row for row in rows if row["model"] == model]
        wanted = (
            len(of_model),
            sum(int(row["input_tokens"]) for row in of_model),
            sum(int(row["output_tokens"]) for row in of_model),
            sum(whole(row["cost_usd"], 9) for row in of_model),
            sum(int(row["prompt_chars"]) for row in of_model),
            sum(whole(row["score"], 6) for row in of_model),
        )
        found = ask(
            url,
            "SELECT count(*), sum(input_tokens), sum(output_tokens), sum(cost_nanousd), "
            "sum(input_chars), sum(value_micros) FROM calls JOIN outcome ON call_id = calls.id "
            f"WHERE request_model = '{model}' AND cost_source = 'reported' AND name = 'score'",
        )
        assert found == [wanted]
    tags = {text for (text,) in ask(url, "SELECT tags FROM call")}
    assert (
        json.dumps(
            {"metric": rows[0]["metric"], "question_id": rows[0]["question_id"]},
            separators=(",", ":"),
        )
        in tags
    )
    ((detail,),) = ask(url, "SELECT detail FROM event WHERE kind = 'calls-imported'")
    told = json.loads(detail)
    assert (told["file"], told["rows"], told["new"], told["known"], told["bad"]) == (
        "routerarena_calls.csv",
        51,
        51,
        0,
        0,
    )
    assert told["digest"].startswith(told["origin"].removeprefix("import:"))
    assert ask(url, "SELECT count(*) FROM writer JOIN call ON writer_id = writer.id") == [(51,)]


def test_importing_twice_adds_nothing(cli: Any, url: str) -> None:
    """Neither calls nor outcomes; the trail tells that it was tried."""
    cli(*SAMPLE_WORDS)
    again = cli(*SAMPLE_WORDS, "--format", "json")
    shown = json.loads(again.stdout)
    assert (again.exit_code, shown["schema"]) == (0, "modeltrail.import/1")
    assert (shown["rows"], shown["new"], shown["known"], shown["outcomes"]) == (51, 0, 51, 0)
    assert ask(url, "SELECT count(*) FROM call") == [(51,)]
    assert ask(url, "SELECT count(*) FROM outcome") == [(51,)]
    assert ask(url, "SELECT count(*) FROM event WHERE kind = 'calls-imported'") == [(2,)]


def test_people_are_those_of_live_calls(cli: Any, url: str, file: Any) -> None:
    """A user who was recorded and imported is one."""
    with modeltrail.open(url) as trail:
        live = request("run-1", tags={"user": "u-17", "unit": "u-17", "session": "s"})
        trail.recorder.start(live).stop(response())
    log = file("started_at,user,uid,session\n2026-01-01,u-17,u-17,s\n")
    assert cli("import", "calls", log, "--map", "unit=uid").exit_code == 0
    refs = ask(url, "SELECT user_ref, unit_ref, session_ref FROM call")
    assert (len(refs), len(set(refs))) == (2, 1)
    listed = json.loads(cli("calls", "list", "--user", "u-17", "--format", "json").stdout)
    assert len(listed["rows"]) == 2
    assert "u-17" not in str(ask(url, "SELECT * FROM call"))


def test_key_of_another_trail_is_refused(
    cli: Any, url: str, file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its people would be others."""
    with modeltrail.open(url):
        pass
    monkeypatch.setenv("MODELTRAIL_KEY", "11" * 32)
    result = cli("import", "calls", file(GOOD))
    assert (result.exit_code, ask(url, "SELECT count(*) FROM call")) == (2, [(0,)])
    assert "trail's own key" in result.stderr


def test_trail_is_made_with_the_key(cli: Any, url: str, file: Any) -> None:
    """So that live calls can follow."""
    assert not exists(url)
    assert cli("import", "calls", file(GOOD)).exit_code == 0
    ((detail,),) = ask(url, "SELECT detail FROM event WHERE kind = 'trail-created'")
    assert json.loads(detail) == {"key_id": load_keys().key_id}
    with modeltrail.open(url) as trail:
        assert len(trail.store.calls()) == 2


def test_bad_rows_keep_all_from_being_stored(cli: Any, url: str, file: Any) -> None:
    """Each is told with its line and the reason; not even a trail is made."""
    log = file(GOOD + "tomorrow,c\n2026-01-03\n")
    result = cli("import", "calls", log, "--format", "json")
    shown = json.loads(result.stdout)
    assert (result.exit_code, exists(url)) == (1, False)
    assert (shown["stored"], shown["rows"], shown["bad"], shown["new"]) == (False, 4, 2, 0)
    assert [each["line"] for each in shown["bad_rows"]] == [4, 5]
    assert "log.csv:4: started_at: 'tomorrow' is no time of ISO 8601" in result.stderr
    assert "log.csv:5: has 1 cells where the heading has 2" in result.stderr


def test_bad_rows_are_skipped_if_asked(cli: Any, url: str, file: Any) -> None:
    """The others are stored, and the finding is told all the same."""
    log = file(GOOD + "tomorrow,c\n2026-01-03,d\n")
    result = cli("import", "calls", log, "--skip-bad")
    assert result.exit_code == 1
    assert result.stdout == "4 rows, 1 bad: 3 new, 0 known, 0 outcomes\n"
    assert ask(url, "SELECT feature FROM call ORDER BY seq") == [("a",), ("b",), ("d",)]
    # Corrected, the file adds what was missing.
    again = cli("import", "calls", file(GOOD + "2026-01-04,c\n2026-01-03,d\n"))
    assert (again.exit_code, again.stdout) == (
        0,
        "4 rows, 0 bad: 1 new, 3 known, 0 outcomes\n",
    )


def test_many_bad_rows_are_counted(cli: Any, file: Any) -> None:
    """A terminal is not filled with them."""
    result = cli("import", "calls", file("started_at\n" + "x\n" * 50))
    assert "log.csv: 30 more bad rows" in result.stderr
    assert len(result.stderr.splitlines()) < 25


def test_json_lines(cli: Any, url: str, file: Any) -> None:
    """With nested values, and columns that only some rows have."""
    rows = [
        {"started_at_us": 1, "status": None, "tags": {"team": "red"}, "more": [1]},
        {"started_at_us": 2, "status": "error", "cost_usd": 0.1},
    ]
    log = file("".join(json.dumps(row) + "\n" for row in rows), "log.txt")
    words = ["import", "calls", log, "--from", "jsonl"]
    unknown = cli(*words)
    assert (unknown.exit_code, exists(url)) == (2, False)
    assert "'more'" in unknown.stderr
    assert cli(*words, "--keep").exit_code == 0
    assert ask(url, "SELECT started_at_us, status, cost_nanousd, tags FROM call ORDER BY seq") == [
        (1, "ok", None, '{"more":[1],"team":"red"}'),
        (2, "error", 10**8, None),
    ]


def test_framework_and_its_version(cli: Any, url: str, file: Any) -> None:
    """Ours if the import made them; unknown if nobody has told it."""
    cli("import", "calls", file(GOOD))
    cli("import", "calls", file("started_at\n2026-02-01\n"), "--framework", "gateway")
    told = ask(url, "SELECT DISTINCT framework, framework_version FROM call ORDER BY 1")
    assert told == [("gateway", "unknown"), ("import", modeltrail.__version__)]


def test_experiment_is_compared(cli: Any, url: str, file: Any) -> None:
    """An experiment of another system, with outcomes of its units, as one of one's own."""
    heading = "started_at,experiment,variant,propensity,unit,unit_type,solved\n"
    rows = [
        f"2026-01-01,exp,{variant},0.5,{variant}-{number},user,{int(number % 10 < solved)}\n"
        for variant, solved in (("control", 2), ("treatment", 8))
        for number in range(50)
    ]
    log = file(heading + "".join(rows))
    words = ["--outcome", "solved=solved", "--outcome-of", "unit"]
    assert cli("import", "calls", log, *words).exit_code == 0
    shown = json.loads(cli("compare", "exp", "--format", "json").stdout)
    (metric,) = [each for each in shown["metrics"] if each["metric"]["name"] == "outcome:solved"]
    means = {variant: arm["estimate"] for variant, arm in metric["arms"].items()}
    assert means == pytest.approx({"control": 0.2, "treatment": 0.8})


def test_calls_of_another_trail(cli: Any, url: str, filled: str, file: Any) -> None:
    """They are the same, but for what tells of the trail that they are in."""
    log = file(cli("calls", "list", "-n", "0", "--format", "jsonl").stdout, "calls.jsonl")
    other = url.replace("calls.db", "other.db")
    own = ("seq", "cost_usd", "writer_id", "writer_seq", "origin", "record_version")
    words = [word for name in (*own, "policy_digest") for word in ("--ignore", name)]
    assert cli("import", "calls", log, *words, db=other).exit_code == 0
    before, after = (
        [
            {name: value for name, value in row.items() if name not in (*own, "policy_digest")}
            for row in json.loads(cli("calls", "list", "--format", "json", db=db).stdout)["rows"]
        ]
        for db in (filled, other)
    )
    assert len(before) == 3
    by_id = {row["id"]: row for row in after}
    assert before == [by_id[row["id"]] for row in before]


def test_progress_of_a_long_file(cli: Any, file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told on stderr, while it is checked and while it is stored."""
    monkeypatch.setattr("modeltrail.cli.sources.PROGRESS_ROWS", 2)
    result = cli("import", "calls", file(GOOD + "2026-01-03,c\n"))
    assert result.stderr.splitlines() == ["2 rows checked", "2 rows stored"]


def test_credentials_are_left_out_and_told(cli: Any, url: str, file: Any) -> None:
    """A column of keys does not become a tag."""
    result = cli("import", "calls", file("started_at,api_key\n2026-01-01,x\n"), "--keep")
    assert "like credentials: api_key" in result.stderr
    assert ask(url, "SELECT tags FROM call") == [(None,)]


def test_file_that_changes_meanwhile(
    cli: Any, url: str, file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked is stored, whatever becomes of the file; an appended row waits."""
    path = Path(file(GOOD))
    from modeltrail.cli import importing

    check = importing._check

    def check_and_append(*words: Any) -> Any:
        found = check(*words)
        path.write_text(GOOD + "2026-01-03,c\n")
        return found

    monkeypatch.setattr(importing, "_check", check_and_append)
    assert cli("import", "calls", str(path)).exit_code == 0
    assert ask(url, "SELECT count(*) FROM call") == [(2,)]

    def check_and_cut(*words: Any) -> Any:
        found = check(*words)
        path.write_text("started_at,feature\n")
        return found

    monkeypatch.setattr(importing, "_check", check_and_cut)
    assert cli("import", "calls", str(path)).exit_code == 0
    assert ask(url, "SELECT feature FROM call ORDER BY started_at_us")[2:] == [("c",)]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--map", "feature"], "no FIELD=COLUMN"),
        (["--map", "colour=feature"], "'colour' is no field"),
        (["--map", "feature=team"], "no column 'team'"),
        (["--outcome", "=feature"], "no NAME=COLUMN"),
        (["--set", "status=fine"], "--set status"),
        (["--set", "provider=a", "--set", "provider=b"], "set twice"),
        (["--set", "framework=a", "--framework", "b"], "set twice"),
        (["--prices", "nothing.toml"], "cannot be read"),
    ],
)
def test_usage(cli: Any, url: str, file: Any, words: list[str], reason: str) -> None:
    """What cannot be is told before anything is stored."""
    result = cli("import", "calls", file(GOOD), *words)
    assert (result.exit_code, exists(url)) == (2, False)
    assert reason in result.stderr


def test_file_that_cannot_be_read(cli: Any, tmp_path: Path) -> None:
    """It is named."""
    result = cli("import", "calls", str(tmp_path / "none.csv"))
    assert (result.exit_code, "none.csv cannot be read" in result.stderr) == (2, True)


def test_store_that_cannot_be_reached(cli: Any, file: Any, tmp_path: Path) -> None:
    """It ends as every command does."""
    assert cli("import", "calls", file(GOOD), db=f"sqlite:///{tmp_path}/no/x.db").exit_code == 4
