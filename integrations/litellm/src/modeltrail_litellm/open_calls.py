"""
The calls in flight, and what ends those that LiteLLM never speaks of again.

LiteLLM says nothing when a stream is thrown away or a call is cancelled. All
that it knows of a call stands in one dict, which it lets go once there is
nothing more to tell. A mark in that dict, a string to everybody else, goes
with it and takes the open call along.
"""

import asyncio
import weakref
from itertools import count
from sys import is_finalizing
from threading import Thread, current_thread

from msgspec.structs import replace

from modeltrail.integration import Invocation, Recorder, Response
from modeltrail_litellm import translate
from modeltrail_litellm.tables import TOLD_IN_THREADS
from modeltrail_litellm.tasks import Ending, Endings
from modeltrail_litellm.translate import FRAMEWORK, Details

Loop = asyncio.AbstractEventLoop


class Mark(str):
    """
    The id of a call's record, in LiteLLM's own details of the call.

    A copy, such as other loggers make of the details, is a plain string.

    Attributes:
        call: The call.
    """

    __slots__ = ("__weakref__", "call")

    call: Invocation

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """
        Be copied and pickled as a string.
        """
        return str, (str(self),)


class Begun(weakref.ref[Mark]):
    """
    Where a call began, and a weak reference to its mark.

    In one, since `weakref.finalize` is Python code that would run in the caller's thread.

    Attributes:
        thread: The thread that the call blocks; None if it blocks none.
        ending: How the task ends that made it; None if none did.
        loop: The event loop in which its end is told, None if a thread tells it.
        is_streamed: Whether its caller returns before it has ended.
    """

    __slots__ = ("call", "ending", "is_streamed", "loop", "thread")

    call: Invocation
    thread: Thread | None
    ending: Ending | None
    loop: "weakref.ref[Loop] | None"
    is_streamed: bool


class OpenCalls:
    """
    The calls of one trail that LiteLLM has begun.

    Attributes:
        recorder: Where they are recorded.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        # Of each trail its own: several may record side by side.
        self._key = f"modeltrail_call_{id(recorder):x}"
        self._begun: dict[Invocation, Begun] = {}
        self._endings = Endings()
        self._doubles = count(2)

    def begin(self, details: Details) -> Invocation | None:
        """
        Begin a call, or return it if it has begun; None if its kind is not recorded.
        """
        if (known := self._marked(details)) is not None and not known.ended:
            return known
        request = translate.request(details)
        if request is None:
            return None
        call = self.recorder.start(request)
        if call in self._begun:
            # An application may give its own id to several calls at once.
            another = f"{request.run_id}#{next(self._doubles)}"
            call = self.recorder.start(replace(request, run_id=another))
        mark = details[self._key] = Mark(call.id)
        mark.call = call
        begun = Begun(mark, self._let_go)
        begun.call, begun.is_streamed = call, request.streaming
        self._place(begun, details["call_type"])
        self._begun[call] = begun  # whole: other threads look through them meanwhile
        return call

    def find(self, details: Details) -> Invocation | None:
        """
        Return the call that LiteLLM tells of, None if it was not seen to begin.
        """
        # Where LiteLLM has copied the details the mark is a plain string.
        return self._marked(details) or self.recorder.find(FRAMEWORK, translate.run_id(details))

    def returned(self, *, streams: bool) -> bool:
        """
        Tell whether calls are open that have returned, so that LiteLLM is about to tell of them.

        Those are the ones of this thread and of threads that have ended, made without `await`.

        Args:
            streams: Whether streams count, too: those may still be read.
        """
        here = current_thread()
        return any(
            (each.thread is here or not each.thread.is_alive())
            and (streams or not each.is_streamed)
            and self.recorder.awaits(each.call)
            for each in list(self._begun.values())
            if each.thread is not None
        )

    def loops(self) -> set[Loop]:
        """
        Return the event loops in which open calls were made.
        """
        return {
            loop
            for each in list(self._begun.values())
            if each.loop is not None and self.recorder.awaits(each.call)
            if (loop := each.loop()) is not None
        }

    def _marked(self, details: Details) -> Invocation | None:
        mark = details.get(self._key)
        return mark.call if isinstance(mark, Mark) else None

    def _place(self, begun: Begun, call_type: str) -> None:
        # The kind of a call decides: LiteLLM 1.106's Router makes calls that block in a loop of
        # its own, which is gone when they return, and `arerank` begins in a thread of its loop's.
        begun.thread = current_thread() if call_type in TOLD_IN_THREADS else None
        begun.ending = begun.loop = None
        if (loop := running_loop()) is None:
            return
        task = asyncio.current_task(loop)
        begun.ending = None if task is None else self._endings.of(task)
        if begun.thread is None:
            begun.loop = weakref.ref(loop)

    def _let_go(self, begun: Begun) -> None:
        """
        End a call of which nothing more can be told; one that has ended stays as it is.
        """
        if is_finalizing():
            return  # the trail has closed, and what an end is made of is going
        if begun.ending is not None and begun.ending.is_cancelled:
            _cancel(begun.call, begun.ending.cancelled_at_us)
        else:
            begun.call.lose()
        del self._begun[begun.call]  # not before: until it is written somebody may wait for it


def running_loop() -> Loop | None:
    """
    Return the event loop of this thread, None if none runs.
    """
    # What `get_running_loop` raises where there is none costs each blocking call too much.
    return asyncio._get_running_loop()  # noqa: SLF001


def _cancel(call: Invocation, at_us: int | None) -> None:
    # LiteLLM may let go of it long after.
    latency_us = None if at_us is None else max(at_us - call.started_at_us, 0)
    call.cancel(Response(latency_us=latency_us))
