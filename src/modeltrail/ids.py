"""
Ids of records, and the clock they are made of.
"""

import os
from itertools import count
from time import time_ns

# Ids need be unique, not secret: a number that counts is told from those of other processes
# by six random bytes, so that no id asks the system, or a generator's large state, for noise.
_numbers = count(int.from_bytes(os.urandom(2)))
_node = os.urandom(6).hex()


def now_us() -> int:
    """
    Return the time, microseconds UTC.
    """
    return time_ns() // 1000


def uuid7(at_us: int) -> str:
    """
    Return a UUID of version 7 for a moment.

    The milliseconds, then the rest of the microseconds in 12 bits (RFC 9562,
    section 6.2, method 3), a counter of 14 bits (method 1), and 48 bits that
    are random in each process.
    """
    milliseconds, rest = divmod(at_us, 1000)
    fraction = 0x7000 | rest * 4096 // 1000
    number = 0x8000 | next(_numbers) & 0x3FFF
    groups = (milliseconds << 32 | fraction << 16 | number).to_bytes(10).hex("-", 2)
    return f"{groups[:4]}{groups[5:]}-{_node}"


def _renew() -> None:
    global _node  # noqa: PLW0603 - a forked child must not repeat its parent's ids
    _node = os.urandom(6).hex()


os.register_at_fork(after_in_child=_renew)
