"""
From a call in flight to the frames that describe it.

Hands frames to a callable and knows nothing of where they go.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from modeltrail.capture import CapturePolicy
from modeltrail.ids import now_us, uuid7
from modeltrail.invocation import Ending, Invocation, Key
from modeltrail.keys import Keys
from modeltrail.plain import plain
from modeltrail.problems import Problems
from modeltrail.record import Frame, FrameKind, Request, Sink
from modeltrail.tell import Teller

START, END = FrameKind.START, FrameKind.END


class Recorder:
    """
    Starts invocations and turns them into frames.

    One per trail, shared by the handlers of all frameworks, so that a call
    announced twice is recognised.

    Attributes:
        sink: Takes each frame. If it raises, the frame is lost and counted;
            the host never hears of it.
        problems: What went wrong inside.

    Args:
        defaults: Tags for calls that have none of their own.
        clock_us: Microseconds UTC.
    """

    def __init__(
        self,
        sink: Sink,
        keys: Keys,
        *,
        policy: CapturePolicy,
        defaults: Mapping[str, Any] | None = None,
        problems: Problems | None = None,
        clock_us: Callable[[], int] = now_us,
    ) -> None:
        self.sink = sink
        self.problems = problems or Problems()
        self._keys = keys
        self._teller = Teller(keys, policy, defaults or {}, self.problems.note)
        self._clock_us = clock_us
        self._open: dict[Key, Invocation] = {}
        # Starts that could not be written: their ends say it all.
        self._unwritten: dict[str, Frame] = {}

    def start(self, request: Request) -> Invocation:
        """
        Begin a call, or return it if this framework's run is already open.

        Two handlers of one trail that hear of the same run thus make one record.
        """
        key = (request.framework, request.run_id)
        if (known := self._open.get(key)) is not None:
            return known
        started_at_us = self._clock_us()
        call = Invocation(uuid7(started_at_us), started_at_us, key, self)
        told, facts, texts = self._teller.start(request)
        call.capture_mode = facts["capture_mode"]
        frame = Frame(START, call.id, started_at_us, told, facts, texts)
        if not self._send(frame):
            self._unwritten[call.id] = frame
        # Not before: another thread that settles must not write the end before the start.
        self._open[key] = call
        return call

    def find(self, framework: str, run_id: str | UUID) -> Invocation | None:
        """
        Return the open call of a framework's run, None if there is none.
        """
        return self._open.get((framework, run_id))

    @property
    def open_calls(self) -> int:
        """
        How many calls have started and not ended.
        """
        return len(self._open)

    def settle(self) -> int:
        """
        End every open call as `incomplete` and return how many there were.
        """
        left = list(self._open.values())
        for call in left:
            call.lose()
        return len(left)

    def forget(self) -> None:
        """
        Drop the open calls without a word: after a fork they are the parent's.
        """
        self._open.clear()
        self._unwritten.clear()

    def ref(self, value: object) -> str:
        """
        Return the reference under which a user, unit or session is stored.
        """
        return self._keys.ref(str(value))

    def emit(self, kind: FrameKind, columns: Mapping[str, Any]) -> str | None:
        """
        Hand on an outcome or an event.

        Returns:
            Its id, None if it could not be written.
        """
        now = self._clock_us()
        id = uuid7(now)
        return id if self._send(Frame(kind, id, now, {}, columns)) else None

    def close(self, call: Invocation, ending: Ending) -> None:
        """
        Enter how a call ended; called by the call itself.
        """
        self._open.pop(call.key, None)
        told, facts, texts = self._teller.end(ending, call.capture_mode)
        frame = Frame(END, call.id, call.started_at_us, told, facts, texts)
        if self._unwritten and (start := self._unwritten.pop(call.id, None)):
            frame = self._joined(start, frame)
        self._send(frame)

    def amend(self, call: Invocation, columns: Mapping[str, Any]) -> None:
        """
        Enter a fact that came after the end; called by the call itself.
        """
        self._send(Frame(FrameKind.AMEND, call.id, call.started_at_us, {}, columns))

    def _joined(self, start: Frame, end: Frame) -> Frame:
        told = plain(start.told, self.problems.note) | plain(end.told, self.problems.note)
        texts = {**(start.texts or {}), **(end.texts or {})}
        facts = {**start.facts, **end.facts}
        return end._replace(kind=FrameKind.CALL, told=told, facts=facts, texts=texts)

    def _send(self, frame: Frame) -> bool:
        try:
            self.sink(frame)
        except Exception as error:
            self.problems.note(f"{frame.kind.name.lower()}-not-written", error)
            return False
        return True
