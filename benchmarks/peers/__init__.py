"""
Others that record model calls, beside us: `python -m benchmarks.peers` measures and renders.

Each lives in an environment of its own and is used as its makers document it; what
it sends goes to a sink on this machine, where it is counted, so that a lost record
cannot look like a cheap one.
"""
