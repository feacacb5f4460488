"""
How many calls have arrived where a peer keeps them.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.peers.catalogue import Peer
from benchmarks.peers.sink import Sink

Tally = Callable[[], int]


def tally_of(peer: Peer, sink: Sink, folder: Path) -> Tally:
    """
    Return what counts a peer's calls.
    """
    if peer.kept is None:
        return sink.count
    path, query = folder / peer.kept.file, peer.kept.query
    return lambda: count_in(path, query)


def count_in(path: Path, query: str) -> int:
    """
    Count in an SQLite database; nothing is there before it has its tables.
    """
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            found: int = connection.execute(query).fetchone()[0]
        except sqlite3.OperationalError:
            return 0
    return found
