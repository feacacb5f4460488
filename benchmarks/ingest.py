"""
The writer: what a record costs on its way from the spool into SQLite.

The reference is raw sqlite3: the same rows in batches as large, into a table of
the same columns with the same indexes and pragmas. Three files grow side by
side, so that their indexes are equally deep.
"""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from benchmarks.core import KEYS, REQUEST, RESPONSE, new_spool
from benchmarks.report import Row, total_row
from benchmarks.timing import Subject, measure, rounds_for
from modeltrail.capture import CapturePolicy
from modeltrail.ids import now_us, uuid7
from modeltrail.integration import Recorder, Request
from modeltrail.pipeline import Pipeline
from modeltrail.problems import Problems
from modeltrail.storage import Store
from modeltrail.storage.drain import Drain, WriterIdentity
from modeltrail.storage.rows import CALL_COLUMNS, Batch
from modeltrail.storage.rows import Row as StoredRow
from modeltrail.storage.spool import Spool

RECORDS = 1024
BATCH_ROWS = 512
SEED = 7
PRAGMAS = ("journal_mode = WAL", "synchronous = FULL")
FRESH = tuple(CALL_COLUMNS.index(name) for name in ("id", "run_id", "trace_id"))
STARTED_AT = CALL_COLUMNS.index("started_at_us")


class Whole:
    """
    A spool full of calls, and the drain that empties it into a store.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "spool"
        self.store = Store.open(f"sqlite:///{folder}/whole.db")
        self._problems = Problems()
        self._pipeline = Pipeline(problems=self._problems)
        self._writer = WriterIdentity(version("modeltrail"))
        self._random = random.Random(SEED)
        self._spool: Spool | None = None

    def fill(self) -> None:
        """
        Drop the spool that was emptied and fill a new one.
        """
        self.drop()
        self._spool = new_spool(self._folder)
        recorder = Recorder(self._spool.append, KEYS, policy=CapturePolicy("digest"))
        for number in range(RECORDS):
            recorder.start(_request(self._random, number)).stop(RESPONSE)
        self._drain = Drain(
            self._spool, self.store, self._pipeline, KEYS, self._writer, self._problems
        )

    def empty(self, _: int) -> None:
        """
        Empty the spool.
        """
        while self._drain.step(all_ended=True):
            pass

    def drop(self) -> None:
        """
        Let go of the spool.
        """
        if self._spool is not None:
            self._spool.release(remove=True)
            self._spool = None


class Batches:
    """
    Batches of rows that no database has seen, like those in a store.
    """

    def __init__(self, like: list[StoredRow]) -> None:
        self._like = like
        self._random = random.Random(SEED)
        self._clock = count(now_us(), 1000)
        self.ready: list[list[StoredRow]] = []

    def fill(self) -> None:
        """
        Make new batches.
        """
        rows = [self._fresh(row) for row in self._like]
        self.ready = [rows[at : at + BATCH_ROWS] for at in range(0, len(rows), BATCH_ROWS)]

    def _fresh(self, row: StoredRow) -> StoredRow:
        changed = list(row)
        changed[STARTED_AT] = next(self._clock)
        for place in FRESH:
            changed[place] = uuid7(changed[STARTED_AT])
        return tuple(changed)


def durable_write(*, quick: bool) -> list[Row]:
    """
    Measure the whole way of a record, and the last part of it alone.
    """
    with TemporaryDirectory(prefix="modeltrail-bench-") as name, _places(Path(name)) as places:
        folder, (whole, store, plain) = Path(name), places
        rows = _stored(whole)
        ours, twin = Batches(rows), Batches(rows)
        subjects = [
            Subject("whole way", whole.empty, whole.fill),
            Subject("Store.append", lambda _: _append(store, ours.ready), ours.fill),
            Subject("raw sqlite3", lambda _: _insert(plain, twin.ready), twin.fill),
        ]
        costs = measure(subjects, calls=RECORDS, rounds=rounds_for(20, quick=quick))
        _check(**{name: _count(folder / f"{name}.db") for name in ("whole", "store", "plain")})
    way = "durable write, whole way: spool, join, processors, price, validate, insert"
    append = "durable write, ready rows, all indexes (Store.append)"
    raw = costs["raw sqlite3"]
    return [
        total_row("durable-write", append, costs["Store.append"], raw, 2, beside="raw sqlite3"),
        total_row("durable-write", way, costs["whole way"], raw, None, beside="raw sqlite3"),
    ]


@contextmanager
def _places(folder: Path) -> Iterator[tuple[Whole, Store, sqlite3.Connection]]:
    whole = Whole(folder)
    store = Store.open(f"sqlite:///{folder}/store.db")
    plain = _twin(folder / "store.db", folder / "plain.db")
    try:
        yield whole, store, plain
    finally:
        whole.drop()
        plain.close()
        store.close()
        whole.store.close()


def _twin(model: Path, path: Path) -> sqlite3.Connection:
    """
    Make a database with the table `call` of another one, and its indexes.
    """
    connection = sqlite3.connect(path)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    with closing(sqlite3.connect(model)) as source:
        made = source.execute(
            "SELECT sql FROM sqlite_master"
            " WHERE tbl_name = 'call' AND sql IS NOT NULL ORDER BY rowid"
        )
        for (statement,) in made:
            connection.execute(statement)
    return connection


def _stored(whole: Whole) -> list[StoredRow]:
    """
    Return the rows that the whole way makes.
    """
    whole.fill()
    whole.empty(RECORDS)
    with closing(sqlite3.connect(str(whole.store.url.database))) as connection:
        return connection.execute(f"SELECT {', '.join(CALL_COLUMNS)} FROM call").fetchall()


def _append(store: Store, batches: list[list[StoredRow]]) -> None:
    for rows in batches:
        store.append(Batch(call=rows))


def _insert(connection: sqlite3.Connection, batches: list[list[StoredRow]]) -> None:
    marks = ", ".join("?" * len(CALL_COLUMNS))
    statement = f"INSERT INTO call ({', '.join(CALL_COLUMNS)}) VALUES ({marks})"
    for rows in batches:
        with connection:
            connection.executemany(statement, rows)


def _check(*, whole: int, store: int, plain: int) -> None:
    # The whole way has stored once more, to show what rows look like.
    if (whole - RECORDS, store) != (plain, plain):
        raise RuntimeError(f"rows were lost or doubled: {whole}, {store} and {plain}")


def _count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute("SELECT count(*) FROM call").fetchone()[0]
    return found


def _request(source: random.Random, number: int) -> Request:
    """
    Return the request of a service with some features and many users.
    """
    tags = {
        "feature": f"feature-{source.randrange(20)}",
        "experiment": "prompt-length",
        "variant": source.choice(("short", "long")),
        "user": f"user-{source.randrange(5000)}",
        "session": f"session-{source.randrange(20000)}",
        "unit_type": "user",
        "unit": f"user-{source.randrange(5000)}",
    }
    place = f"{source.getrandbits(128):032x}"
    parameters = {"temperature": 0.2, "max_tokens": 400}
    return replace(
        REQUEST, run_id=f"{place}-{number}", trace_id=place, parameters=parameters, tags=tags
    )
