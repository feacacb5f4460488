"""
A clock that is moved while calls are made.
"""

import json

import pytest
from mishaps import child, rows

pytestmark = pytest.mark.fault

HOUR_US = 3_600_000_000
CHILD = """
import sys, time
moved, time_ns = [0], time.time_ns
time.time_ns = lambda: time_ns() + moved[0]
import modeltrail
from modeltrail.storage.keeper import CLOCK_JUMP_NS
from recording import make_call, request, response

trail = modeltrail.open(sys.argv[1])

def call(first):
    for number in range(first, first + 20):
        make_call(trail.recorder, str(number))

def move(hours, told):
    flying = trail.recorder.start(request(f"flying-{told}"))
    moved[0] += hours * 3_600_000_000_000
    flying.stop(response())
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert trail.flush(20)
        with trail.store._engine.connect() as connection:
            sql = "SELECT count(*) FROM event WHERE kind = 'clock-jump'"
            if connection.exec_driver_sql(sql).scalar() == told:
                return
        time.sleep(0.05)
    raise AssertionError("the jump was not noticed")

call(0)
move(1, 1)
call(20)
move(-1, 2)
call(40)
trail.close()
"""


def test_clock_that_is_moved_disturbs_nothing(url: str) -> None:
    """Ids stay unique, rows stay in the order of ending, durations are true; events tell why."""
    with child(CHILD, url) as process:
        _, err = process.communicate(timeout=90)
    assert (process.returncode, err) == (0, "")
    found = rows(url, "SELECT id, run_id, latency_us, started_at_us, status FROM call ORDER BY seq")
    ended = [str(number) for number in range(60)]
    ended.insert(40, "flying-2")
    ended.insert(20, "flying-1")
    assert [run_id for _, run_id, *_ in found] == ended
    assert len({id for id, *_ in found}) == 62
    assert {status for *_, status in found} == {"ok"}
    assert all(0 <= latency_us < HOUR_US // 60 for _, _, latency_us, _, _ in found)
    told = rows(url, "SELECT detail FROM event WHERE kind = 'clock-jump' ORDER BY seq")
    jumps = [json.loads(detail)["by_us"] for (detail,) in told]
    assert jumps == pytest.approx([HOUR_US, -HOUR_US], abs=1_000_000)
