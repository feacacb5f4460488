"""
Reports over a million calls in SQLite: what `cost --by feature,day`, `top` and `compare` take.

The reference is what SQLite itself takes for the same sums of the same table, without the view
that applies late facts, and without Python but for reading the rows.
"""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import thread_time

import msgspec

from benchmarks.report import Row, time_row
from benchmarks.timing import rounds_for
from modeltrail.experiment.analysis import Asked, analyse
from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Filters, Store
from modeltrail.storage.rows import Batch, call_row
from modeltrail.storage.rows import Row as StoredRow

CALLS = 1_000_000
BATCH_ROWS = 10_000
DAYS = 90
DAY_US = 86_400_000_000
START_US = 1_790_000_000_000_000
WEEK_US = START_US + (DAYS - 7) * DAY_US
SEED = 7

FIGURES = (
    "count(*), count(CASE WHEN status = 'error' THEN 1 END), count(*) - count(cost_nanousd), "
    "sum(input_tokens), sum(output_tokens), sum(cost_nanousd)"
)
BY_FEATURE_AND_DAY = (
    f"SELECT feature, started_at_us / {DAY_US} AS day, {FIGURES} FROM call GROUP BY feature, day"
)
OF_A_WEEK = (
    "SELECT feature, response_model, count(latency_us), sum(latency_us), max(latency_us), "
    f"{FIGURES} FROM call WHERE started_at_us >= {WEEK_US} GROUP BY feature, response_model "
    "ORDER BY sum(cost_nanousd) DESC LIMIT 10"
)
BY_UNIT = (
    "SELECT unit_ref, variant, count(*), sum(cost_nanousd), count(cost_nanousd), sum(latency_us), "
    "count(latency_us), sum(input_tokens + output_tokens), sum(status = 'error') "
    "FROM call NOT INDEXED WHERE experiment = 'prompt-length' GROUP BY unit_ref, variant"
)


def reports(*, quick: bool) -> list[Row]:
    """
    Measure the reports, each in turn with its reference.
    """
    rounds = rounds_for(12, quick=quick)
    with TemporaryDirectory(prefix="modeltrail-bench-") as folder:
        path = Path(folder) / "calls.db"
        store = Store.open(f"sqlite:///{path}")
        _fill(store)
        with closing(sqlite3.connect(path)) as plain:
            week = Filters(since_us=WEEK_US)
            by_day, raw_by_day = _times(
                lambda: len(store.sums(["feature", "day"])),
                lambda: len(plain.execute(BY_FEATURE_AND_DAY).fetchall()),
                rounds,
            )
            top, raw_top = _times(
                lambda: len(store.top(["feature", "response_model"], week).shown),
                lambda: len(plain.execute(OF_A_WEEK).fetchall()),
                rounds,
            )
            compared, raw_compared = _times(
                lambda: sum(analyse(store, "prompt-length", Asked(control="long")).units.values()),
                lambda: len(plain.execute(BY_UNIT).fetchall()),
                rounds,
            )
        store.close()
    calls = f"{CALLS:,} calls"
    return [
        time_row(
            "reports",
            f"cost --by feature,day of {calls} in SQLite, beyond imports",
            by_day,
            1.5,
            unit="s",
            raw=raw_by_day,
        ),
        time_row(
            "reports",
            f"top of 7 of {DAYS} days of {calls} in SQLite, beyond imports",
            top,
            0.2,
            unit="s",
            raw=raw_top,
        ),
        time_row(
            "reports",
            f"compare of all {calls} in SQLite, beyond imports",
            compared,
            3.0,
            unit="s",
            raw=raw_compared,
        ),
    ]


def _times(
    ours: Callable[[], int], raw: Callable[[], int], rounds: int
) -> tuple[list[float], list[float]]:
    if ours() != raw():
        raise RuntimeError("the two do not find the same groups")
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, found in zip((ours, raw), times, strict=True):
            began = thread_time()
            work()
            found.append(thread_time() - began)
    return times


def _fill(store: Store) -> None:
    rows = _rows(random.Random(SEED))
    for _ in range(CALLS // BATCH_ROWS):
        batch = Batch(call=[next(rows) for _ in range(BATCH_ROWS)])
        if store.append(batch):
            raise RuntimeError("rows were refused")


def _rows(source: random.Random) -> Iterator[StoredRow]:
    """
    Return calls one after the other, as wide as those in mode `digest` are.
    """
    names = CallRecord.__struct_fields__
    fresh = ("id", "run_id", "trace_id", "started_at_us", "feature", "input_tokens")
    fresh += ("cost_nanousd", "status")
    places = [names.index(name) for name in fresh]
    # Of these there are many, but not as many as calls.
    like = [list(call_row(_record(source))) for _ in range(1024)]
    for number in range(CALLS):
        at_us = START_US + number * DAYS * DAY_US // CALLS
        row = like[number % len(like)].copy()
        tokens = source.randrange(100, 4_000)
        id = uuid7(at_us)
        failed = source.random() < 0.02
        values = (id, id, id, at_us, f"feature-{source.randrange(20)}", tokens)
        values += (None if failed else tokens * 150, "error" if failed else "ok")
        for place, value in zip(places, values, strict=True):
            row[place] = value
        yield tuple(row)


def _record(source: random.Random) -> CallRecord:
    def digest() -> str:
        return f"{source.getrandbits(256):064x}"

    columns = {
        "id": uuid7(START_US),
        "framework": "langchain",
        "framework_version": "1.7.2",
        "operation": "chat",
        "provider": "openai",
        "request_model": "gpt-4o-mini",
        "response_model": source.choice(("gpt-4o-mini-2024-07-18", "gpt-4o-2024-11-20")),
        "response_id": "chatcmpl-1",
        "parameters": '{"max_tokens":400,"temperature":0.2}',
        "started_at_us": START_US,
        "latency_us": source.randrange(10**5, 10**7),
        "output_tokens": source.randrange(10, 400),
        "usage_source": "provider",
        "cost_source": "genai-prices",
        "price_id": "genai-prices:0.2.3:openai/gpt-4o-mini",
        "status": "ok",
        "finish_reasons": '["stop"]',
        "experiment": "prompt-length",
        "variant": source.choice(("short", "long")),
        "unit_type": "user",
        "unit_ref": digest()[:32],
        "user_ref": digest()[:32],
        "session_ref": digest()[:32],
        "tags": '{"team":"search"}',
        "output_format": "prose",
        "input_digest": digest(),
        "output_digest": digest(),
        "prompt_digest": digest(),
        "capture_mode": "digest",
        "policy_digest": digest()[:16],
        "writer_id": uuid7(START_US),
        "writer_seq": 1,
        "origin": f"{digest()[:32]}:0:0",
    }
    return msgspec.convert(columns, CallRecord)
