"""
What tests of faults do to a trail's surroundings, and how they add up what is left.
"""

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from langchain_core.language_models import FakeListChatModel
from modeltrail_langchain import TrailCallbackHandler
from recording import make_call
from sqlalchemy import text

import modeltrail
from modeltrail.storage import Store
from modeltrail.trail import Trail

TESTS = Path(__file__).parent
CHUNK = bytes(64 * 1024)
ENOUGH = 100_000


class Tally(NamedTuple):
    """
    What is stored in a trail.

    Attributes:
        runs: Stored calls by the id that the framework gave them.
        statuses: How many calls ended how.
        drops: What all events `records-dropped` say together.
    """

    runs: Counter[str]
    statuses: Counter[str]
    drops: Counter[str]

    @property
    def calls(self) -> int:
        """
        How many calls are stored; none is there twice.
        """
        assert set(self.runs.values()) <= {1}
        return len(self.runs)

    @property
    def dropped_calls(self) -> int:
        """
        How many calls the trail says were dropped.
        """
        return sum(number for slot, number in self.drops.items() if slot.endswith(":call"))


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    """
    Read a trail's database without opening the trail.
    """
    store = Store.open(url, create=False)
    with store._engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(sql))]
    store.close()
    return found


def tally(url: str) -> Tally:
    """
    Add up what is stored in a trail, without opening it.
    """
    calls = rows(url, "SELECT run_id, status FROM call")
    runs = Counter(run for run, _ in calls)
    return Tally(runs, Counter(status for _, status in calls), told_drops(url))


def told_drops(url: str) -> Counter[str]:
    """
    Add up what the events of a trail say was lost.
    """
    drops: Counter[str] = Counter()
    for (detail,) in rows(url, "SELECT detail FROM event WHERE kind = 'records-dropped'"):
        drops.update(json.loads(detail))
    return drops


def tally_after_the_next_open(url: str) -> Tally:
    """
    Let the next process store what is left, then add up.
    """
    with modeltrail.open(url) as trail:
        assert trail.flush(60)
    return tally(url)


def assert_intact(url: str) -> None:
    """
    Check an SQLite file from its first to its last page.
    """
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def descriptors() -> int:
    """
    Return how many files this process has open.
    """
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def locked(url: str) -> Iterator[None]:
    """
    Keep everybody from storing calls.
    """
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as lock:
            lock.execute("BEGIN IMMEDIATE")
            yield
            lock.execute("ROLLBACK")
    else:
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE call IN ACCESS EXCLUSIVE MODE")
            yield
            connection.rollback()


def run(*words: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    """
    Run a command.
    """
    return subprocess.run(words, check=False, capture_output=True, text=True, **more)


def child(program: str, *words: str, **environ: str) -> "subprocess.Popen[str]":
    """
    Start a Python program that may import what tests import.
    """
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS), **environ},
    )


@contextmanager
def mounted(place: Path, *words: str) -> Iterator[Path]:
    """
    Mount something; skip the test where that is not permitted.
    """
    place.mkdir(exist_ok=True)
    done = run("mount", *words, str(place))
    if done.returncode:
        pytest.skip(f"NOT TESTED, mounting is not permitted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        run("umount", "--lazy", str(place))


def small_disk(place: Path, size: str) -> AbstractContextManager[Path]:
    """
    Mount a small disk of memory.
    """
    return mounted(place, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")


def fill(place: Path) -> Path:
    """
    Take all the room that is left on a disk; return the file that takes it.
    """
    path = place / "filler"
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    size = len(CHUNK)
    while size:
        try:
            os.write(descriptor, CHUNK[:size])
        except OSError:
            size //= 2
    os.close(descriptor)
    return path


class Caller:
    """
    An application that counts its calls.
    """

    def __init__(self, trail: Trail) -> None:
        self.trail = trail
        self.made = 0
        self._model = FakeListChatModel(
            responses=["Eight."], callbacks=[TrailCallbackHandler(trail)]
        )

    def call(self, times: int = 1) -> None:
        """
        Make calls.
        """
        for _ in range(times):
            make_call(self.trail.recorder, str(self.made))
            self.made += 1

    def ask(self) -> str:
        """
        Make a call through a framework and return the answer.
        """
        self.made += 1
        return str(self._model.invoke("How many legs has a spider?").content)

    @property
    def dropped(self) -> int:
        """
        How many frames the trail says were lost.
        """
        return sum(self.trail.health().drops.values())

    def call_until_some_are_dropped(self) -> None:
        """
        Call until the disk takes nothing any more, and then some.
        """
        while not self.dropped:
            assert self.made < ENOUGH, "the disk takes all"
            self.call(50)
        self.call(200)

    def call_until_nothing_is_dropped(self) -> None:
        """
        Call now and then until a call is stored again.
        """
        for _ in range(100):
            before = self.dropped
            self.call()
            assert self.trail.flush(30)
            if self.dropped == before:
                return
        raise AssertionError("recording does not resume")
