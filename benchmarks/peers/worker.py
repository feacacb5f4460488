"""
The process in which one subject makes calls: `python -m benchmarks.peers.worker PEER WAY`.

It reads a line for each wish and answers with one number, in CPU seconds.
"""

import gc
import json
import os
import sys
import time

from benchmarks.peers.calls import Call, prepare
from benchmarks.peers.handlers import Handler

STEP_S = 0.02
# Less than this in a step is the waiting itself.
QUIET_CPU_S = 0.001
QUIET_STEPS = 3
QUIET_TIMEOUT_S = 60


def main(peer: str, way: str) -> None:
    """
    Make calls as the lines of the input tell.
    """
    # On one CPU, as in the benchmarks of ours: see `benchmarks.catalogue.run`.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    # What peers print is not for whoever reads our answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    handler, call = prepare(peer, way)
    rest = RESTS.get(way)
    print(0.0, file=answers)
    began = time.process_time()
    for line in sys.stdin:
        calls = json.loads(line)["calls"]
        if calls:
            gc.collect()
            gc.freeze()
            began = time.process_time()
            print(_call(call, calls, rest), file=answers)
        else:
            _finish(handler)
            print(time.process_time() - began, file=answers)


def _call(call: Call, calls: int, rest: Call | None) -> float:
    seconds = 0.0
    for _ in range(calls):
        began = time.thread_time()
        call()
        seconds += time.thread_time() - began
        if rest:
            rest()
    return seconds


def _finish(handler: Handler) -> None:
    handler.flush()
    _wait_until_quiet(QUIET_STEPS, STEP_S, QUIET_CPU_S)


def _wait_until_quiet(steps: int, step_s: float, cpu_s: float) -> None:
    """
    Wait until no thread of this process has taken CPU time for some steps.
    """
    deadline = time.monotonic() + QUIET_TIMEOUT_S
    quiet = 0
    while quiet < steps and time.monotonic() < deadline:
        before = time.process_time()
        time.sleep(step_s)
        quiet = quiet + 1 if time.process_time() - before < cpu_s else 0


def _rest() -> None:
    """
    Let the threads finish on which LiteLLM tells of an end: they would blur the next call's time.
    """
    _wait_until_quiet(1, 0.002, 0.0002)


RESTS = {"litellm": _rest}

if __name__ == "__main__":
    main(*sys.argv[1:])
