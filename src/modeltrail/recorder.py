"""
From a call in flight to the frames that describe it.

Hands frames to a callable and knows nothing of where they go.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

import msgspec
from msgspec.structs import replace

from modeltrail.capture import CapturePolicy, storable, without_secrets
from modeltrail.ids import now_us, uuid7
from modeltrail.invocation import Ending, Invocation, Key, enclosing
from modeltrail.joining import Joint
from modeltrail.keys import Keys
from modeltrail.plain import plain
from modeltrail.problems import Problems
from modeltrail.record import Frame, FrameKind, Request, Sink
from modeltrail.tell import Teller

START, END = FrameKind.START, FrameKind.END

# Calls in flight beyond which the oldest are given up: an application that makes so many
# at once has long run out of something else, while one that leaks them must not grow.
OPEN_LIMIT = 50_000
# No model answers for so long: what is open still was never told to have ended.
OPEN_AGE_US = 6 * 3600 * 1_000_000

# A name that is longer is none.
EVENT_CHARS = 256

T = TypeVar("T")


class Late(Protocol):
    """
    A framework that tells of the ends of calls later than they happen.
    """

    def hear_out(self, timeout: float) -> None:
        """
        Wait until it has told of what has ended, or until so many seconds have passed.
        """

    async def ahear_out(self, timeout: float) -> None:
        """
        Do the same without blocking the event loop.
        """


class Recorder:
    """
    Starts invocations and turns them into frames.

    One per trail, shared by the handlers of all frameworks, so that a call
    announced twice is recognised.

    Attributes:
        sink: Takes each frame. If it raises, the frame is lost and counted;
            the host never hears of it.
        problems: What went wrong inside.
        late: The frameworks that `hear_out` waits for.

    Args:
        defaults: Tags for calls that have none of their own.
        clock_us: Microseconds UTC.
        open_limit: How many calls may be open; beyond it the oldest are
            recorded as `incomplete`, and their ends are not heard any more.
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
        open_limit: int = OPEN_LIMIT,
    ) -> None:
        self.sink = sink
        self.problems = problems or Problems()
        self.late: list[Late] = []
        self._keys = keys
        self._teller = Teller(keys, policy, defaults or {}, self.problems.note)
        self._clock_us = clock_us
        self._open_limit = open_limit
        self._open: dict[Key, Invocation] = {}
        # Calls that are part of an open one.
        self._inner: dict[Key, Invocation] = {}
        self._shared: dict[Callable[[Recorder], Any], Any] = {}
        # By id, calls whose ends are being written.
        self._ending: set[str] = set()
        # Starts that could not be written: their ends say it all.
        self._unwritten: dict[str, Frame] = {}

    def start(self, request: Request) -> Invocation:
        """
        Begin a call, or return it if this framework's run is already open.

        Two handlers of one trail that hear of the same run thus make one record.
        """
        key = (request.framework, request.run_id)
        if (known := self._at(key)) is not None:
            return known
        if (outer := enclosing(request.framework, self)) is not None:
            return self._start_inner(outer, key)
        started_at_us = request.started_at_us or self._clock_us()
        call = Invocation(uuid7(started_at_us), started_at_us, key, self)
        told, facts, texts = self._teller.start(request)
        call.capture_mode = facts["capture_mode"]
        frame = Frame(START, call.id, started_at_us, told, facts, texts)
        if not self._send(frame):
            self._unwritten[call.id] = frame
        # Not before: another thread that settles must not write the end before the start.
        self._open[key] = call
        if len(self._open) > self._open_limit:
            self._give_up_oldest()
        return call

    def find(self, framework: str, run_id: str | UUID) -> Invocation | None:
        """
        Return the open call of a framework's run, None if there is none.
        """
        return self._at((framework, run_id))

    def awaits(self, call: Invocation) -> bool:
        """
        Tell whether the end of a call is still to be written, here: after a fork, no end of one
        that began before.
        """
        # In this order: what ends meanwhile is in the second before it leaves the first.
        return self._at(call.key) is call or call.id in self._ending

    @property
    def open_calls(self) -> int:
        """
        How many calls have started and not ended.
        """
        return len(self._open)

    def hear_out(self, timeout: float) -> None:
        """
        Wait for the frameworks that tell late of calls that have ended.

        Args:
            timeout: How long each of them may take, seconds.
        """
        for each in list(self.late):
            try:
                each.hear_out(timeout)
            except Exception as error:
                self.problems.note("not-heard-out", error)

    async def ahear_out(self, timeout: float) -> None:
        """
        Do as `hear_out` does without blocking the event loop.
        """
        for each in list(self.late):
            try:
                await each.ahear_out(timeout)
            except Exception as error:
                self.problems.note("not-heard-out", error)

    def settle(self) -> int:
        """
        End every open call as `incomplete` and return how many there were.
        """
        self._inner.clear()
        return self._lose(list(self._open.values()))

    def give_up(self, age_us: int = OPEN_AGE_US) -> int:
        """
        End as `incomplete` the calls that have been open for too long.

        Args:
            age_us: Since when at least, microseconds.

        Returns:
            How many there were; they are counted as a problem, too.
        """
        latest = self._clock_us() - age_us
        old = [call for call in list(self._open.values()) if call.started_at_us < latest]
        return self._give_up(old)

    def shared(self, make: Callable[["Recorder"], T]) -> T:
        """
        Return what the handlers of one framework share, made at the first request.

        Args:
            make: Makes it, such as its class; names it, too.
        """
        known = self._shared.get(make)
        return cast(T, known if known is not None else self._shared.setdefault(make, make(self)))

    def forget(self) -> None:
        """
        Drop the open calls without a word: after a fork they are the parent's.
        """
        self._open.clear()
        self._inner.clear()
        self._ending.clear()
        self._unwritten.clear()

    def ref(self, value: object) -> str:
        """
        Return the reference under which a user, unit or session is stored.
        """
        return self._keys.ref(str(value))

    def emit(
        self, kind: FrameKind, columns: Mapping[str, Any], id: str | None = None
    ) -> str | None:
        """
        Hand on an outcome or an event.

        Args:
            id: If it may be told more than once; the first one stays.

        Returns:
            Its id, None if it could not be written.
        """
        now = self._clock_us()
        id = id or uuid7(now)
        return id if self._send(Frame(kind, id, now, {}, columns)) else None

    def event(self, kind: str, detail: Mapping[str, str | None]) -> None:
        """
        Enter something that happened and is no call, such as a request that was refused.

        Args:
            kind: Names it; explained in docs/reference/problems.md.
            detail: What it tells; None is left out.
        """
        told = {
            name: without_secrets(storable(text[:EVENT_CHARS]))
            for name, text in detail.items()
            if text is not None
        }
        text = msgspec.json.encode(told, order="sorted").decode()
        self.emit(FrameKind.EVENT, {"kind": kind, "detail": text})

    def close(self, call: Invocation, ending: Ending) -> None:
        """
        Enter how a call ended; called by the call itself.

        One that is not open here is forgotten: it began before a fork, and
        its end is the parent's to tell.
        """
        if self._open.get(call.key) is not call:
            return
        self._ending.add(call.id)
        try:
            del self._open[call.key]
            told, facts, texts = self._teller.end(ending, call.capture_mode)
            frame = Frame(END, call.id, call.started_at_us, told, facts, texts)
            if self._unwritten and (start := self._unwritten.pop(call.id, None)):
                frame = self._joined(start, frame)
            self._send(frame)
        finally:
            self._ending.discard(call.id)

    def amend(self, call: Invocation, columns: Mapping[str, Any]) -> None:
        """
        Enter a fact that came after the end; called by the call itself.
        """
        self._send(Frame(FrameKind.AMEND, call.id, call.started_at_us, {}, columns))

    def _at(self, key: Key) -> Invocation | None:
        call = self._open.get(key)
        return self._inner.get(key) if call is None and self._inner else call

    def _start_inner(self, outer: Invocation, key: Key) -> Invocation:
        joint = Joint(outer, self._send, self._leave)
        call = Invocation(outer.id, outer.started_at_us, key, joint)
        self._inner[key] = call
        return call

    def _leave(self, inner: Invocation) -> bool:
        return self._inner.pop(inner.key, None) is not None

    def _give_up_oldest(self) -> None:
        # A copy, since other threads begin and end calls meanwhile, and some more than need
        # be, so that a leak pays for the copy once in many calls.
        excess = len(self._open) - self._open_limit + self._open_limit // 64
        self._give_up(list(self._open.values())[:excess])

    def _give_up(self, calls: list[Invocation]) -> int:
        if calls:
            self.problems.note("call-given-up", times=len(calls))
        return self._lose(calls)

    @staticmethod
    def _lose(calls: list[Invocation]) -> int:
        for call in calls:
            call.lose()
        return len(calls)

    def _joined(self, start: Frame, end: Frame) -> Frame:
        told = plain(start.told, self.problems.note) | plain(end.told, self.problems.note)
        texts = {**(start.texts or {}), **(end.texts or {})}
        facts = {**start.facts, **end.facts}
        return replace(end, kind=FrameKind.CALL, told=told, facts=facts, texts=texts)

    def _send(self, frame: Frame) -> bool:
        try:
            self.sink(frame)
        except Exception as error:
            self.problems.note(f"{frame.kind.name.lower()}-not-written", error)
            return False
        return True
