"""
Blocks of calls, interleaved, in CPU time.

All subjects of a comparison take turns in one process, in blocks of a few
milliseconds: the speed of a shared machine changes by a factor of two within
tenths of a second, and must change for all of them alike. They do so in random
order, since each finds the caches as the one before has left them.

What a subject's own threads do behind the caller's back is read from their CPU
clocks, so that it counts for that subject whenever it is done. That, and keeping
to one CPU, takes Linux.
"""

import gc
import random
import threading
from collections.abc import Callable, Sequence
from time import clock_gettime, pthread_getcpuclockid, thread_time
from typing import NamedTuple

# As few as give a 95 % interval of a median at all.
FEWEST_ROUNDS = 6
WARM_UP_ROUNDS = 3
# Of each subject in a turn.
BLOCKS = 2
MICROS = 1e6
_order = random.Random(7)


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
        rest: Called after each call, not timed; None if calls follow each other at once.
        leave: Called after each block, not timed.
        flush: Called after each round; returns when all of it is durable.
        threads: Those that work for this subject alone.
    """

    name: str
    run: Callable[[int], None]
    enter: Callable[[], object] = nothing
    leave: Callable[[], object] = nothing
    rest: Callable[[], object] | None = None
    flush: Callable[[], object] = nothing
    threads: tuple[threading.Thread, ...] = ()


class Costs(NamedTuple):
    """
    What a call took, in microseconds of CPU.

    Attributes:
        caller: On the thread that called; one figure for each turn.
        process: On all threads until it was durable; one for each round.
    """

    caller: list[float]
    process: list[float]


def measure(
    subjects: Sequence[Subject],
    *,
    calls: int,
    rounds: int,
    turns: int = 1,
    warm_up: int = WARM_UP_ROUNDS,
) -> dict[str, Costs]:
    """
    Time the subjects in turns.

    Args:
        calls: In each block; a turn has as many blocks of each subject as `BLOCKS` says.
        turns: In each round; at its end everything is flushed.
        warm_up: Rounds before, whose times are dropped.
    """
    for _ in range(warm_up):
        _round(subjects, calls, turns)
    costs = {subject.name: Costs([], []) for subject in subjects}
    for _ in range(rounds):
        for name, found in _round(subjects, calls, turns).items():
            costs[name].caller.extend(found.caller)
            costs[name].process.extend(found.process)
    return costs


def rounds_for(rounds: int, *, quick: bool) -> int:
    """
    Return how many rounds to make of so many.
    """
    return max(FEWEST_ROUNDS, rounds // 6) if quick else rounds


def _round(subjects: Sequence[Subject], calls: int, turns: int) -> dict[str, Costs]:
    before = {subject.name: _cpu_of(subject.threads) for subject in subjects}
    callers: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    for _ in range(turns):
        for name, seconds in _turn(subjects, calls).items():
            callers[name].append(seconds)
    costs = {}
    for subject in subjects:
        behind = _timed(subject.flush) + _cpu_of(subject.threads) - before[subject.name]
        unit = MICROS / (BLOCKS * calls)
        caller = callers[subject.name]
        process = (sum(caller) + behind) * unit / turns
        costs[subject.name] = Costs([seconds * unit for seconds in caller], [process])
    return costs


def _turn(subjects: Sequence[Subject], calls: int) -> dict[str, float]:
    seconds = dict.fromkeys((subject.name for subject in subjects), 0.0)
    for _ in range(BLOCKS):
        for subject in _order.sample(subjects, len(subjects)):
            seconds[subject.name] += _block(subject, calls)
    return seconds


def _block(subject: Subject, calls: int) -> float:
    subject.enter()
    gc.collect()
    # What there is now is collected no more: walking a whole framework's heap
    # between two blocks would take longer than the blocks.
    gc.freeze()
    seconds = _with_rests(subject, calls) if subject.rest else _timed(lambda: subject.run(calls))
    subject.leave()
    return seconds


def _with_rests(subject: Subject, calls: int) -> float:
    seconds = 0.0
    for _ in range(calls):
        seconds += _timed(lambda: subject.run(1))
        if subject.rest:
            subject.rest()
    return seconds


def _timed(work: Callable[[], object]) -> float:
    began = thread_time()
    work()
    return thread_time() - began


def _cpu_of(threads: tuple[threading.Thread, ...]) -> float:
    """
    Return the CPU seconds of some threads.
    """
    idents = (each.ident for each in threads)
    return sum(clock_gettime(pthread_getcpuclockid(ident)) for ident in idents if ident)
