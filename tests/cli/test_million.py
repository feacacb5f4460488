"""
Spikes and regressions in a history of a million calls.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from random import Random
from typing import Any

import pytest
from histories import HOUR_US, START_US, WEEK, History, call, history

from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Store
from modeltrail.storage.rows import CALL_COLUMNS, Row, call_row

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

FEATURES = 20
WEEKS = 8
# In the last week another model serves the first twelve; of eight of them five
# points of JSON become prose, at these shares before.
CHANGED_US = START_US + (WEEKS - 1) * WEEK * HOUR_US
WORSE = dict(zip(range(8), (0.98, 0.98, 0.97, 0.96, 0.95, 0.99, 0.98, 0.97), strict=True))
MOVED = range(12)
UNTIL = ("--until", "2026-07-27")
PLACES = {name: place for place, name in enumerate(CallRecord.__struct_fields__)}


def rows(random: Random, number: int, made: History) -> Iterator[Row]:
    """Give the calls of a feature, spread over their hours."""
    template = list(call_row(call(START_US, feature=f"feature-{number}", cost_nanousd=50_000)))
    base = WORSE.get(number, random.choice([0.98, 0.7]))
    for hour, count in enumerate(made.counts):
        for at_us in sorted(
            START_US + hour * HOUR_US + random.randrange(HOUR_US) for _ in range(count)
        ):
            after = at_us >= CHANGED_US
            prose = random.random() >= base - (0.05 if after and number in WORSE else 0)
            row = template.copy()
            row[PLACES["id"]] = uuid7(at_us)
            row[PLACES["started_at_us"]] = at_us
            row[PLACES["response_model"]] = "new" if after and number in MOVED else "old"
            row[PLACES["output_format"]] = "prose" if prose else "json"
            row[PLACES["output_tokens"]] = int(random.lognormvariate(5, 0.7))
            row[PLACES["latency_us"]] = int(random.lognormvariate(13.5, 0.6))
            yield tuple(row)


def put(url: str, made: Iterable[Row]) -> None:
    """Put calls into a trail at once, its indexes made afterwards: a writer takes minutes."""
    Store.open(url).close()
    names = ", ".join(CALL_COLUMNS)
    marks = ", ".join("?" * len(CALL_COLUMNS))
    find = "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'call' AND sql LIKE '%INDEX%'"
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        indexes = connection.execute(find).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.executemany(f"INSERT INTO call ({names}) VALUES ({marks})", made)
        for _, statement in indexes:
            connection.execute(statement)
    assert len(indexes) > 3


def test_spikes_and_regressions_of_a_million_calls(cli: Any, url: str) -> None:
    """At least 70 % of the spikes, 90 % of them true; every regression and nothing else."""
    random = Random("a million")
    made = [history(random, weeks=WEEKS, least=15, most=100) for _ in range(FEATURES)]
    put(url, (row for number, each in enumerate(made) for row in rows(random, number, each)))
    assert sum(sum(each.counts) for each in made) > 1_000_000

    words = ("spikes", "--since", "2026-06-01", *UNTIL, "--metric", "calls", "--format", "json")
    told = json.loads(cli(*words).stdout)
    assert told["judged"] == FEATURES
    found = {(row["feature"], (row["start_us"] - START_US) // HOUR_US) for row in told["rows"]}
    true = {(f"feature-{n}", hour) for n, each in enumerate(made) for hour in each.spikes}
    assert len(found & true) / len(true) >= 0.70
    assert len(found & true) / len(found) >= 0.90

    told = json.loads(cli("regressions", "--since", "2026-06-08", "--format", "json").stdout)
    assert told["refused"] == []
    figures = Counter((row["feature"], row["figure"]) for row in told["rows"])
    assert figures == Counter(
        (f"feature-{number}", figure) for number in WORSE for figure in ("json", "prose")
    )
