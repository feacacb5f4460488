"""
A database that is locked or hangs.
"""

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic

import pytest
from mishaps import Caller, child, locked, tally, tally_after_the_next_open
from postgres import OwnServer, migrated_database

import modeltrail

pytestmark = [pytest.mark.fault, pytest.mark.alone]


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """
    Start a server that can be frozen.
    """
    started = OwnServer()
    yield started
    started.stop()


@pytest.fixture
def frozen_url(server: OwnServer) -> Iterator[str]:
    """
    Name an empty database on it.
    """
    with migrated_database(server.url) as url:
        yield url


def test_nobody_waits_for_a_lock(database: str) -> None:
    """While others hold the database calls return; then all of them are stored, once each."""
    modeltrail.open(database).close()
    with modeltrail.open(database) as trail:
        caller = Caller(trail)
        with locked(database):
            caller.call(3000)  # these return before the lock is given back
            assert caller.ask() == "Eight."
            assert not trail.flush(0.5)
            assert trail.health().drops == {}
        assert trail.flush(60)
    found = tally(database)
    assert (found.calls, found.statuses) == (caller.made, {"ok": caller.made})


async def test_waiting_has_an_end(server: OwnServer, frozen_url: str) -> None:
    """`flush`, `aflush` and `close` give up in about their time while a server hangs."""
    trail = modeltrail.open(frozen_url)
    caller = Caller(trail)
    caller.call(10)
    assert trail.flush(30)
    with server.frozen():
        caller.call(1000)
        assert caller.ask() == "Eight."
        began = monotonic()
        assert not trail.flush(0.5)
        assert not await trail.aflush(0.5)
        assert monotonic() - began < 10
        assert trail.health().drops == {}
        began = monotonic()
        assert not trail.close(0.5)
        assert monotonic() - began < 10
    trail._background.writer._thread.join(60)
    assert not trail._background.writer._thread.is_alive()
    found = tally_after_the_next_open(frozen_url)
    assert (found.calls, found.statuses) == (caller.made, {"ok": caller.made})


EXITING = """
import sys
from mishaps import Caller
import modeltrail

trail = modeltrail.open(sys.argv[1])
caller = Caller(trail)
caller.call(10)
assert trail.flush(30)
print("ready", flush=True)
input()
caller.call(1000)
if sys.argv[2] == "closed":
    print(trail.close(0.5))
"""


@pytest.mark.parametrize("how", ["closed", "left open"])
def test_program_ends_while_a_server_hangs(server: OwnServer, frozen_url: str, how: str) -> None:
    """The writer waits in the driver and keeps nobody from ending; the next to open stores all."""
    with child(EXITING, frozen_url, how) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with server.frozen():
            try:
                out, err = process.communicate("\n", timeout=40)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert (process.returncode, err) == (0, "")
    assert out == ("False\n" if how == "closed" else "")
    found = tally_after_the_next_open(frozen_url)
    assert (found.calls, found.statuses) == (1010, {"ok": 1010})


LOOP = """
import asyncio, sys, time
from langchain_core.language_models import FakeListChatModel
from modeltrail_langchain import TrailCallbackHandler
import modeltrail

url, seconds = sys.argv[1], float(sys.argv[2])
trail = modeltrail.open(url) if url else None
callbacks = [TrailCallbackHandler(trail)] if trail else []
model = FakeListChatModel(responses=["Eight."], callbacks=callbacks)
TICK = 0.001

async def tick(until):
    largest = 0.0
    while (now := time.monotonic()) < until:
        await asyncio.sleep(TICK)
        largest = max(largest, time.monotonic() - now - TICK)
    return largest

async def call(until):
    made = 0
    while time.monotonic() < until:
        assert (await model.ainvoke("How many legs has a spider?")).content == "Eight."
        made += 1
        await asyncio.sleep(0.002)
    return made

async def main():
    await call(time.monotonic() + 0.5)
    if trail: assert await trail.aflush(30)
    print("ready", flush=True)
    input()
    until = time.monotonic() + seconds
    largest, made = await asyncio.gather(tick(until), call(until))
    print(largest, made, flush=True)
    input()

asyncio.run(main())
"""


def largest_lag(hang: AbstractContextManager[None], url: str, seconds: float) -> float:
    """
    Run an event loop that calls while the database hangs; return its largest lag, seconds.
    """
    with child(LOOP, url, str(seconds)) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        with hang:
            process.stdin.write("\n")
            process.stdin.flush()
            lag, made = process.stdout.readline().split()
        _, err = process.communicate("\n", timeout=60)
        assert process.returncode == 0, err
    assert int(made) > 50
    return float(lag)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    ("seconds", "times"), [(1, 2), pytest.param(10, 3, marks=pytest.mark.slow)]
)
@pytest.mark.timeout(300)
def test_event_loop_is_not_held_up(
    server: OwnServer,
    frozen_url: str,
    tmp_path: Path,
    kind: str,
    seconds: int,
    times: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """While the database hangs the largest lag of a loop is that of a loop without a trail.

    The least of several runs, since other programs of this machine can only add to it.
    """
    url = f"sqlite:///{tmp_path}/calls.db" if kind == "sqlite" else frozen_url
    modeltrail.open(url).close()

    def hang() -> AbstractContextManager[None]:
        return locked(url) if kind == "sqlite" else server.frozen()

    without, with_trail = [], []
    for _ in range(times):
        without.append(largest_lag(hang(), "", seconds))
        with_trail.append(largest_lag(hang(), url, seconds))
    added = min(with_trail) - min(without)
    with capsys.disabled():
        print(
            f"\n{kind}, {seconds} s: lag {min(with_trail) * 1e3:.1f} ms with a trail, "
            f"{min(without) * 1e3:.1f} ms without, ",
            end="",
        )
    assert added < 0.050
    found = tally_after_the_next_open(url)
    assert set(found.statuses) == {"ok"}
    assert found.drops == {}
