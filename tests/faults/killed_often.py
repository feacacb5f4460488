"""
Fork children that call as fast as they can, and kill each at a random moment.

Run as: killed_often.py DATABASE_URL TIMES SEED

Prints the ids of the runs whose calls had returned.
"""

import os
import random
import signal
import sys
import time

from recording import make_call

import modeltrail

LONGEST_S = 0.3


def live(url: str, number: int, told: int) -> None:
    """
    Call, and tell of each call when it has returned, until the end.
    """
    trail = modeltrail.open(url)
    calls = 0
    while True:
        run_id = f"{number}-{calls}"
        make_call(trail.recorder, run_id, tags={"feature": "f"})
        os.write(told, f"{run_id}\n".encode())
        calls += 1


def kill(url: str, number: int, after_s: float) -> bytes:
    """
    Let a child live for some time; return what it has told.
    """
    read, write = os.pipe()
    os.set_blocking(write, True)
    child = os.fork()
    if child == 0:
        os.close(read)
        live(url, number, write)
    os.close(write)
    told = bytearray()
    with os.fdopen(read, "rb", buffering=0) as pipe:
        os.set_blocking(read, False)
        until = time.monotonic() + after_s
        while time.monotonic() < until:
            told += pipe.read(65536) or b""
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.set_blocking(read, True)
        told += pipe.readall()
    return bytes(told)


def main(url: str, times: str, seed: str) -> None:
    """
    Do it so many times.
    """
    modeltrail.open(url).close()  # so that children need not import its driver
    moments = random.Random(seed)
    for number in range(int(times)):
        told = kill(url, number, moments.uniform(0, LONGEST_S))
        # The last line may have been cut: then that call was not told of.
        sys.stdout.write(told.decode().rpartition("\n")[0])
        sys.stdout.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
