"""
A process may be killed at any moment: nothing that has returned is lost, nothing is doubled.
"""

import json
import random
import re
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from typing import Any

import pytest
from faults.lives import start

import modeltrail

TIMES = {"sqlite": 100, "postgresql": 100}
# A write may be cut short by a kill: then its call had not returned.
TORN = re.compile(r"modeltrail: frame-torn; further ones are only counted\n")
# What `recording.make_call` leaves, at the published price of gpt-4o-mini.
WHOLE = ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", 14, 7, 14 * 150 + 7 * 600, '["stop"]')
NO_END = ("gpt-4o-mini", None, None, None, None, None)
COLUMNS = "request_model, response_model, input_tokens, output_tokens, cost_nanousd, finish_reasons"

pytestmark = [pytest.mark.fault, pytest.mark.slow]


def killed(url: str, times: int) -> list[list[str]]:
    """
    Return the runs that each killed program had told of.
    """
    seed = str(random.randrange(10**9))
    print("seed", seed)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start("faults.killer", url, seed, str(times), **pipes) as killer:
        told, errors = killer.communicate()
    assert (killer.returncode, TORN.sub("", errors.decode())) == (0, "")
    return list(json.loads(told))


def stored(url: str) -> dict[str, tuple[str, tuple[Any, ...]]]:
    """
    Open the trail and return what is in it of each run.
    """
    with modeltrail.open(url) as trail:
        assert trail.flush(60)
        assert trail.health().drops == {}
        with trail.store._engine.connect() as connection:
            rows = connection.exec_driver_sql(f"SELECT run_id, status, {COLUMNS} FROM call").all()
            events = connection.exec_driver_sql("SELECT kind FROM event").scalars().all()
    assert events == ["trail-created"]
    found = {run: (status, tuple(rest)) for run, status, *rest in rows}
    assert len(found) == len(rows)
    return found


def test_nothing_that_returned_is_lost(database: str) -> None:
    """All that was acknowledged is stored, once and whole; of the rest at most one call a kill."""
    kind = database.partition(":")[0]
    lives = killed(database, TIMES[kind])
    found = stored(database)
    acknowledged = {run for life in lives for run in life}
    assert len(acknowledged) > TIMES[kind]  # it was killed at work
    assert acknowledged - found.keys() == set()
    assert {found[run] for run in acknowledged} == {("ok", WHOLE)}
    flying = found.keys() - acknowledged
    assert {found[run] for run in flying} <= {("ok", WHOLE), ("incomplete", NO_END)}
    assert max(Counter(run.partition("-")[0] for run in flying).values(), default=0) <= 1
    if kind == "sqlite":
        with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
