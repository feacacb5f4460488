"""
What became of the tasks that calls were made in.

A task is often gone before LiteLLM lets go of a call that was cancelled with
it: so how it ended is noted when it ends.
"""

import asyncio
import weakref
from contextvars import Context
from time import time_ns
from typing import Any

Task = asyncio.Task[Any]


class Ending:
    """
    How a task ends.

    Attributes:
        cancelled_at_us: When it was cancelled, microseconds UTC; None if it was not.
    """

    __slots__ = ("_task", "cancelled_at_us")

    def __init__(self, task: Task) -> None:
        self._task = weakref.ref(task)
        self.cancelled_at_us: int | None = None
        # In no context of the caller's: it would keep alive what stands there.
        task.add_done_callback(self._note, context=Context())

    @property
    def is_cancelled(self) -> bool:
        """
        Whether the task was cancelled, or is about to be.
        """
        if self.cancelled_at_us is not None:
            return True
        task = self._task()
        # What a task calls at its end it calls a step later.
        return task is not None and (task.cancelled() or task.cancelling() > 0)

    def _note(self, task: Task) -> None:
        if task.cancelled():
            self.cancelled_at_us = time_ns() // 1000


class Endings:
    """
    One ending for each task, however many calls it makes.
    """

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[Task, Ending] = weakref.WeakKeyDictionary()

    def of(self, task: Task) -> Ending:
        """
        Return the ending of a task, from within it.
        """
        if (known := self._known.get(task)) is None:
            known = self._known[task] = Ending(task)
        return known
