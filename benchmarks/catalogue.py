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

    Where two threads share the memory of two CPUs, what a call takes depends on
    where the system happens to run them: up to three times as much, for the
    limit as for us, throughout one process and not in the next.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    module, _, function = BENCHMARKS[name].partition(":")
    rows: list[Row] = getattr(import_module(module), function)(quick=quick)
    return rows
