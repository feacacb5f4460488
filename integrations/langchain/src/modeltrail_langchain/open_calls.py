"""
What the handler must remember of calls in flight, and nothing longer.
"""

import asyncio
from asyncio import _get_running_loop
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from modeltrail.integration import Invocation, Recorder, Response, guarded
from modeltrail_langchain.asked import NO_MORE, Asked

Task = asyncio.Task[Any]


class Watch(NamedTuple):
    """
    What ends with a call that LangChain may tell no end of.

    Attributes:
        task: The task that it began in.
        on_done: What the task shall call at its end.
    """

    task: Task
    on_done: Callable[[Task], None]


class OpenCalls:
    """
    Ends the calls whose task ends before them, and knows who waits for a first piece.

    LangChain announces no end when an `ainvoke` is cancelled or runs into a
    time-out; but the task that it ran in ends.

    Attributes:
        waiting: The calls of which no piece of an answer was seen, so that all
            later pieces of a stream cost nothing.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._calls: dict[UUID, Invocation] = {}
        self.waiting: dict[UUID, Invocation] = {}
        # Of few calls: of those in a task, and of those that more was asked of.
        self._watches: dict[UUID, Watch] = {}
        self._asked: dict[UUID, Asked] = {}

    def __len__(self) -> int:
        return len(
            self._calls.keys() | self.waiting.keys() | self._watches.keys() | self._asked.keys()
        )

    def begin(self, run_id: UUID, call: Invocation, asked: Asked = NO_MORE) -> None:
        """
        Remember a call, and the current task if there is one.

        Args:
            asked: What must be known at its end.
        """
        self._calls[run_id] = call
        self.waiting[run_id] = call
        if asked is not NO_MORE:
            self._asked[run_id] = asked
        if len(self._calls) > self._recorder.open_calls:
            self._forget_settled()
        if (task := _current_task()) is not None and run_id not in self._watches:
            watch = Watch(task, partial(self._task_done, run_id))
            self._watches[run_id] = watch
            task.add_done_callback(watch.on_done)

    def end(self, run_id: UUID) -> tuple[Invocation | None, Asked]:
        """
        Forget a call that has ended, so that a long task gathers nothing.

        Returns:
            The call, None if there is none or its end was told before; what was asked for.
        """
        call = self._calls.pop(run_id, None)
        self.waiting.pop(run_id, None)
        if self._watches and (watch := self._watches.pop(run_id, None)) is not None:
            watch.task.remove_done_callback(watch.on_done)
        return call, self._asked.pop(run_id, NO_MORE) if self._asked else NO_MORE

    def _forget_settled(self) -> None:
        # Calls that were ended by the trail because LangChain never told of their end.
        for run_id, call in list(self._calls.items()):
            if not self._recorder.awaits(call):
                self.end(run_id)

    @guarded
    def _task_done(self, run_id: UUID, task: Task) -> None:
        self._watches.pop(run_id, None)
        if (call := self._calls.get(run_id)) is None:
            return  # its end was told between that of the task and this
        # A stream may go on in another task than the one that took its first
        # piece, and it announces its own end.
        if task.cancelled() or not call.has_chunks:
            self.end(run_id)
            call.cancel(Response(streaming=call.has_chunks))


def _current_task() -> Task | None:
    # Asked for first, since without a loop the other would raise, at many times the price.
    return asyncio.current_task() if _get_running_loop() is not None else None
