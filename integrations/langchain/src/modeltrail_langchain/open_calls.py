"""
What the handler must remember of calls in flight, and nothing longer.
"""

import asyncio
from asyncio import _get_running_loop
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

from modeltrail.integration import Invocation, Recorder, Response, guarded
from modeltrail_langchain.asked import NO_MORE, Asked
from modeltrail_langchain.translate import FRAMEWORK

Task = asyncio.Task[Any]


class Watch(NamedTuple):
    """
    A call that LangChain may tell no end of, and what ends with it.

    Attributes:
        task: The task that it began in.
        on_done: What the task shall call at its end.
    """

    call: Invocation
    task: Task
    on_done: Callable[[Task], None]


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
        self._asked: dict[UUID, Asked] = {}
        self._kept = (self._watches, self.waiting, self._asked)

    def __len__(self) -> int:
        return len(set().union(*self._kept))

    def begin(self, run_id: UUID, call: Invocation, asked: Asked = NO_MORE) -> None:
        """
        Remember a call, and the current task if there is one.

        Args:
            asked: What must be known at its end.
        """
        self.waiting.add(run_id)
        if asked is not NO_MORE:
            self._asked[run_id] = asked
        if max(len(self.waiting), len(self._watches), len(self._asked)) > self._recorder.open_calls:
            self._forget_settled()
        if (task := _current_task()) is not None and run_id not in self._watches:
            watch = Watch(call, task, partial(self._task_done, run_id))
            self._watches[run_id] = watch
            task.add_done_callback(watch.on_done)

    def end(self, run_id: UUID) -> Asked:
        """
        Forget a call that has ended, so that a long task gathers nothing.

        Returns:
            What was asked for.
        """
        if self._watches and (watch := self._watches.pop(run_id, None)) is not None:
            watch.task.remove_done_callback(watch.on_done)
        return self._forget(run_id)

    def _forget(self, run_id: UUID) -> Asked:
        self.waiting.discard(run_id)
        return self._asked.pop(run_id, NO_MORE) if self._asked else NO_MORE

    def _forget_settled(self) -> None:
        # Calls that were ended by the trail because LangChain never told of their end.
        for run_id in chain.from_iterable(map(list, self._kept)):
            if self._recorder.find(FRAMEWORK, run_id) is None:
                self.end(run_id)

    @guarded
    def _task_done(self, run_id: UUID, task: Task) -> None:
        if (watch := self._watches.pop(run_id, None)) is None:
            return  # its end was told between that of the task and this
        # A stream may go on in another task than the one that took its first
        # piece, and it announces its own end.
        if task.cancelled() or not watch.call.has_chunks:
            self._forget(run_id)
            watch.call.cancel(Response(streaming=watch.call.has_chunks))


def _current_task() -> Task | None:
    # Asked for first, since without a loop the other would raise, at many times the price.
    return asyncio.current_task() if _get_running_loop() is not None else None
