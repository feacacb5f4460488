"""
A process that makes calls and then ends: `python -m benchmarks.peers.dying PEER WAY ENDING FILE`.

Nothing is flushed, closed or waited for: what a peer does of itself is what is asked.
For each call that has returned a byte is in the file, whatever becomes of the process.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable

from benchmarks.peers.calls import prepare

CALLS = 20

Calls = Callable[[], None]


def main(peer: str, way: str, ending: str, file: str) -> None:
    """
    Make the calls and end.
    """
    # Kept until the end, as an application would.
    _handler, call = prepare(peer, way)
    made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def calls() -> None:
        for _ in range(CALLS):
            call()
            os.write(made, b".")

    ENDINGS[ending](calls)


def _return(calls: Calls) -> None:
    calls()


def _kill(calls: Calls) -> None:
    calls()
    os.kill(os.getpid(), signal.SIGKILL)


def _terminate(calls: Calls) -> None:
    calls()
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()


def _exit_at_once(calls: Calls) -> None:
    calls()
    os._exit(0)


def _fork(calls: Calls) -> None:
    child = os.fork()
    if child == 0:
        calls()
        os._exit(0)
    os.waitpid(child, 0)


def _multiprocessing(calls: Calls) -> None:
    child = multiprocessing.get_context("fork").Process(target=calls)
    child.start()
    child.join()


# In the last two the parent hooks the peer in, the child makes the calls, and the parent
# ends normally.
ENDINGS: dict[str, Callable[[Calls], None]] = {
    "normal exit": _return,
    "SIGTERM": _terminate,
    "SIGKILL": _kill,
    "os._exit": _exit_at_once,
    "forked child": _fork,
    "multiprocessing child": _multiprocessing,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
