"""
Celery's prefork pool: the trail is opened once and inherited by all children of the pool.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery
from faults.lives import start
from faults.queue_folder import settings
from recording import stored

RUNS = [f"run-{number}" for number in range(20)]
WORKER = ("-A", "faults.tasks", "worker", "--concurrency=2", "--loglevel=WARNING")

pytestmark = [pytest.mark.fault, pytest.mark.slow]


class Worker:
    """
    A worker that is running, with its pool.
    """

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self._client = Celery("client")
        self._client.conf.update(settings(str(folder)))

    def do_all(self) -> set[int]:
        """
        Have a task done for each run, and return the ids of the processes that did them.
        """
        sent = [self._client.send_task("faults.tasks.call", [run]) for run in RUNS]
        return {int(each.get(timeout=60)) for each in sent}


@contextmanager
def working(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """
    Start a worker, which the block ends.
    """
    monkeypatch.setenv("MODELTRAIL_URL", url)
    monkeypatch.setenv("TASKS_FOLDER", str(folder))
    with (
        (folder / "log").open("wb") as log,
        start("celery", *WORKER, stdout=log, stderr=log) as process,
    ):
        try:
            yield Worker(process, folder)
            process.wait(60)
        finally:
            process.kill()
    told = (folder / "log").read_text()
    assert "modeltrail" not in told
    assert "Traceback" not in told


def test_calls_of_tasks_are_stored(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What children of the pool called, and what was called before they were forked."""
    with working(database, tmp_path, monkeypatch) as worker:
        assert worker.process.pid not in worker.do_all()
        worker.process.terminate()
    assert worker.process.returncode == 0
    assert stored(database) == dict.fromkeys(["master", *RUNS], "ok")


def test_killed_pool_loses_nothing(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Children are killed, and the worker, too, for it waits for a lock that died with them."""
    with working(database, tmp_path, monkeypatch) as worker:
        for pid in (*worker.do_all(), worker.process.pid):
            os.kill(pid, signal.SIGKILL)
    assert stored(database) == dict.fromkeys(["master", *RUNS], "ok")
