"""
What a call costs: `python -m benchmarks` prints one table.

Everything is CPU time of interleaved blocks in one process, compared in pairs,
and judged on the bound of a 95 % interval. Nothing here asserts a time.
"""
