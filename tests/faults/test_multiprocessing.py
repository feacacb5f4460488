"""
Children of multiprocessing, which skip atexit, and many processes at once.
"""

import multiprocessing
import sqlite3
import threading
from contextlib import closing

import pytest
from recording import make_call, request, response

import modeltrail

pytestmark = pytest.mark.fault


def work(url: str, name: str) -> None:
    """
    Open the trail in the child, call, return.
    """
    make_call(modeltrail.open(url).recorder, name)


def call_from_a_thread(url: str, name: str) -> None:
    """
    Open the trail in the child and return; a thread ends one call and makes another.
    """
    recorder = modeltrail.open(url).recorder
    begun = recorder.start(request(name))

    def end_when_work_has_returned() -> None:
        threading.main_thread().join()
        begun.stop(response())
        make_call(recorder, f"{name}-late")

    threading.Thread(target=end_when_work_has_returned).start()


def stored(url: str) -> set[str]:
    """
    Return the runs that are stored, without opening the trail.
    """
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return {run for (run,) in connection.execute("SELECT run_id FROM call")}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_child_stores_before_it_ends(url: str, method: str) -> None:
    """A child that opens the trail leaves nothing for others to do."""
    context = multiprocessing.get_context(method)
    child = context.Process(target=work, args=(url, "child"))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert stored(url) == {"child"}


def test_forked_child_stores_what_it_called_on_the_inherited_trail(url: str) -> None:
    """The trail that a child inherits stores at the child's end, too."""
    with modeltrail.open(url) as trail:
        context = multiprocessing.get_context("fork")
        child = context.Process(target=make_call, args=(trail.recorder, "child"))
        child.start()
        child.join(60)
        assert stored(url) == {"child"}
        make_call(trail.recorder, "parent")
    assert stored(url) == {"child", "parent"}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_stores_what_its_threads_tell_last(url: str, method: str) -> None:
    """A call that a thread ends after the child's function has returned is whole."""
    context = multiprocessing.get_context(method)
    child = context.Process(target=call_from_a_thread, args=(url, "child"))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        found = dict(connection.execute("SELECT run_id, status FROM call").fetchall())
    assert found == {"child": "ok", "child-late": "ok"}
