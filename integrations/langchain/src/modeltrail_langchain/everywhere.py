"""
The handler of all calls: registered once, attached to a trail by `install`.
"""

from contextvars import ContextVar
from threading import Lock
from typing import Any

from langchain_core.tracers.context import register_configure_hook

import modeltrail
from modeltrail.integration import HasRecorder
from modeltrail_langchain.handler import TrailCallbackHandler


class InstalledHandler(TrailCallbackHandler):
    """
    Records every model call of the process, or none while it is attached to no trail.

    LangChain keeps what is registered for good: so there is one, and it is
    switched on and off.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_registered = False
        self._ignore(everything=True)

    def attach(self, trail: HasRecorder | None) -> None:
        """
        Record all calls from now on.
        """
        with self._lock:
            if trail is None and self.is_attached:
                return
            self._attach((trail or modeltrail.open()).recorder)
            self._ignore(everything=False)
            if not self._is_registered:
                # As a default, for what is set does not reach new threads.
                everywhere: ContextVar[Any | None] = ContextVar(
                    "modeltrail_langchain", default=self
                )
                register_configure_hook(everywhere, inheritable=True)
                self._is_registered = True

    def detach(self) -> None:
        """
        Record nothing from now on; calls in flight stay open until `trail.settle()`.
        """
        with self._lock:
            self._ignore(everything=True)

    @property
    def is_attached(self) -> bool:
        """
        Whether calls are recorded.
        """
        return not self.ignore_llm

    def _ignore(self, *, everything: bool) -> None:
        self.ignore_chat_model = everything
        self.ignore_llm = everything
        self.ignore_chain = everything
        self.ignore_agent = everything
        self.ignore_retriever = everything


EVERYWHERE = InstalledHandler()


def install(trail: HasRecorder | None = None) -> TrailCallbackHandler:
    """
    Record every model call of this process from now on, in all its threads.

    Doing it again changes nothing, but for another trail: then calls are
    recorded there. Handlers that a chain or a call is given beside are
    recognised: each call is recorded once.

    Example:
        modeltrail_langchain.install(modeltrail.open("sqlite:///calls.db"))

    Args:
        trail: An open trail. None opens the one at `$MODELTRAIL_URL` (see
            `modeltrail.open`), unless one is installed already; it is closed
            at the end of the program.

    Returns:
        The handler that records.

    Raises:
        modeltrail.ModeltrailError: The trail cannot be opened.
    """
    EVERYWHERE.attach(trail)
    return EVERYWHERE


def uninstall() -> None:
    """
    Record no more calls but those of chains and models that have a handler of their own.
    """
    EVERYWHERE.detach()
