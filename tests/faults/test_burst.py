"""
More calls than the database takes: disk and memory keep their bounds, and all adds up.
"""

import json
from time import sleep
from typing import NamedTuple

import pytest
from mishaps import child, locked, rows, told_drops

pytestmark = [pytest.mark.fault, pytest.mark.alone]

MEGA = 1024 * 1024
MEMORY_LIMIT = 64 * MEGA
SMALL_LIMIT = 4 * MEGA
DEFAULT_LIMIT = 1024 * MEGA

CHILD = """
import json, sys, time
from pathlib import Path
import modeltrail
from modeltrail.storage import Store
from recording import make_call

url, times, limit, delay = sys.argv[1], *map(int, sys.argv[2:])
if delay:
    append = Store.append
    def append_slowly(store, batch):
        time.sleep(delay / 1000)
        return append(store, batch)
    Store.append = append_slowly

def rss(line="VmRSS:"):
    (found,) = [each for each in Path("/proc/self/status").read_text().splitlines() if line in each]
    return int(found.split()[1]) * 1024

trail = modeltrail.open(url, spool_limit_bytes=limit)
def call(times):
    for _ in range(times):
        make_call(trail.recorder, "run", tags={"feature": "burst"})
call(5000)
assert trail.flush(60)
base = rss()
Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
print("ready", flush=True)
input()
spool = 0
began = time.monotonic()
for _ in range(times // 500):
    call(500)
    spool = max(spool, trail.health().spool_bytes)
took = time.monotonic() - began
during = rss("VmHWM:")
print(took, flush=True)
input()
began = time.monotonic()
stored = trail.flush(1500)
drained = time.monotonic() - began
peak = rss("VmHWM:")
assert trail.close(60) and stored
health = trail.health()
print(json.dumps({
    "made": 5000 + times, "base": base, "during": during, "peak": peak, "spool": spool,
    "took": took, "drained": drained, "drops": dict(health.drops), "problems": dict(health.problems)
}))
"""


class Seen(NamedTuple):
    """
    What a process saw of itself during a burst; bytes and seconds.

    Attributes:
        base: Resident before it.
        during: The most that was resident while calls were made.
        peak: The same, until all was stored.
        spool: The most that the spool had.
    """

    made: int
    base: int
    during: int
    peak: int
    spool: int
    took: float
    drained: float
    drops: dict[str, int]
    problems: dict[str, int]


def burst(url: str, times: int, limit: int, *, delay_ms: int = 0, lock_s: float | None) -> Seen:
    """
    Let a process call as fast as it can.

    Args:
        delay_ms: How much longer each batch takes.
        lock_s: How long the database is locked at least, None for not at all.
    """
    with child(CHILD, url, str(times), str(limit), str(delay_ms)) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        if lock_s is None:
            process.stdin.write("\n\n")
            process.stdin.flush()
        else:
            with locked(url):
                process.stdin.write("\n")
                process.stdin.flush()
                took = float(process.stdout.readline())
                sleep(max(lock_s - took, 0))
            process.stdin.write("\n")
            process.stdin.flush()
        out, err = process.communicate(timeout=1600)
    assert process.returncode == 0, err
    return Seen(**json.loads(out.splitlines()[-1]))


def assert_adds_up(url: str, seen: Seen) -> None:
    """
    Check that each call was stored or counted as dropped.
    """
    ((stored,),) = rows(url, "SELECT count(*) FROM call")
    ((ids,),) = rows(url, "SELECT count(DISTINCT id) FROM call")
    drops = told_drops(url)
    assert stored == ids
    assert dict(drops) == seen.drops
    assert stored + sum(n for slot, n in drops.items() if slot.endswith(":call")) == seen.made


def tell(capsys: pytest.CaptureFixture[str], seen: Seen) -> None:
    """
    Print the figures.
    """
    with capsys.disabled():
        print(
            f"\n{seen.made} calls in {seen.took:.1f} s, stored in {seen.drained:.1f} s more; "
            f"resident {seen.base / MEGA:.1f} MB before, {seen.during / MEGA:.1f} during, "
            f"{seen.peak / MEGA:.1f} at most; spool {seen.spool / MEGA:.1f} MB; {seen.drops} ",
            end="",
        )


@pytest.mark.parametrize("slow_store", [True, False])
def test_small_spool_keeps_its_limit(
    url: str, slow_store: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A burst into a slow or locked database: what does not fit is counted exactly."""
    seen = burst(
        url, 100_000, SMALL_LIMIT, delay_ms=5 * slow_store, lock_s=None if slow_store else 0
    )
    tell(capsys, seen)
    assert seen.spool <= SMALL_LIMIT + 64 * 1024
    assert seen.peak - seen.base < MEMORY_LIMIT
    assert seen.drops["spool-full:call"] > 0
    assert_adds_up(url, seen)


@pytest.mark.parametrize(
    ("times", "lock_s"), [(100_000, 0), pytest.param(1_000_000, 60, marks=pytest.mark.slow)]
)
@pytest.mark.timeout(1800)
def test_memory_stays_flat_while_the_database_is_stopped(
    url: str, times: int, lock_s: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many calls wait, they wait on the disk."""
    seen = burst(url, times, DEFAULT_LIMIT, lock_s=lock_s)
    tell(capsys, seen)
    assert seen.peak - seen.base < MEMORY_LIMIT
    assert_adds_up(url, seen)
