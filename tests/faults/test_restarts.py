"""
A server that crashes and comes back under load.
"""

import threading
from collections.abc import Iterator
from typing import Self

import pytest
from mishaps import rows, tally
from postgres import OwnServer, migrated_database
from recording import make_call

import modeltrail
from modeltrail.trail import Trail

pytestmark = pytest.mark.fault

RESTARTS = 4


@pytest.fixture(params=["on", "off"])
def server(request: pytest.FixtureRequest) -> Iterator[OwnServer]:
    """
    Start a server that does or does not promise that what it has committed is durable.
    """
    started = OwnServer(f"synchronous_commit = {request.param}")
    yield started
    started.stop()


class Load:
    """
    Threads that call until they are told to stop.
    """

    def __init__(self, trail: Trail) -> None:
        self.made: list[str] = []
        self._trail = trail
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(each,)) for each in range(2)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, base: int) -> None:
        number = 0
        while not self._stop.wait(0.001):
            run_id = f"{base}-{number}"
            make_call(self._trail.recorder, run_id)
            self.made.append(run_id)
            number += 1


def test_what_was_accepted_is_stored_once(
    server: OwnServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """After each crash the trail goes on by itself: no call is lost, none is there twice."""
    with migrated_database(server.url) as url:
        with modeltrail.open(url) as trail, Load(trail) as load:
            for _ in range(RESTARTS):
                seen = len(load.made)
                while len(load.made) < seen + 200:
                    threading.Event().wait(0.01)
                server.restart_at_once()
            threading.Event().wait(0.2)
        health = trail.health()
        found = tally(url)
        assert set(found.runs) == set(load.made)
        assert (found.calls, found.statuses, found.drops) == (
            len(load.made),
            {"ok": len(load.made)},
            {},
        )
        ((numbers, last),) = rows(
            url, "SELECT count(DISTINCT writer_seq), max(writer_seq) FROM call"
        )
        assert numbers == last == len(load.made)  # no hole
        assert set(health.problems) <= {"store-unavailable"}
    with capsys.disabled():
        print(f"\n{len(load.made)} calls, {health.problems} over {RESTARTS} crashes, ", end="")
