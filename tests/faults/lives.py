"""
Lets programs live and end, many at a time, each with a database and a provider of its own.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from faults.nursery import Life
from mishaps import locked
from postgres import migrated_database, new_database, postgres_server
from scenarios import ANSWERED

import modeltrail
from modeltrail.testing import Answer, LocalProvider, ProviderRequest

TESTS = Path(__file__).parents[1]
AT_ONCE = 8


class Case(NamedTuple):
    """
    A way to live and to end.

    Attributes:
        is_locked: Nobody can write into the database while the program lives.
        is_fresh: In an interpreter of its own, which the framework is imported by.
    """

    ending: str
    database: str
    is_locked: bool = False
    is_fresh: bool = False

    def __str__(self) -> str:
        words = self.ending, self.database, "locked" * self.is_locked, "fresh" * self.is_fresh
        return "-".join(filter(None, words))


class Ended(NamedTuple):
    """
    How a program ended.

    Attributes:
        status: Its exit code, or minus the signal that ended it.
        response_ids: Those of all answers that were given to it.
    """

    status: int
    output: str
    errors: str
    url: str
    response_ids: frozenset[str]


class Databases(ExitStack):
    """
    Makes trails that have no calls, as copies of one of each kind.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._first: dict[str, str] = {}

    def new(self, name: str, kind: str) -> str:
        """
        Make a trail and return its URL.
        """
        if kind not in self._first:
            self._first[kind] = self._make(kind)
            modeltrail.open(self._first[kind]).close()
        first = urlsplit(self._first[kind]).path
        if kind == "sqlite":
            copy = shutil.copy(first[1:], self._folder / f"{name}.db")
            return f"sqlite:///{copy}"
        return self.enter_context(new_database(postgres_server(), first[1:]))

    def _make(self, kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{self._folder}/first.db"
        return self.enter_context(migrated_database(postgres_server()))


class Nursery:
    """
    The process that has imported a framework.
    """

    def __init__(self, framework: str, folder: Path) -> None:
        self._address = str(folder / f"{framework}.births")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self._address)
            listener.listen(AT_ONCE)
            number = listener.fileno()
            self._process = start("faults.nursery", framework, str(number), pass_fds=[number])

    def bear(self, life: Life) -> int:
        """
        Let a child live, and return how it ended.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._address)
            connection.sendall(json.dumps(life._asdict()).encode() + b"\n")
            told = connection.makefile().readline()
        assert told, f"nobody told how {life} ended; the nursery: {self._process.poll()}"
        return int(told)

    def close(self) -> None:
        """
        Let nobody be born any more.
        """
        self._process.kill()
        self._process.wait()


@contextmanager
def let_all_live(
    framework: str, cases: Collection[Case], folder: Path
) -> Iterator[Mapping[Case, Ended]]:
    """
    Let programs live, a few at once; their databases stay as long as the block lasts.

    Args:
        folder: Where their files go; its path must be short, as that of a socket.
    """
    with ExitStack() as stack:
        databases = stack.enter_context(Databases(folder))
        urls = {case: databases.new(str(case), case.database) for case in cases}
        if not all(case.is_fresh for case in cases):
            nursery = stack.enter_context(closing(Nursery(framework, folder)))

        def let_live(case: Case) -> Ended:
            bear = partial(live_afresh, framework) if case.is_fresh else nursery.bear
            paths = folder / f"{case}.out", folder / f"{case}.err"
            lock = locked(urls[case]) if case.is_locked else nullcontext()
            with LocalProvider(answer) as provider, lock:
                status = bear(Life(case.ending, urls[case], provider.base_url, *map(str, paths)))
                served = range(1, len(provider.requests) + 1)
            told = (path.read_text() for path in paths)
            return Ended(status, *told, urls[case], frozenset(f"r-{number}" for number in served))

        # Those first that will wait long for a database.
        ordered = sorted(cases, key=lambda case: not case.is_locked)
        with ThreadPoolExecutor(AT_ONCE) as threads:
            ended = dict(zip(ordered, threads.map(let_live, ordered), strict=True))
        yield ended


def live_afresh(framework: str, life: Life) -> int:
    """
    Let a program live in an interpreter of its own, and return how it ended.
    """
    given = framework, life.ending, life.url, life.base_url
    with Path(life.output).open("w") as output, Path(life.errors).open("w") as errors:
        return start("faults.survivor", *given, stdout=output, stderr=errors).wait()


def answer(request: ProviderRequest) -> Answer:
    """
    Answer each request with an id of its own.
    """
    return Answer(text="Eight.", model=ANSWERED, response_id=f"r-{request.number}")


def start(module: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """
    Start a module of the tests as a program.
    """
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    return subprocess.Popen([sys.executable, "-m", module, *arguments], env=environ, **options)
