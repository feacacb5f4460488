"""
What the handler must remember of calls in flight, and nothing longer.
"""

import asyncio
from asyncio import _get_running_loop
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from modeltrail.integration import Invocation, Recorder, Response, guarded
from modeltrail_langchain.translate import FRAMEWORK

Task = asyncio.Task[Any]


class Watch:
    """
    The task in which a call began.

    Attributes:
        is_streamed: A piece of an answer was seen.
    """

    __slots__ = ("is_streamed", "on_done", "task")

    def __init__(self, task: Task, on_done: Callable[[Task], None]) -> None:
        self.task = task
        self.on_done = on_done
        self.is_streamed = False


class OpenCalls:
    """
    Ends the calls whose task ends before them, and knows who waits for a first piece.

    LangChain announces no end when an `ainvoke` is cancelled or runs into a
    time-out; but the task that it ran in ends.

    Attributes:
        waiting: Runs of which no piece of an answer was seen, so that all
            later pieces of a stream cost nothing.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._watches: dict[UUID, Watch] = {}
        self.waiting: set[UUID] = set()
        self._with_schema: set[UUID] = set()

    def __len__(self) -> int:
        return len(self._watches.keys() | self.waiting | self._with_schema)

    def begin(self, run_id: UUID, call: Invocation, *, has_schema: bool = False) -> None:
        """
        Remember a call, and the current task if there is one.

        Args:
            has_schema: It asks for an answer of a certain shape.
        """
        self.waiting.add(run_id)
        if has_schema:
            self._with_schema.add(run_id)
        if len(self.waiting) > self._recorder.open_calls:
            self._forget_settled()
        if (task := _current_task()) is not None and run_id not in self._watches:
            watch = Watch(task, partial(self._task_done, run_id, call))
            self._watches[run_id] = watch
            task.add_done_callback(watch.on_done)

    def note_piece(self, run_id: UUID, *, has_content: bool) -> None:
        """
        Note that a call's answer comes in pieces.

        Args:
            has_content: This was the first piece that counts.
        """
        if (watch := self._watches.get(run_id)) is not None:
            watch.is_streamed = True
        if has_content:
            self.waiting.discard(run_id)

    def has_schema(self, run_id: UUID) -> bool:
        """
        Tell whether a call in flight asks for an answer of a certain shape.
        """
        return run_id in self._with_schema

    def end(self, run_id: UUID) -> None:
        """
        Forget a call that has ended, so that a long task gathers nothing.
        """
        self.waiting.discard(run_id)
        self._with_schema.discard(run_id)
        if self._watches and (watch := self._watches.pop(run_id, None)) is not None:
            watch.task.remove_done_callback(watch.on_done)

    def _forget_settled(self) -> None:
        # Calls that were ended by the trail because LangChain never told of their end.
        for run_id in list(self.waiting):
            if self._recorder.find(FRAMEWORK, run_id) is None:
                self.end(run_id)

    @guarded
    def _task_done(self, run_id: UUID, call: Invocation, task: Task) -> None:
        if (watch := self._watches.pop(run_id, None)) is None:
            return  # its end was told between that of the task and this
        # A stream may go on in another task than the one that took its first
        # piece, and it announces its own end.
        if task.cancelled() or not watch.is_streamed:
            self.waiting.discard(run_id)
            self._with_schema.discard(run_id)
            call.cancel(Response(streaming=watch.is_streamed))


def _current_task() -> Task | None:
    # Asked for first, since without a loop the other would raise, at many times the price.
    return asyncio.current_task() if _get_running_loop() is not None else None
