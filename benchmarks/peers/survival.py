"""
What is left of 20 finished calls when the process ends, with the peers' default settings.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.dying import CALLS, ENDINGS
from benchmarks.peers.environments import installed
from benchmarks.peers.processes import PeerError, complaint, end, reason, start, surroundings
from benchmarks.peers.progress import tell
from benchmarks.peers.sink import Sink, listening
from benchmarks.peers.tallies import tally_of

ROUNDS = 3
TIMEOUT_S = 120


def run(names: Sequence[str], *, rounds: int | None, quick: bool) -> dict[str, Any]:
    """
    Return for each peer and each ending what arrived, or why it could not be run.
    """
    times = rounds or (1 if quick else ROUNDS)
    with listening() as sink:
        found = {name: _peer(name, sink, times) for name in names if name != "none"}
    return {"calls": CALLS, "rounds": times, "endings": list(ENDINGS), "peers": found}


def _peer(name: str, sink: Sink, rounds: int) -> dict[str, Any]:
    if error := installed(PEERS[name].environment).error:
        return {"error": error}
    return {ending: _ending(name, ending, sink, rounds) for ending in ENDINGS}


def _ending(name: str, ending: str, sink: Sink, rounds: int) -> dict[str, Any]:
    """
    Return what arrived in each round, or why that could not be found.
    """
    try:
        found = [_once(name, ending, sink) for _ in range(rounds)]
    except Exception as error:
        tell(f"{name}, {ending}: {error!r}")
        return {"error": reason(error)}
    tell(f"{name}, {ending}: {', '.join(str(each['arrived']) for each in found)}")
    return {key: [each[key] for each in found] for key in found[0]}


def _once(name: str, ending: str, sink: Sink) -> dict[str, Any]:
    peer = PEERS[name]
    with TemporaryDirectory(prefix="modeltrail-peers-") as home:
        folder = Path(home)
        variables = surroundings(peer, sink=sink.url, folder=folder, raised=False)
        tally = tally_of(peer, sink, folder)
        sink.empty()
        words = (name, peer.frameworks[0], ending, str(folder / "made"))
        hung = _run(peer.environment, "benchmarks.peers.dying", *words, at=folder, with_=variables)
        _check_made(folder)
        sink.settle()
        found = {"arrived": tally(), "hung": hung}
        if peer.reopens:
            _run(peer.environment, "benchmarks.peers.reopening", at=folder, with_=variables)
            found["reopened"] = tally()
    return found


def _run(environment: str | None, *words: str, at: Path, with_: dict[str, str]) -> bool:
    """
    Run a process and tell whether it had to be killed.
    """
    process = start(environment, *words, variables=with_, folder=at, stdout=subprocess.DEVNULL)
    try:
        process.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return True
    finally:
        end(process)
    return False


def _check_made(folder: Path) -> None:
    """
    Check that the calls returned: what was never made cannot be lost.
    """
    made = (folder / "made").stat().st_size if (folder / "made").exists() else 0
    if made != CALLS:
        raise PeerError(f"{made} of {CALLS} calls were made: {complaint(folder)}")
