"""
What can be run, by name.
"""

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
    "imports": "benchmarks.imports:imports",
}


def run(name: str, *, quick: bool) -> list[Row]:
    """
    Run one benchmark in this process.
    """
    module, _, function = BENCHMARKS[name].partition(":")
    rows: list[Row] = getattr(import_module(module), function)(quick=quick)
    return rows
