"""
`modeltrail import outcomes`, and files that are packed or only looked at.
"""

import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from recording import request, response

import modeltrail
from modeltrail.ids import now_us

CALLS = "id,started_at\nr-1,2026-01-01\nr-2,2026-01-02\n"


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    """Write a file."""

    def write(content: str, name: str = "log.csv") -> str:
        path = tmp_path / name
        packed = gzip.compress(content.encode()) if name.endswith(".gz") else content.encode()
        path.write_bytes(packed)
        return str(path)

    return write


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    """Ask the trail in SQL."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute(query).fetchall()


def exists(url: str) -> bool:
    """Tell whether there is a trail."""
    return Path(url.removeprefix("sqlite:///")).exists()


def test_outcomes_of_calls_by_their_own_ids(cli: Any, url: str, file: Any) -> None:
    """A call that was imported under an id of its own is found by it; an empty cell is none."""
    cli("import", "calls", file(CALLS))
    log = file("call,good,stars,when\nr-1,true,4.5,2026-01-03\nr-2,,0,1767400000000000\n", "o.csv")
    words = ("--call", "call", "--outcome", "good=good", "--outcome", "stars=stars", "--at", "when")
    result = cli("import", "outcomes", log, *words)
    assert result.stdout == "2 rows, 0 bad: 3 outcomes, 3 new, 0 known\n"
    found = ask(
        url,
        "SELECT started_at_us, name, value_micros, at_us FROM outcome JOIN call "
        "ON call_id = call.id ORDER BY started_at_us, name",
    )
    # 2026-01-01, -02 and -03.
    day = 86_400_000_000
    assert found == [
        (1_767_225_600_000_000, "good", 1_000_000, 1_767_225_600_000_000 + 2 * day),
        (1_767_225_600_000_000, "stars", 4_500_000, 1_767_225_600_000_000 + 2 * day),
        (1_767_225_600_000_000 + day, "stars", 0, 1_767_400_000_000_000),
    ]
    ((detail,),) = ask(url, "SELECT detail FROM event WHERE kind = 'outcomes-imported'")
    assert {"rows": 2, "bad": 0, "outcomes": 3}.items() <= json.loads(detail).items()


def test_importing_twice_adds_nothing_and_a_correction_counts(
    cli: Any, url: str, file: Any
) -> None:
    """The value that was recorded last is the one that judges the call."""
    cli("import", "calls", file(CALLS + "r-3,2026-01-03\n"))
    words = ("--call", "id", "--outcome", "good=good")
    first = "id,good\nr-1,1\nr-2,1\n"
    assert cli("import", "outcomes", file(first), *words).stdout.endswith("2 new, 0 known\n")
    again = json.loads(cli("import", "outcomes", file(first), *words, "--format", "json").stdout)
    assert (again["schema"], again["new"], again["known"]) == ("modeltrail.import-outcomes/1", 0, 2)
    cli("import", "outcomes", file("id,good\nr-1,0\n"), *words)
    with modeltrail.open(url) as trail:
        values = trail.store.outcome_values("good").of_call
    assert sorted(values.values()) == [0.0, 1.0]


def test_people_are_keyed(cli: Any, url: str, file: Any) -> None:
    """Units and sessions are those of live calls; a trace is told as it is."""
    with modeltrail.open(url) as trail:
        live = request("run-1", tags={"unit": "u-17", "session": "s-1"})
        trail.recorder.start(live).stop(response())
    log = file("who,value,name\nu-17,1,sold\ns-1,1,sold\n")
    for subject, column in (("unit", "unit_ref"), ("session", "session_ref")):
        result = cli("import", "outcomes", log, f"--{subject}", "who", "--name", "name")
        assert result.exit_code == 0
        joined = f"SELECT count(*) FROM outcome JOIN call ON call.{column} = outcome.{column}"
        assert ask(url, joined) == [(1,)]
    assert "u-17" not in str(ask(url, "SELECT * FROM outcome"))
    cli("import", "outcomes", log, "--trace", "who", "--outcome", "v=value")
    assert ask(url, "SELECT trace_id FROM outcome WHERE trace_id IS NOT NULL ORDER BY 1") == [
        ("s-1",),
        ("u-17",),
    ]


def test_outcome_without_a_time_is_of_now(cli: Any, url: str, file: Any) -> None:
    """Equal rows are outcomes of their own."""
    before = now_us()
    cli("import", "outcomes", file("u,v\na,1\na,1\n"), "--unit", "u", "--outcome", "v=v")
    times = [at for (at,) in ask(url, "SELECT at_us FROM outcome")]
    assert len(times) == 2 and all(before <= at <= now_us() for at in times)


def test_bad_rows_keep_all_from_being_stored(cli: Any, url: str, file: Any) -> None:
    """Each is told with its line and the reason; the others are stored if asked."""
    log = file("id,v,at\na,1,2026-01-01\nb,x,2026-01-01\n,1,2026-01-01\nc,,2026-01-01\nd,1,x\n")
    words = ("import", "outcomes", log, "--call", "id", "--outcome", "v=v", "--at", "at")
    result = cli(*words)
    assert (result.exit_code, exists(url)) == (1, False)
    for told in (
        "log.csv:3: v: 'x' is no number",
        "log.csv:4: id: is empty",
        "log.csv:5: has no value",
        "log.csv:6: at: 'x' is no time of ISO 8601",
    ):
        assert told in result.stderr
    assert cli(*words, "--skip-bad").exit_code == 1
    assert ask(url, "SELECT count(*) FROM outcome") == [(1,)]


def test_ids_of_their_own(cli: Any, url: str, file: Any) -> None:
    """An id makes an outcome known whatever else it says; twice in a file it is a fault."""
    words = ("--call", "call", "--outcome", "v=v", "--id", "id")
    cli("import", "outcomes", file("id,call,v\n1,a,1\n"), *words)
    again = cli("import", "outcomes", file("id,call,v\n1,a,0\n2,a,1\n"), *words)
    assert again.stdout.endswith("1 new, 1 known\n")
    twice = cli("import", "outcomes", file("id,call,v\n1,a,0\n1,a,1\n"), *words)
    assert (twice.exit_code, "log.csv:3: its id" in twice.stderr) == (1, True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--call", "id"], "name the outcomes"),
        (["--call", "id", "--outcome", "v=v", "--name", "n"], "name the outcomes"),
        (["--outcome", "v=v"], "outcomes belong to one of"),
        (["--call", "id", "--unit", "id", "--outcome", "v=v"], "outcomes belong to one of"),
        (["--call", "id", "--outcome", "v=w"], "there is no column 'w'; there are 'id', 'v'"),
        (["--call", "id", "--outcome", "v"], "'v' is no NAME=COLUMN"),
    ],
)
def test_what_does_not_fit(cli: Any, url: str, file: Any, words: list[str], why: str) -> None:
    """It is told before anything is stored."""
    result = cli("import", "outcomes", file("id,v\na,1\n"), *words)
    assert (result.exit_code, exists(url)) == (2, False)
    assert why in result.stderr


def test_packed_file_is_the_same_file(cli: Any, url: str, file: Any) -> None:
    """Its calls are those of the plain one; a damaged one is told."""
    plain, packed = file(CALLS), file(CALLS, "calls.csv.gz")
    assert cli("import", "calls", packed).stdout.startswith("2 rows, 0 bad: 2 new")
    assert cli("import", "calls", plain).stdout.startswith("2 rows, 0 bad: 0 new, 2 known")
    digests = ask(url, "SELECT detail FROM event WHERE kind = 'calls-imported'")
    assert len({json.loads(detail)["digest"] for (detail,) in digests}) == 1
    Path(packed).write_bytes(Path(packed).read_bytes()[:-9])
    damaged = cli("import", "calls", packed)
    assert (damaged.exit_code, "cannot be unpacked" in damaged.stderr) == (2, True)
    lines = file('{"call": "r-1", "v": 1}\n', "o.jsonl.gz")
    told = cli("import", "outcomes", lines, "--call", "call", "--outcome", "v=v")
    assert told.stdout.endswith("1 new, 0 known\n")


def test_dry_run_stores_nothing(cli: Any, url: str, file: Any, folder: Any) -> None:
    """No trail and no key: only what is wrong is told."""
    log = file(CALLS + "r-3,never\n")
    before = folder()
    result = cli("import", "calls", log, "--dry-run", "--skip-bad")
    assert (result.exit_code, folder()) == (1, before)
    assert "log.csv:4: started_at" in result.stderr
    assert result.stderr.endswith("nothing is stored: --dry-run\n")
    good = cli(
        "import", "outcomes", file("u,v\na,1\n"), "--unit", "u", "--outcome", "v=v", "--dry-run"
    )
    assert (good.exit_code, folder()) == (0, before)
    assert good.stdout == "1 rows, 0 bad: 1 outcomes, 0 new, 0 known\n"
