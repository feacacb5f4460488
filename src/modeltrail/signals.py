"""
The ends of a process that Python does not announce by itself.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from modeltrail.errors import ConfigurationError


def before_sigterm(store: Callable[[], object]) -> None:
    """
    Call a function when SIGTERM comes, then do what was done without it.

    Raises:
        ConfigurationError: This is not the main thread, or the handler there
            is was not installed by Python.
    """
    previous = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        store()
        if callable(previous):
            previous(number, frame)
        elif previous is signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    if previous is None:
        raise ConfigurationError("SIGTERM has a handler that Python cannot call")
    try:
        signal.signal(signal.SIGTERM, handle)
    except ValueError as error:
        raise ConfigurationError(
            "signals are handled on the main thread: call this there"
        ) from error


def before_end_of_child(close: Callable[[], object]) -> None:
    """
    Call a function at the end of a child of `multiprocessing`, which skips `atexit`.

    It is called when all threads that Python waits for have ended: they may
    still call, or tell how a call ended. Does nothing in any other process.
    """
    # What has not been imported has started no child.
    process, util = map(sys.modules.get, ("multiprocessing.process", "multiprocessing.util"))
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, lambda: Closer(close).start(), exitpriority=0)


class Closer(threading.Thread):
    """
    The last thread of a process: Python waits for it, and it waits for all others.
    """

    def __init__(self, close: Callable[[], object]) -> None:
        super().__init__(name="modeltrail-closer", daemon=False)
        self._close = close

    def run(self) -> None:
        """
        Wait and close.
        """
        main = threading.main_thread()
        for thread in threading.enumerate():
            if not (thread.daemon or thread is main or isinstance(thread, Closer)):
                thread.join()
        self._close()
