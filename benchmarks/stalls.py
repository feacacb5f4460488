"""
Wall time that others lose: an event loop while the database hangs, a thread beside a busy one.

Noisy on a shared machine, so there is no gate; what counts is the same without us beside it.
"""

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import modeltrail
from benchmarks.core import REQUEST, RESPONSE
from benchmarks.figures import differences, median_interval, ratio_interval
from benchmarks.report import Row
from benchmarks.timing import rounds_for
from modeltrail.integration import Recorder
from modeltrail.storage.spool.segment import MappedSegment, Segment, WrittenSegment

TICK_S = 0.001
WATCHED_S = 0.5
APPENDS = 100
# So many are appended between two turns of the spool's keeper.
TURN = 20
FRAME = b"x" * 600
SEGMENT_BYTES = 2 * 1024 * 1024


def event_loop(*, quick: bool) -> list[Row]:
    """
    Measure the largest lag of an event loop that makes calls while the database is locked.
    """
    with TemporaryDirectory(prefix="modeltrail-bench-") as folder:
        url = f"sqlite:///{folder}/calls.db"
        with modeltrail.open(url) as trail, _locked(Path(folder) / "calls.db"):
            lags: dict[bool, list[float]] = {True: [], False: []}
            for number in range(rounds_for(20, quick=quick) * 2):
                ours = bool(number % 2)
                watched = _watch(trail.recorder if ours else None)
                lags[ours].append(asyncio.run(watched) * 1e3)
    extra = median_interval(differences(lags[True], lags[False]))
    what = f"largest event-loop lag in {WATCHED_S} s, a call each ms, database locked; extra"
    beside = {"without a trail": median_interval(lags[False])}
    return [Row("event-loop", what, "ms", extra, beside, None, None, is_ratio=False)]


def beside_a_busy_thread(*, quick: bool) -> list[Row]:
    """
    Measure how long appends take while another thread computes.
    """
    # On one CPU the other thread has no chance to take the interpreter meanwhile.
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    with TemporaryDirectory(prefix="modeltrail-bench-") as name, _computing():
        folder = Path(name)
        mapped = MappedSegment(folder, "mapped", "0", SEGMENT_BYTES)
        written = WrittenSegment(folder, "written", "0")
        times: dict[Segment, list[float]] = {mapped: [], written: []}
        for _ in range(rounds_for(20, quick=quick)):
            for segment, worst in times.items():
                worst.append(_append(segment))
    what = "append beside a thread that computes, 95th percentile of wall time"
    return [
        Row(
            "busy-thread",
            what,
            "us",
            median_interval(times[mapped]),
            {"by system call": median_interval(times[written])},
            ratio_interval(times[mapped], times[written]),
            None,
            is_ratio=True,
        )
    ]


async def _watch(recorder: Recorder | None) -> float:
    """
    Return the largest lag in seconds of a loop on which calls are made.
    """
    worst = 0.0
    calls = asyncio.create_task(_call(recorder)) if recorder else None
    until = perf_counter() + WATCHED_S
    while (began := perf_counter()) < until:
        await asyncio.sleep(TICK_S)
        worst = max(worst, perf_counter() - began - TICK_S)
    if calls:
        calls.cancel()
    return worst


async def _call(recorder: Recorder) -> None:
    while True:
        recorder.start(REQUEST).stop(RESPONSE)
        await asyncio.sleep(TICK_S)


def _append(segment: Segment) -> float:
    times = []
    for number in range(APPENDS):
        if number % TURN == 0:
            segment.prepare()
        sleep(TICK_S)
        began = perf_counter()
        segment.append(FRAME)
        times.append((perf_counter() - began) * 1e6)
    return quantiles(times, n=20)[-1]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def _computing() -> Iterator[None]:
    done = threading.Event()
    thread = threading.Thread(target=_compute, args=(done.is_set,))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _compute(is_over: Callable[[], bool]) -> None:
    total = 0
    while not is_over():
        for number in range(1000):
            total += number * number
