"""
Blocks of calls, interleaved, in CPU time.

All subjects of a comparison take turns in one process, forwards and then
backwards, so that what drifts meanwhile (the machine's clock, its other work,
the size of our own heap) falls on all of them alike. A block lasts some 50 ms,
which is how often our writer looks while there is something to store: so a
block's single flush costs what storing costs an application that calls without
a pause.
"""

import gc
from collections.abc import Callable, Sequence
from statistics import fmean
from time import process_time, thread_time
from typing import NamedTuple

# As few as give a 95 % interval of a median at all.
FEWEST_ROUNDS = 6
WARM_UP_ROUNDS = 3
MICROS = 1e6


def nothing() -> None:
    """
    Do nothing.
    """


class Subject(NamedTuple):
    """
    One of the things that are compared.

    Attributes:
        run: Makes so many calls.
        enter: Called before each block, not timed.
        flush: Called after each block; returns when all of it is durable. Its
            work, on whatever thread, counts for the process.
    """

    name: str
    run: Callable[[int], None]
    enter: Callable[[], object] = nothing
    flush: Callable[[], None] = nothing


class Block(NamedTuple):
    """
    What one call of a block took, in microseconds of CPU.

    Attributes:
        caller: On the thread that called.
        process: On all threads, until the block was durable.
    """

    caller: float
    process: float


Blocks = dict[str, list[Block]]


def measure(
    subjects: Sequence[Subject], *, calls: int, rounds: int, warm_up: int = WARM_UP_ROUNDS
) -> Blocks:
    """
    Time the subjects in turns and return one block of each for every round.

    Args:
        calls: In each block; a round has two blocks of each subject.
        warm_up: Rounds before, whose times are dropped.
    """
    measured: Blocks = {subject.name: [] for subject in subjects}
    for number in range(-warm_up, rounds):
        for name, block in _round(subjects, calls).items():
            if number >= 0:
                measured[name].append(block)
    return measured


def rounds_for(rounds: int, *, quick: bool) -> int:
    """
    Return how many rounds to make of so many.
    """
    return max(FEWEST_ROUNDS, rounds // 6) if quick else rounds


def _round(subjects: Sequence[Subject], calls: int) -> dict[str, Block]:
    there = {subject.name: _block(subject, calls) for subject in subjects}
    back = {subject.name: _block(subject, calls) for subject in reversed(subjects)}
    return {name: Block(*map(fmean, zip(there[name], back[name], strict=True))) for name in there}


def _block(subject: Subject, calls: int) -> Block:
    subject.enter()
    gc.collect()
    # What there is now is collected no more: walking a whole framework's heap
    # between two blocks would take longer than the blocks.
    gc.freeze()
    process, thread = process_time(), thread_time()
    subject.run(calls)
    thread = thread_time() - thread
    subject.flush()
    process = process_time() - process
    return Block(thread * MICROS / calls, process * MICROS / calls)
