"""
`modeltrail calls tail`.
"""

import json
import subprocess
import sys
from typing import Any

import pytest
from recording import make_call

import modeltrail
from modeltrail.cli import follow as module
from modeltrail.cli.follow import Tally, follow
from modeltrail.storage import Filters, Numbered
from modeltrail.trail import Trail


def tail(url: str, *words: str) -> subprocess.Popen[str]:
    """Start to follow a trail."""
    command = [sys.executable, "-m", "modeltrail", "--db", url, "calls", "tail"]
    pipe = subprocess.PIPE
    process = subprocess.Popen([*command, *words], stdout=pipe, stderr=pipe, text=True)
    assert process.stderr
    assert process.stderr.readline() == "following; Ctrl-C ends\n"
    return process


def test_new_calls_are_printed_as_they_come(trail: Trail, url: str) -> None:
    """Calls from before are not shown, new ones are, until the limit."""
    make_call(trail.recorder, "before")
    assert trail.flush(10)
    process = tail(url, "--interval", "0.05", "--limit", "2", "--format", "jsonl")
    make_call(trail.recorder, "first")
    assert trail.flush(10)
    assert process.stdout
    first = json.loads(process.stdout.readline())
    make_call(trail.recorder, "second")
    out, err = process.communicate(timeout=30)
    assert [first["run_id"], json.loads(out)["run_id"]] == ["first", "second"]
    assert (first["seq"], first["cost_usd"]) == (2, "0.0000063")
    assert (process.returncode, err) == (
        0,
        "calls 2, errors 0, known cost $0.0000126, without one 0\n",
    )


def test_line_of_a_call(trail: Trail, url: str) -> None:
    """As a table each call is a line."""
    process = tail(url, "--interval", "0.05", "--limit", "1", "--feature", "f")
    make_call(trail.recorder, "other", tags={"feature": "g"})
    make_call(trail.recorder, "wanted", tags={"feature": "f", "variant": "a-rather-long-name"})
    out, _ = process.communicate(timeout=30)
    (line,) = out.splitlines()
    assert line.split()[3:8] == ["f", "a-rather-…", "gpt-4o-mini", "→", "gpt-4o-mini-2…"]
    assert line.endswith("  ok")


def test_late_commit_of_a_smaller_number_is_seen(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that appears behind the last one is shown, once; none is shown twice."""
    make_call(trail.recorder, "before")
    assert trail.flush(10)
    (known,) = trail.store.calls()
    seqs = iter([[10], [10, 12], [10, 11, 12], [10, 11, 12]])
    monkeypatch.setattr(
        module, "_recent", lambda *_: [Numbered(seq, known.record) for seq in next(seqs)]
    )
    monkeypatch.setattr(trail.store, "last_seq", lambda: 10)
    found = follow(trail.store, Filters(), wait=lambda: None)
    assert [next(found).seq, next(found).seq] == [12, 11]
    with pytest.raises(RuntimeError, match="StopIteration"):
        next(found)


def test_recent_looks_back_and_keeps_the_filters(trail: Trail) -> None:
    """Each look begins a little before the last number."""
    asked: list[Any] = []

    class Store:
        def calls(self, filters: Filters, **_: Any) -> list[Numbered]:
            asked.append(filters)
            return []

    module._recent(Store(), Filters(feature="f"), 1500)  # type: ignore[arg-type]
    module._recent(Store(), Filters(feature="f"), 5)  # type: ignore[arg-type]
    assert asked == [Filters(feature="f", after_seq=500), Filters(feature="f", after_seq=0)]


def test_tally_counts_what_is_unknown_apart(filled: str) -> None:
    """A cost that is not known is not nothing."""
    tally = Tally()
    with modeltrail.open(filled) as trail:
        for each in trail.store.calls():
            tally.add(each.record)
    assert tally.summary() == "calls 3, errors 1, known cost $0.0000063, without one 2"
