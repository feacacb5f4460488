"""
SIGTERM, with the handler that is offered.
"""

import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

import modeltrail
from modeltrail.errors import ConfigurationError
from modeltrail.trail import Trail

pytestmark = pytest.mark.fault

TESTS = Path(__file__).parents[1]
CHILD = """
import os, signal, sys, time
sys.path.insert(0, {tests!r})
import modeltrail
from recording import make_call, request
def before(number, frame):
    print("previous handler", flush=True)
    sys.exit(3)
{previous}
trail = modeltrail.open({url!r})
trail.store_on_sigterm()
trail.recorder.start(request("flying"))
for number in range(20):
    make_call(trail.recorder, str(number))
os.write(1, b"ready\\n")  # not by print, which may not be interrupted by another one
while True:
    time.sleep(60)
"""
PREVIOUS = {
    "none": ("", -signal.SIGTERM, ""),
    "function": ("signal.signal(signal.SIGTERM, before)", 3, "previous handler\n"),
}


def rows(url: str) -> dict[str, str]:
    """
    Return the status of each stored call, without opening the trail.
    """
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return dict(connection.execute("SELECT run_id, status FROM call").fetchall())


@pytest.mark.parametrize("previous", PREVIOUS)
def test_what_has_ended_is_stored_first(url: str, previous: str) -> None:
    """Then the process ends as it would have ended, by the signal or the previous handler."""
    setup, code, said = PREVIOUS[previous]
    program = CHILD.format(tests=str(TESTS), url=url, previous=setup)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.terminate()
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (code, said, "")
    ended = {str(number): "ok" for number in range(20)}
    settled = {"flying": "incomplete"} if code == 3 else {}
    assert rows(url) == ended | settled
    modeltrail.open(url).close()
    assert rows(url) == ended | {"flying": "incomplete"}


def test_signal_that_is_ignored_stays_so(trail: Trail) -> None:
    """Who ignores SIGTERM goes on, and so does the trail."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        trail.store_on_sigterm()
        signal.raise_signal(signal.SIGTERM)
        assert trail.flush(20)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_are_told_where_to_go(trail: Trail) -> None:
    """Python handles signals on the main thread only."""
    caught: list[BaseException] = []

    def install() -> None:
        try:
            trail.store_on_sigterm()
        except ConfigurationError as error:
            caught.append(error)

    thread = threading.Thread(target=install)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])
