"""
Children of multiprocessing, which skip atexit, and many processes at once.
"""

import multiprocessing
import sqlite3
from contextlib import closing

import pytest
from recording import make_call

import modeltrail

pytestmark = pytest.mark.fault


def work(url: str, name: str) -> None:
    """
    Open the trail in the child, call, return.
    """
    make_call(modeltrail.open(url).recorder, name)


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
