"""
What the comparisons of all frameworks have in common.

Every subject that stores is asked at the end how much it stored, so that a
lost record cannot look like a fast one.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import modeltrail
from benchmarks.reference import DURABLE_THREAD, DurableLimit, Limit
from benchmarks.reference import THREAD as LIMIT_THREAD
from benchmarks.timing import Subject, nothing
from modeltrail.trail import Trail

NAMES = ("none", "no-op", "limit", "durable", "ours")
OUR_THREADS = ("modeltrail-writer", "modeltrail-keeper")
FLUSH_TIMEOUT_S = 30


class Stores(NamedTuple):
    """
    Where the subjects of one comparison store.
    """

    trail: Trail
    limit: Limit
    durable: DurableLimit
    folder: Path

    def flush(self) -> None:
        """
        Wait until every call that has ended is in our trail.
        """
        if not self.trail.flush(FLUSH_TIMEOUT_S):
            raise TimeoutError("the trail does not write")

    def count_calls(self) -> int:
        """
        Return how many calls our trail has stored.
        """
        with closing(sqlite3.connect(self.folder / "calls.db")) as connection:
            found: int = connection.execute("SELECT count(*) FROM call").fetchone()[0]
        return found


@contextmanager
def stores() -> Iterator[Stores]:
    """
    Open a trail as an application would, and the limit beside it.
    """
    with TemporaryDirectory(prefix="modeltrail-bench-") as name:
        folder = Path(name)
        with modeltrail.open(f"sqlite:///{folder}/calls.db") as trail:
            durable = DurableLimit(folder / "durable.db")
            yield Stores(trail, Limit(folder / "limit.db"), durable, folder)


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
        self._flushes = {
            "limit": where.limit.flush,
            "durable": where.durable.flush,
            "ours": where.flush,
        }
        self._threads = {
            "limit": (LIMIT_THREAD,),
            "durable": (DURABLE_THREAD,),
            "ours": OUR_THREADS,
        }

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
        stored = {
            "limit": self._where.limit.stored,
            "durable": self._where.durable.stored,
            "ours": self._where.count_calls(),
        }
        made = {name: self._made[name] for name in stored}
        if made != stored:
            raise RuntimeError(f"calls were lost or doubled: made {made}, stored {stored}")
        if problems := self._where.trail.health().problems:
            raise RuntimeError(f"our trail had problems: {dict(problems)}")

    def _subject(self, name: str) -> Subject:
        def run(calls: int) -> None:
            self._made[name] += calls
            self._run(name, calls)

        return Subject(
            name,
            run,
            enter=lambda: self._enter(name),
            flush=self._flushes.get(name, nothing),
            threads=self._threads.get(name, ()),
        )
