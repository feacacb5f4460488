"""
Kills, again and again, a program that calls as fast as it can, and prints what had returned.

Run as: python -m faults.killer DATABASE_URL SEED TIMES
"""

import json
import os
import random
import select
import signal
import sys
from itertools import count
from time import monotonic

from recording import make_call

import modeltrail

# Up to when the writer has stored some times.
LIFE_S = (0.0, 0.1)
# How many do not even come to their first call.
EARLY = 0.2


def call_until_killed(url: str, life: int, told: int) -> None:
    """
    Tell of each call that has returned.
    """
    trail = modeltrail.open(url)
    for number in count():
        make_call(trail.recorder, f"{life}-{number}")
        os.write(told, f"{life}-{number}\n".encode())


def live_and_be_killed(url: str, life: int, seconds: float, *, is_early: bool) -> list[str]:
    """
    Return the runs that a program told of in its life.

    Args:
        seconds: From the first call to the kill.
        is_early: They begin before the trail is open.
    """
    listened, told = os.pipe()
    child = os.fork()
    if child == 0:
        call_until_killed(url, life, told)
    os.close(told)
    heard = b"" if is_early else os.read(listened, 65536)
    end = monotonic() + seconds
    while select.select([listened], [], [], max(end - monotonic(), 0))[0]:
        heard += os.read(listened, 65536)
    os.kill(child, signal.SIGKILL)
    while piece := os.read(listened, 65536):
        heard += piece
    os.close(listened)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    return heard.decode().split()


def main(url: str, seed: str, times: str) -> None:
    """
    Print a list of runs for each life.
    """
    modeltrail.open(url).close()  # imports all that opening a trail imports
    chance = random.Random(seed)
    lives = [
        live_and_be_killed(url, life, chance.uniform(*LIFE_S), is_early=chance.random() < EARLY)
        for life in range(int(times))
    ]
    print(json.dumps(lives))


if __name__ == "__main__":
    main(*sys.argv[1:])
