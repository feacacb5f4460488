"""
Where in an application a call is made: its trace and its parent.

Of chains, tools and retrievers nothing else is kept.
"""

from uuid import UUID

from langchain_core.callbacks import BaseCallbackManager
from langchain_core.runnables.config import var_child_runnable_config

from modeltrail.integration import Recorder
from modeltrail_langchain.recent import Recent

RUNS_REMEMBERED = 65_536


class Places:
    """
    The traces of the runs in progress.

    LangChain names only the parent of a run. A run whose end is never told is
    forgotten when too many others have begun.
    """

    def __init__(self, _: Recorder) -> None:
        self._traces: Recent[UUID, UUID] = Recent(RUNS_REMEMBERED)

    def __len__(self) -> int:
        return len(self._traces)

    def enter(self, run_id: UUID, parent_run_id: UUID | None) -> None:
        """
        Note that a run which is no model call begins.
        """
        _, trace_id = self.of(run_id, parent_run_id)
        self._traces.put(run_id, trace_id)

    def leave(self, run_id: UUID) -> None:
        """
        Note that it has ended.
        """
        self._traces.pop(run_id)

    def of(self, run_id: UUID, parent_run_id: UUID | None) -> tuple[UUID | None, UUID]:
        """
        Return the parent of a run that begins in this context, and its trace.

        The trace is named by its first run. Where LangChain names no parent
        (the attempts of `with_fallbacks`, callbacks handed on by hand), it is
        the run in whose context this one begins.
        """
        parent = parent_run_id or _surrounding_run()
        if parent is None or parent == run_id:
            return None, run_id
        return parent, self._traces.get(parent, parent)


def _surrounding_run() -> UUID | None:
    config = var_child_runnable_config.get()
    callbacks = config.get("callbacks") if config else None
    return callbacks.parent_run_id if isinstance(callbacks, BaseCallbackManager) else None
