"""
Blocks of calls of one process, each timed until the last call has arrived.
"""

import time
from typing import NamedTuple

from benchmarks.peers.processes import PeerError, Worker
from benchmarks.peers.tallies import Tally

# In a block: as many calls as so much time allows, but not fewer and not more.
BLOCK_S = 1.0
FEWEST_CALLS = 24
WARM_UP_CALLS = 16
WARM_UP_BLOCKS = 3
ARRIVAL_TIMEOUT_S = 20.0
POLL_S = 0.1


class Block(NamedTuple):
    """
    What some calls took, in CPU seconds each.

    Attributes:
        caller: On the thread that called.
        process: On all threads until all calls had arrived.
        calls: How many were made.
        missing: How many of them did not arrive.
    """

    caller: float
    process: float
    calls: int
    missing: int


class Subject:
    """
    A process that makes calls, and what counts those that arrive; nobody's do not.
    """

    def __init__(self, worker: Worker, tally: Tally | None) -> None:
        self._worker = worker
        self._tally = tally

    def block(self, calls: int) -> Block:
        """
        Make calls and wait until all have arrived, or no more do.
        """
        expected = self._arrived() + calls
        caller = self._worker.call(calls)
        process = self._worker.finish()
        deadline = time.monotonic() + ARRIVAL_TIMEOUT_S
        while self._missing(expected) and time.monotonic() < deadline:
            time.sleep(POLL_S)
            process = self._worker.finish()
        return Block(caller / calls, process / calls, calls, self._missing(expected))

    def warm(self, most: int) -> int:
        """
        Make the first calls, whose time is dropped.

        Returns:
            How many calls a block should have, at most so many.

        Raises:
            PeerError: None of them arrived.
        """
        calls = WARM_UP_CALLS
        for _ in range(WARM_UP_BLOCKS):
            began = time.monotonic()
            if self.block(calls).missing == calls:
                raise PeerError("nothing arrived")
            each = (time.monotonic() - began) / calls
            calls = max(FEWEST_CALLS, min(most, int(BLOCK_S / each)))
        return calls

    def _arrived(self) -> int:
        return self._tally() if self._tally else 0

    def _missing(self, expected: int) -> int:
        return expected - self._tally() if self._tally else 0
