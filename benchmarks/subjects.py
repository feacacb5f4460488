"""
What the comparisons of all frameworks have in common.

Every subject that stores is asked at the end how much it stored, so that a
lost record cannot look like a fast one.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

import modeltrail
from benchmarks.reference import DurableLimit, Limit
from benchmarks.timing import Subject, nothing
from modeltrail.record import CaptureMode
from modeltrail.trail import Trail

# Ours twice: keeping what the references keep, and as it is when nobody asks for anything else.
OURS: dict[str, CaptureMode] = {"ours": "metadata", "ours, digests": "digest"}
NAMES = ("none", "no-op", "limit", "durable", *OURS)
FLUSH_TIMEOUT_S = 30

T = TypeVar("T")


class Ours:
    """
    A trail, opened as an application would open it.
    """

    def __init__(self, path: Path, mode: CaptureMode) -> None:
        self._path = path
        self.trail: Trail = modeltrail.open(f"sqlite:///{path}", capture=mode)

    def flush(self) -> None:
        """
        Wait until every call that has ended is stored.
        """
        if not self.trail.flush(FLUSH_TIMEOUT_S):
            raise TimeoutError("the trail does not write")

    @property
    def stored(self) -> int:
        """
        How many calls are in the database.
        """
        with closing(sqlite3.connect(self._path)) as connection:
            found: int = connection.execute("SELECT count(*) FROM call").fetchone()[0]
        if problems := self.trail.health().problems:
            raise RuntimeError(f"our trail had problems: {dict(problems)}")
        return found


Store = Limit | Ours


class Stores(NamedTuple):
    """
    Where the subjects of one comparison store.

    Attributes:
        threads: Those that work for each of them.
    """

    limit: Limit
    durable: DurableLimit
    ours: Mapping[str, Ours]
    threads: Mapping[str, tuple[threading.Thread, ...]]

    def named(self) -> dict[str, Store]:
        """
        Return them by the names of the subjects.
        """
        return {"limit": self.limit, "durable": self.durable, **self.ours}


@contextmanager
def stores() -> Iterator[Stores]:
    """
    Open our trails, and the limits beside them.
    """
    with TemporaryDirectory(prefix="modeltrail-bench-") as name, ExitStack() as ending:
        folder = Path(name)
        threads: dict[str, tuple[threading.Thread, ...]] = {}

        def made(name: str, make: Callable[[], T]) -> T:
            before = set(threading.enumerate())
            store = make()
            threads[name] = tuple(set(threading.enumerate()) - before)
            return store

        def opened(name: str, mode: CaptureMode) -> Ours:
            ours = made(name, lambda: Ours(folder / f"{mode}.db", mode))
            ending.callback(ours.trail.close)
            return ours

        limit = made("limit", lambda: Limit(folder / "limit.db"))
        durable = made("durable", lambda: DurableLimit(folder / "durable.db"))
        ours = {name: opened(name, mode) for name, mode in OURS.items()}
        yield Stores(limit, durable, ours, threads)


class Counted:
    """
    The subjects that every framework has, and a count of their calls.

    Args:
        run: Makes so many calls.
        enter: Lets the named subject's handlers take part, and no others.
    """

    def __init__(
        self, where: Stores, run: Callable[[str, int], None], enter: Callable[[str], object]
    ) -> None:
        self._where = where
        self._run = run
        self._enter = enter
        self._made = dict.fromkeys(NAMES, 0)
        self._flushes = {name: store.flush for name, store in where.named().items()}

    def subjects(self, names: Sequence[str] = NAMES) -> list[Subject]:
        """
        Return the named subjects.
        """
        return [self._subject(name) for name in names]

    def check(self) -> None:
        """
        Check that every call was stored.
        """
        for flush in self._flushes.values():
            flush()
        stored = {name: store.stored for name, store in self._where.named().items()}
        made = {name: self._made[name] for name in stored}
        if made != stored:
            raise RuntimeError(f"calls were lost or doubled: made {made}, stored {stored}")

    def _subject(self, name: str) -> Subject:
        def run(calls: int) -> None:
            self._made[name] += calls
            self._run(name, calls)

        return Subject(
            name,
            run,
            enter=lambda: self._enter(name),
            flush=self._flushes.get(name, nothing),
            threads=self._where.threads.get(name, ()),
        )
