"""
From a call in flight to the frames that describe it.

Hands frames to a callable and knows nothing of where they go.
"""

from collections.abc import Callable, Mapping
from typing import Any

from modeltrail.capture import CapturePolicy
from modeltrail.describe import Describer
from modeltrail.ids import now_us, uuid7
from modeltrail.invocation import Ending, Invocation
from modeltrail.keys import Keys
from modeltrail.problems import Problems
from modeltrail.record import Frame, FrameKind, Request, Sink


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
        self._describer = Describer(keys, policy, defaults or {}, self.problems.note)
        self._clock_us = clock_us
        self._open: dict[tuple[str, str], Invocation] = {}
        # Columns of calls whose start could not be written: their end says them.
        self._unsaid: dict[str, dict[str, Any]] = {}

    def start(self, request: Request) -> Invocation:
        """
        Begin a call, or return it if this framework's run is already open.

        Two handlers of one trail that hear of the same run thus make one record.
        """
        key = (request.framework, request.run_id)
        if (known := self._open.get(key)) is not None:
            return known
        started_at_us = self._clock_us()
        call = Invocation(
            uuid7(started_at_us), started_at_us, request, close=self._close, amend=self._amend
        )
        columns, texts = self._describer.start(request)
        call.capture_mode = columns["capture_mode"]
        self._open[key] = call
        if not self._send(Frame(FrameKind.START, call.id, started_at_us, columns, texts)):
            self._unsaid[call.id] = columns
        return call

    def find(self, framework: str, run_id: str) -> Invocation | None:
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
        self._unsaid.clear()

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
        return id if self._send(Frame(kind, id, now, columns)) else None

    def _close(self, call: Invocation, ending: Ending) -> None:
        self._open.pop((call.request.framework, call.request.run_id), None)
        columns, texts = self._describer.end(ending, call.capture_mode)
        if self._unsaid and (unsaid := self._unsaid.pop(call.id, None)):
            columns = unsaid | columns
        self._send(Frame(FrameKind.END, call.id, call.started_at_us, columns, texts))

    def _amend(self, call: Invocation, columns: Mapping[str, Any]) -> None:
        self._send(Frame(FrameKind.AMEND, call.id, call.started_at_us, columns))

    def _send(self, frame: Frame) -> bool:
        try:
            self.sink(frame)
        except Exception as error:
            self.problems.note(f"{frame.kind.name.lower()}-not-written", error)
            return False
        return True
