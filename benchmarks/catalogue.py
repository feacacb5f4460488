"""
What can be run, by name.
"""

import os
from importlib import import_module

from benchmarks.report import Row

# Name -> where it is; each runs in a process of its own, which alone imports it.
BENCHMARKS = {
    "langchain-invoke": "benchmarks.langchain:invoke",
    "langchain-stream": "benchmarks.langchain:stream",
    "llama-index": "benchmarks.llama_index:chat",
    "litellm": "benchmarks.litellm:completion",
    "invocation": "benchmarks.core:invocation",
    "digest": "benchmarks.core:digest",
    "durable-write": "benchmarks.ingest:durable_write",
    "reports": "benchmarks.sums:reports",
    "event-loop": "benchmarks.stalls:event_loop",
    "busy-thread": "benchmarks.stalls:beside_a_busy_thread",
    "imports": "benchmarks.imports:imports",
}


def run(name: str, *, quick: bool) -> list[Row]:
    """
    Run one benchmark in this process, on one CPU.

    On two, whoever lets go of the interpreter, as most system calls do, may find it
    taken by another thread when it is wanted back, and pays for that: the limit took
    twice what it takes on one CPU, the durable limit beside the threads of the others
    two and a half times. Ours makes no such calls on the caller's thread and took the
    same: a ratio to them would flatter us.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    module, _, function = BENCHMARKS[name].partition(":")
    rows: list[Row] = getattr(import_module(module), function)(quick=quick)
    return rows
