"""
What a peer adds to a call of a framework.

The peer and nobody take turns in two processes of the peer's own environment: what one
environment has over another is in both. What a process happens to be like, its hashes
and its memory, it keeps until it ends; so new ones are started several times.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.peers.blocks import Block, Subject
from benchmarks.peers.catalogue import FRAMEWORKS, PEERS, Framework
from benchmarks.peers.environments import installed
from benchmarks.peers.processes import PeerError, Worker, reason, surroundings
from benchmarks.peers.progress import tell
from benchmarks.peers.sink import Sink, listening
from benchmarks.peers.tallies import tally_of

ROUNDS = 24
QUICK_ROUNDS = 6
LAUNCHES = 4
# A burst of so many at most: what is batched is batched as in an application that is busy.
MOST_CALLS = 100
MICROS = 1e6
DIGITS = 1
SIDES = ("none", "peer")


class Pair(NamedTuple):
    """
    Nobody and a peer, warm.

    Attributes:
        calls: How many to make in a block.
    """

    none: Subject
    peer: Subject
    calls: int

    def round(self, number: int) -> dict[str, Block]:
        """
        Make a block of each; who begins, changes with the round.
        """
        sides = list(zip(SIDES, (self.none, self.peer), strict=True))
        return {side: each.block(self.calls) for side, each in sides[:: 1 if number % 2 else -1]}


def run(names: Sequence[str], *, rounds: int | None, quick: bool) -> dict[str, Any]:
    """
    Return for each framework and each peer what its blocks took, or why it could not be run.
    """
    launches = 1 if quick else LAUNCHES
    each = max(1, (rounds or (QUICK_ROUNDS if quick else ROUNDS)) // launches)
    found: dict[str, dict[str, Any]] = {framework: {} for framework in FRAMEWORKS}
    with listening() as sink:
        # The launches of one peer lie apart, so that no peer has a bad hour for itself.
        for launch in range(launches):
            for framework in FRAMEWORKS:
                for name in _measurable(names, framework):
                    blocks = found[framework].setdefault(name, {"blocks": []})
                    _launch(name, framework, sink, each, blocks)
            tell(f"launch {launch + 1} of {launches} is done")
    return {"launches": launches, "rounds": launches * each, "frameworks": found}


def _measurable(names: Sequence[str], framework: Framework) -> list[str]:
    return [name for name in names if name != "none" and framework in PEERS[name].frameworks]


def _launch(
    name: str, framework: Framework, sink: Sink, rounds: int, found: dict[str, Any]
) -> None:
    """
    Add what the blocks of two new processes took, as one list.
    """
    try:
        with _pair(name, framework, sink) as pair:
            found["blocks"].append([_figures(pair.round(number)) for number in range(rounds)])
    except Exception as error:
        found["error"] = reason(error)
        tell(f"{framework}, {name}: {error!r}")
    else:
        tell(f"{framework}, {name}: {rounds} rounds of {pair.calls} calls")


@contextmanager
def _pair(name: str, framework: Framework, sink: Sink) -> Iterator[Pair]:
    """
    Start a pair.

    Raises:
        PeerError: One of the two could not be started, or delivers nothing.
    """
    peer = PEERS[name]
    if error := installed(peer.environment).error:
        raise PeerError(error)
    with TemporaryDirectory(prefix="modeltrail-peers-") as home, ExitStack() as workers:
        folder = Path(home)
        variables = surroundings(peer, sink=sink.url, folder=folder, raised=True)
        none, with_peer = (
            workers.enter_context(
                Worker(peer.environment, each, framework, variables=variables, folder=folder)
            )
            for each in ("none", name)
        )
        subjects = Subject(none, None), Subject(with_peer, tally_of(peer, sink, folder))
        yield Pair(*subjects, calls=min(each.warm(MOST_CALLS) for each in subjects))


def _figures(blocks: dict[str, Block]) -> dict[str, Any]:
    """
    Return a round in microseconds.
    """
    figures: dict[str, Any] = {
        side: {
            "caller": round(blocks[side].caller * MICROS, DIGITS),
            "process": round(blocks[side].process * MICROS, DIGITS),
        }
        for side in SIDES
    }
    return figures | {"calls": blocks["peer"].calls, "missing": blocks["peer"].missing}
