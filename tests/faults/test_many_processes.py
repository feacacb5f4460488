"""
Many processes write to one database.
"""

import multiprocessing
import time
from collections import Counter
from typing import Any, NamedTuple

import pytest
from recording import make_call

import modeltrail

pytestmark = [pytest.mark.fault, pytest.mark.alone]

PROCESSES = 8
# A process that is so far ahead of the database waits a little: what is measured is how fast
# rows come in, not how fast a spool grows.
AHEAD_FRAMES = 2_000


class Told(NamedTuple):
    """
    What a process tells of its work.
    """

    calls: int
    stored: bool
    problems: dict[str, int]
    drops: dict[str, int]


def write(url: str, number: int, seconds: float, tell: Any) -> None:
    """
    Make calls for some time, then wait until they are stored.
    """
    with modeltrail.open(url) as trail:
        until = time.monotonic() + seconds
        calls = 0
        while time.monotonic() < until:
            for _ in range(50):
                make_call(trail.recorder, f"{number}-{calls}", tags={"feature": str(number)})
                calls += 1
            while trail.health().waiting_frames > AHEAD_FRAMES:
                time.sleep(0.01)
        stored = trail.flush(60)
        health = trail.health()
    tell.put((number, Told(calls, stored, dict(health.problems), dict(health.drops))))


@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.timeout(300)
def test_no_record_is_lost(
    database: str, seconds: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """Eight processes write at full speed: no error, every record once."""
    modeltrail.open(database).close()
    context = multiprocessing.get_context("spawn")
    tell = context.Queue()
    began = time.monotonic()
    children = [
        context.Process(target=write, args=(database, number, seconds, tell))
        for number in range(PROCESSES)
    ]
    for child in children:
        child.start()
    told = dict(tell.get(timeout=240) for _ in children)
    for child in children:
        child.join(30)
    took = time.monotonic() - began
    assert {each.problems == {} and each.drops == {} and each.stored for each in told.values()} == {
        True
    }, told
    with modeltrail.open(database) as trail:
        sums = trail.store.sums(["feature"])
        found = trail.store.calls(limit=None)
    assert {group.key[0]: group.calls for group in sums} == {
        str(number): each.calls for number, each in told.items()
    }
    assert max(Counter(each.record.run_id for each in found).values()) == 1
    assert len({each.record.writer_id for each in found}) == PROCESSES
    with capsys.disabled():
        kind = database.partition(":")[0]
        print(f"\n{kind}: {len(found)} calls of {PROCESSES} processes in {took:.0f} s, ", end="")
        print(f"{len(found) / took:,.0f} a second")
