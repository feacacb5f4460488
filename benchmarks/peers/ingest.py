"""
What a record takes until it is durable, in the stores that run on this machine.

No framework takes part: each records through its own face, with all CPU of the process
and of the server behind the store.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.peers.blocks import Block, Subject
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.environments import installed
from benchmarks.peers.processes import PeerError, Worker, reason, surroundings
from benchmarks.peers.progress import tell
from benchmarks.peers.servers import SERVERS, Server
from benchmarks.peers.tallies import count_in

ROUNDS = 12
QUICK_ROUNDS = 6
LAUNCHES = 2
# Many, since a server's CPU is told in hundredths of a second.
MOST_RECORDS = 2000
# A server goes on after a record is there; so much CPU in a step is its idling.
STEP_S = 0.5
IDLE_CPU_S = 0.02
IDLE_TIMEOUT_S = 30
MICROS = 1e6
DIGITS = 1


class Place(NamedTuple):
    """
    Where records go.

    Attributes:
        title: What the page calls it.
        server: The server behind it, a name of `SERVERS`; None if there is none.
    """

    title: str
    peer: str
    server: str | None


PLACES = {
    "ours-sqlite": Place("modeltrail, SQLite", "ours", None),
    "ours-postgres": Place("modeltrail, PostgreSQL", "ours", "PostgreSQL"),
    "mlflow-sqlite": Place("MLflow, SQLite", "mlflow", None),
    "phoenix-sqlite": Place("Phoenix's server, SQLite", "phoenix", "Phoenix's server"),
}


class Store(NamedTuple):
    """
    A process that records, and the server behind it.
    """

    subject: Subject
    server: Server

    def round(self, calls: int) -> tuple[Block, float]:
        """
        Record, and return what it took the process and, in all, the server.
        """
        before = self.server.cpu()
        block = self.subject.block(calls)
        self._idle()
        return block, self.server.cpu() - before

    def _idle(self) -> None:
        """
        Wait until the server has done all that the records made it do.
        """
        deadline = time.monotonic() + IDLE_TIMEOUT_S
        cpu, before = self.server.cpu(), -1.0
        while cpu - before > IDLE_CPU_S and time.monotonic() < deadline:
            time.sleep(STEP_S)
            before, cpu = cpu, self.server.cpu()


def run(names: Sequence[str], *, rounds: int | None, quick: bool) -> dict[str, Any]:
    """
    Return for each store what its blocks took, or why it could not be run.
    """
    launches = 1 if quick else LAUNCHES
    each = max(1, (rounds or (QUICK_ROUNDS if quick else ROUNDS)) // launches)
    found: dict[str, Any] = {name: {"blocks": []} for name in PLACES if PLACES[name].peer in names}
    for _ in range(launches):
        for name, blocks in found.items():
            _launch(name, each, blocks)
    return {"launches": launches, "rounds": launches * each, "places": found}


def _launch(name: str, rounds: int, found: dict[str, Any]) -> None:
    """
    Add what the blocks of a new process and a new store took, as one list.
    """
    try:
        with _store(PLACES[name]) as store:
            calls = store.subject.warm(MOST_RECORDS)
            found["blocks"].append([_figures(*store.round(calls)) for _ in range(rounds)])
    except Exception as error:
        found["error"] = reason(error)
        tell(f"ingest, {name}: {error!r}")
    else:
        tell(f"ingest, {name}: {rounds} rounds of {calls} records")


@contextmanager
def _store(place: Place) -> Iterator[Store]:
    """
    Start what records, and the server behind it.

    Raises:
        PeerError: One of them could not be started.
    """
    peer = PEERS[place.peer]
    if error := installed(peer.environment).error:
        raise PeerError(error)
    with TemporaryDirectory(prefix="modeltrail-peers-") as home:
        folder = Path(home)
        with _server(place, folder) as server:
            own = surroundings(peer, sink="", folder=folder, raised=True)
            variables = own | dict(server.settings)
            with Worker(
                peer.environment, place.peer, "records", variables=variables, folder=folder
            ) as worker:
                yield Store(Subject(worker, server.tally), server)


@contextmanager
def _server(place: Place, folder: Path) -> Iterator[Server]:
    if place.server:
        with SERVERS[place.server](folder) as server:
            yield server
    else:
        kept = PEERS[place.peer].kept
        assert kept
        yield Server({}, lambda: 0.0, lambda: count_in(folder / kept.file, kept.query))


def _figures(block: Block, server: float) -> dict[str, Any]:
    """
    Return a round in microseconds for each record.
    """
    return {
        "process": round(block.process * MICROS, DIGITS),
        "server": round(server / block.calls * MICROS, DIGITS),
        "calls": block.calls,
        "missing": block.missing,
    }
