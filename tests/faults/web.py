"""
A web application that opens the trail when it is imported, and calls in whoever serves it.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

from recording import make_call

import modeltrail

trail = modeltrail.open()
make_call(trail.recorder, "master")


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """
    Make the call that the path names, and answer with the id of this process.
    """
    make_call(trail.recorder, environ["PATH_INFO"].removeprefix("/"))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
