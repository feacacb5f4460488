"""
Gunicorn with `--preload`: the trail is opened once and inherited by all workers.
"""

import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

import pytest
from faults.lives import start
from recording import stored

WORKERS = 2
OPTIONS = ("--preload", f"--workers={WORKERS}", "--bind=127.0.0.1:0", "--no-control-socket")
LISTENING = re.compile(r"Listening at: (http://\S+)")

pytestmark = [pytest.mark.fault, pytest.mark.slow]


class Server:
    """
    A server that is running.

    Attributes:
        called: The runs that were answered.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.called = {"master"}
        self._numbers = count()
        self.log = ""
        assert process.stderr is not None
        while not (found := LISTENING.search(self.log)):
            line = process.stderr.readline()
            assert line, self.log
            self.log += line
        self._address = found[1]

    def request_of_all_workers(self) -> set[int]:
        """
        Make requests until every worker has answered one, and return their ids.
        """
        answered: set[int] = set()
        with ThreadPoolExecutor(2 * WORKERS) as threads:
            while len(answered) < WORKERS:
                answered |= set(threads.map(self._request, range(10)))
        return answered

    def stop(self) -> None:
        """
        Stop it as its operator does.
        """
        self.process.terminate()
        _, rest = self.process.communicate(timeout=60)
        self.log += rest
        assert self.process.returncode == 0

    def _request(self, _: int) -> int:
        run = f"run-{next(self._numbers)}"
        with urllib.request.urlopen(f"{self._address}/{run}", timeout=60) as answer:
            pid = int(answer.read())
        self.called.add(run)
        return pid


@contextmanager
def serving(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """
    Start the server and stop it.
    """
    monkeypatch.setenv("MODELTRAIL_URL", url)
    with start(
        "gunicorn", *OPTIONS, "faults.web:app", stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            server = Server(process)
            yield server
            server.stop()
        finally:
            process.kill()
    assert "modeltrail" not in server.log
    assert "Traceback" not in server.log


def test_calls_of_all_workers_are_stored(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What workers called, and what was called before they were forked."""
    with serving(database, monkeypatch) as server:
        server.request_of_all_workers()
    assert stored(database) == dict.fromkeys(server.called, "ok")


def test_killed_workers_lose_nothing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers may be killed; those that take their place call on."""
    with serving(database, monkeypatch) as server:
        killed = server.request_of_all_workers()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        assert killed.isdisjoint(server.request_of_all_workers())
    assert stored(database) == dict.fromkeys(server.called, "ok")
