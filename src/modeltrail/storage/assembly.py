"""
From frames to whole records: what belongs to one call is joined.

Pure but for the two callables it is given. An end waits a moment for late
facts; a fact that comes later still becomes an amendment, since a stored call
is never changed.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from modeltrail.record import Frame, FrameKind
from modeltrail.storage.spool.tail import Position

# How long an ended call waits for late facts, seconds.
HOLD_S = 0.2

Describe = Callable[[Frame], dict[str, Any]]


class Late(NamedTuple):
    """
    A fact about a call that is stored already.
    """

    call_id: str
    started_at_us: int
    position: Position
    columns: Mapping[str, Any]
    why: str | None


class Draft(Struct, frozen=True):
    """
    A call on its way to being a row.

    Attributes:
        columns: What is known so far; has a `status` once the call has ended.
        position: Where its first frame stands: the spool is needed from there.
        amended: Late facts that joined it, and where each stood.
    """

    id: str
    started_at_us: int
    position: Position
    columns: dict[str, Any]
    amended: list[Late]


class Other(NamedTuple):
    """
    An outcome or an event.
    """

    kind: FrameKind
    id: str
    at_us: int
    columns: Mapping[str, Any]


class Assembly:
    """
    Joins the frames of one spool.

    Args:
        describe: Returns the columns that a frame fills.
        clock: Seconds, monotonic.
        is_replay: The frames are those of a process that has died: where a
            start was carried to, it may be met for the first time.
    """

    def __init__(
        self, describe: Describe, clock: Callable[[], float], *, is_replay: bool = False
    ) -> None:
        self._is_replay = is_replay
        self._describe = describe
        self._clock = clock
        self._open: dict[str, Draft] = {}
        self._held: OrderedDict[str, tuple[float, Draft]] = OrderedDict()
        self.late: list[Late] = []
        self.others: list[Other] = []
        self._takers = {
            FrameKind.START: self._start,
            FrameKind.END: self._end,
            FrameKind.AMEND: self._amend,
            FrameKind.OUTCOME: self._other,
            FrameKind.EVENT: self._other,
            FrameKind.CALL: self._end,
            FrameKind.CARRIED: self._carry,
        }

    def take(self, frame: Frame, position: Position) -> None:
        """
        Take in the next frame.
        """
        self._takers[frame.kind](frame, position)

    def ripe(self, *, all_ended: bool = False) -> Iterator[Draft]:
        """
        Hand over the calls that have ended and waited long enough.

        Args:
            all_ended: Do not wait.
        """
        deadline = self._clock() - HOLD_S
        while self._held:
            ended_at, draft = next(iter(self._held.values()))
            if ended_at > deadline and not all_ended:
                return
            del self._held[draft.id]
            yield draft

    def settle(self) -> None:
        """
        End as `incomplete` every call whose process can end it no more.
        """
        for draft in self._open.values():
            draft.columns["status"] = "incomplete"
            self._held[draft.id] = (0.0, draft)
        self._open.clear()

    @property
    def needed_from(self) -> Position | None:
        """
        The first place in the spool that is still needed, None if none is.
        """
        drafts = (*self._open.values(), *(draft for _, draft in self._held.values()))
        return min((draft.position for draft in drafts), default=None)

    def begun_in(self, segment: int) -> list[Draft]:
        """
        Return the calls in flight whose first frame stands in a segment.
        """
        return [draft for draft in self._open.values() if draft.position.segment == segment]

    @property
    def is_holding(self) -> bool:
        """
        Whether ended calls are waiting.
        """
        return bool(self._held)

    def _start(self, frame: Frame, position: Position) -> None:
        columns = self._describe(frame)
        self._open[frame.id] = Draft(frame.id, frame.started_at_us, position, columns, [])

    def _carry(self, frame: Frame, position: Position) -> None:
        draft = self._open.get(frame.id)
        if draft is not None:
            self._open[frame.id] = replace(draft, position=position)
        elif self._is_replay:
            self._start(frame, position)

    def _end(self, frame: Frame, position: Position) -> None:
        columns = self._describe(frame)
        draft = self._open.pop(frame.id, None)
        if draft is None:
            draft = Draft(frame.id, frame.started_at_us, position, {}, [])
        draft.columns.update(columns)
        for late in draft.amended:  # told before the end, by someone who knew better
            draft.columns.update(late.columns)
        self._held[frame.id] = (self._clock(), draft)

    def _amend(self, frame: Frame, position: Position) -> None:
        columns = self._describe(frame)
        why = columns.pop("why", None)
        late = Late(frame.id, frame.started_at_us, position, columns, why)
        held = self._held.get(frame.id)
        draft = held[1] if held else self._open.get(frame.id)
        if draft is None:
            self.late.append(late)
        else:
            draft.columns.update(columns)
            draft.amended.append(late)

    def _other(self, frame: Frame, _: Position) -> None:
        self.others.append(Other(frame.kind, frame.id, frame.started_at_us, frame.facts))
