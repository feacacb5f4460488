"""
Ids of records, and the clock they are made of.
"""

import os
import random
from time import time_ns

# Seeded by the system and drawn from without asking it again: a system call
# lets other threads take over, in the middle of the application's own call.
_random = random.Random(os.urandom(32))  # noqa: S311 - ids need be unique, not secret
# A forked child must not repeat its parent's ids.
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))


def now_us() -> int:
    """
    Return the time, microseconds UTC.
    """
    return time_ns() // 1000


def uuid7(at_us: int) -> str:
    """
    Return a UUID of version 7 for a moment.

    The milliseconds, then the rest of the microseconds in 12 bits (RFC 9562,
    section 6.2, method 3), then 62 random bits.
    """
    milliseconds, rest = divmod(at_us, 1000)
    fraction = rest * 4096 // 1000
    noise = _random.getrandbits(62)
    value = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | noise
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
