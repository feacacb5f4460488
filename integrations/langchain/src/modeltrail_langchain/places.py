"""
Where in an application a call is made: its trace and its parent.

Of chains, tools and retrievers nothing else is kept.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables.config import var_child_runnable_config

from modeltrail.integration import Recorder
from modeltrail_langchain.recent import Recent
from modeltrail_langchain.tables import RETRY

RUNS_REMEMBERED = 65_536


class Place(NamedTuple):
    """
    Where a call is made.

    Attributes:
        parent_id: The run that it is made in, None if there is none.
        trace_id: The first run of all.
        attempt: Its number, if it is a repetition.
    """

    parent_id: UUID | None
    trace_id: UUID
    attempt: int | None


class Places:
    """
    The runs in progress.

    LangChain names only the parent of a run. A run whose end is never told is
    forgotten when too many others have begun.
    """

    def __init__(self, _: Recorder) -> None:
        self._runs: Recent[UUID, Place] = Recent(RUNS_REMEMBERED)

    def __len__(self) -> int:
        return len(self._runs)

    def enter(
        self, run_id: UUID, parent_run_id: UUID | None, tags: Sequence[str] | None = None
    ) -> None:
        """
        Note that a run which is no model call begins.
        """
        place = self.of(run_id, parent_run_id)
        self._runs.put(run_id, place._replace(attempt=_attempt(tags) if tags else None))

    def leave(self, run_id: UUID) -> None:
        """
        Note that it has ended.
        """
        self._runs.pop(run_id)

    def of(
        self, run_id: UUID, parent_run_id: UUID | None, tags: Sequence[str] | None = None
    ) -> Place:
        """
        Return the place of a run that begins in this context.

        Where LangChain names no parent (the attempts of `with_fallbacks`,
        callbacks handed on by hand), it is the run in whose context this one
        begins. `with_retry` numbers what it repeats: the call, or the chain
        around it.
        """
        attempt = _attempt(tags) if tags else None
        parent = parent_run_id or _surrounding_run()
        if parent is None or parent == run_id:
            return Place(None, run_id, attempt)
        if (around := self._runs.get(parent)) is None:
            return Place(parent, parent, attempt)
        return Place(parent, around.trace_id, attempt or around.attempt)


def _attempt(tags: Sequence[str]) -> int | None:
    for tag in tags:
        if tag.startswith(RETRY) and (number := tag.removeprefix(RETRY)).isdecimal():
            return int(number)
    return None


def _surrounding_run() -> UUID | None:
    config = var_child_runnable_config.get()
    callbacks = config.get("callbacks") if config else None
    return callbacks.parent_run_id if isinstance(callbacks, BaseCallbackManager) else None
