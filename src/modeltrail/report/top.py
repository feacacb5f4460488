"""
What a few groups are of the whole: arithmetic on sums, without any reading of its own.
"""

from modeltrail.stats.exact import rounded, sum_known
from modeltrail.storage import TopGroup


def share(part: int | None, whole: int | None) -> float | None:
    """
    Return which part of the whole it is, 0 to 1; None if either is unknown or there is no whole.
    """
    return None if part is None or not whole else part / whole


def mean_latency_us(group: TopGroup) -> int | None:
    """
    Return how long a call took on average, of those whose latency is known.
    """
    return None if group.latency_us is None else rounded(group.latency_us, group.timed)


def tokens(group: TopGroup) -> int | None:
    """
    Return all tokens, in and out; None if neither is known.
    """
    return sum_known((group.input_tokens, group.output_tokens))
