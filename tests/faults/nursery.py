"""
Imports a framework once, then gives birth to programs that use it: a fork takes no time.

Run as: python -m faults.nursery FRAMEWORK LISTENER
"""

import gc
import importlib
import json
import os
import socket
import sys
import tempfile
from typing import NamedTuple

from faults.survivor import live

import modeltrail

# What the frameworks' clients import at their first call.
LATE = (
    "anyio._backends._asyncio",
    "httpcore._async.http2",
    "httpcore._sync.http2",
    "openai.resources.chat",
    "psycopg",
)


class Life(NamedTuple):
    """
    What a program is given.

    Attributes:
        output: Where its standard output goes.
        errors: Where its standard error goes.
    """

    ending: str
    url: str
    base_url: str
    output: str
    errors: str


def main(framework: str, number: str) -> None:
    """
    Bear a child for each connection, tell how it ended, and go on; a child returns and ends.
    """
    for name in (f"drivers.{framework}", *LATE):
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:  # imports all that opening a trail imports
        modeltrail.open(f"sqlite:///{folder}/calls.db").close()
    gc.freeze()  # what a child collects is not copied first
    listener = socket.socket(fileno=int(number))
    while (connection := next_birth(listener)) is None:
        pass
    listener.close()
    life = Life(**json.loads(connection.makefile().readline()))
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    connection.close()
    for path, descriptor in ((os.devnull, 0), (life.output, 1), (life.errors, 2)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), descriptor)
    live(framework, life.ending, life.url, life.base_url)


def next_birth(listener: socket.socket) -> socket.socket | None:
    """
    Await a connection and fork a process that attends to it: there it is returned.
    """
    connection, _ = listener.accept()
    if os.fork() == 0:
        return connection
    connection.close()
    os.waitpid(-1, os.WNOHANG)  # one that has done its work, if any
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
