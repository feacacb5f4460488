"""
One model call in flight.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from time import perf_counter_ns
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

from modeltrail.record import CaptureMode, Response, Status

# A failure that means: the caller gave up. By name, since the application's
# event loop library need not be loaded here.
CANCELLATIONS = frozenset({"GeneratorExit", "CancelledError", "KeyboardInterrupt"})

NO_RESPONSE = Response()


class Ending(Struct, frozen=True):
    """
    How a call ended.

    Attributes:
        latency_us: From start to end, None if the end was never seen.
    """

    status: Status
    response: Response
    latency_us: int | None
    time_to_first_chunk_us: int | None
    error_type: str | None = None
    error_code: str | None = None


Key = tuple[str, str | UUID]


# The calls that other frameworks may serve, in this context: one of each book.
_enclosing: ContextVar[tuple["Invocation", ...]] = ContextVar("modeltrail_enclosing", default=())


class Book(Protocol):
    """
    Where calls are entered.
    """

    def close(self, call: "Invocation", ending: Ending) -> None:
        """
        Enter how a call ended.
        """

    def amend(self, call: "Invocation", columns: Mapping[str, Any]) -> None:
        """
        Enter a fact that came after the end.
        """


class Invocation:
    """
    A call that has started; it ends exactly once.

    Ending it again is harmless and changes nothing. All methods may be called
    from any thread.

    Attributes:
        id: The call's id in the trail.
        started_at_us: Microseconds UTC.
        key: What the framework knows it by: its name and its id of the run.
        capture_mode: How much of its content is kept.
        is_alone: Whether what it encloses is certainly its own, and not that of a call
            which was announced together with it.
    """

    __slots__ = (
        "_book",
        "_first_chunk_us",
        "_has_chunks",
        "_started_ns",
        "_turns",
        "capture_mode",
        "id",
        "is_alone",
        "key",
        "started_at_us",
    )

    def __init__(self, id: str, started_at_us: int, key: Key, book: Book) -> None:
        self.id = id
        self.started_at_us = started_at_us
        self.key = key
        self._book = book
        self._started_ns = perf_counter_ns()
        self._first_chunk_us: int | None = None
        self._has_chunks = False
        self.capture_mode: CaptureMode = "metadata"
        self.is_alone = True
        # Whoever takes the only turn ends the call: list.pop is atomic and,
        # unlike a lock, safe when the garbage collector re-enters us.
        self._turns = [True]

    def begin_stream(self) -> None:
        """
        Note that the answer arrives in pieces, the first of which may be empty.
        """
        self._has_chunks = True

    def first_chunk(self) -> None:
        """
        Note that the first piece of a streamed answer that holds something has arrived.
        """
        self._has_chunks = True
        if self._first_chunk_us is None:
            self._first_chunk_us = self._elapsed_us()

    @property
    def has_chunks(self) -> bool:
        """
        Whether a piece of a streamed answer has arrived, be it an empty one.
        """
        return self._has_chunks

    @property
    def ended(self) -> bool:
        """
        Whether the call has ended.
        """
        return not self._turns

    def stop(self, response: Response) -> None:
        """
        End well.
        """
        self._end("ok", response)

    def fail(
        self, error: BaseException, response: Response = NO_RESPONSE, *, code: str | None = None
    ) -> None:
        """
        End with an error, or as cancelled if the error means that.

        Args:
            response: What had arrived before.
            code: The HTTP status or the provider's code.
        """
        name = type(error).__name__
        if name in CANCELLATIONS:
            self._end("cancelled", response)
        else:
            self._end("error", response, name, code)

    def cancel(self, response: Response = NO_RESPONSE) -> None:
        """
        End because the caller gave up.
        """
        self._end("cancelled", response)

    def leave_incomplete(self, response: Response = NO_RESPONSE) -> None:
        """
        End without knowing how: a stream without a finish reason.
        """
        self._end("incomplete", response)

    def enclose(self, *, alone: bool = True) -> None:
        """
        Take in the calls of other frameworks that begin in this context.

        For a framework whose calls are made by another one: both tell of the
        same call, which shall be one record. It ends with this call or with
        its first piece: between pieces the application's own code runs.

        Args:
            alone: False for one of several calls that were announced before
                any was made. Whose a call is that begins then nobody can tell:
                it makes no record, and adds to none.
        """
        self.is_alone = alone
        others = (each for each in _enclosing.get() if not each.is_entered_in(self._book))
        _enclosing.set((*(each for each in others if not each.ended), self))

    def is_entered_in(self, book: Book) -> bool:
        """
        Tell whether the call is entered in a book.
        """
        return self._book is book

    def lose(self) -> None:
        """
        End because no end was ever seen; the latency stays unknown.
        """
        if self._take_turn():
            seen = Response(streaming=True) if self.has_chunks else NO_RESPONSE
            self._book.close(self, Ending("incomplete", seen, None, self._first_chunk_us))

    def amend(self, why: str, **columns: Any) -> None:
        """
        Add a fact that came after the end, such as a cost told later.

        Args:
            why: What told it.
            columns: Columns of the record.
        """
        self._book.amend(self, {"why": why, **columns})

    def _end(
        self,
        status: Status,
        response: Response,
        error_type: str | None = None,
        error_code: str | None = None,
    ) -> None:
        if self._take_turn():
            elapsed = self._elapsed_us()
            first = self._first_chunk_us
            self._book.close(self, Ending(status, response, elapsed, first, error_type, error_code))

    def _take_turn(self) -> bool:
        if not self._turns:
            return False
        try:
            return self._turns.pop()
        except IndexError:  # another thread was faster
            return False

    def _elapsed_us(self) -> int:
        return (perf_counter_ns() - self._started_ns) // 1000


def enclosing(framework: str, book: Book) -> Invocation | None:
    """
    Return the call of another framework that a call beginning here is part of.

    Args:
        framework: Whose call begins.
        book: Where it would be entered; a call entered elsewhere takes nothing in.
    """
    if not (calls := _enclosing.get()):  # as nearly always
        return None
    call = next((each for each in calls if each.is_entered_in(book)), None)
    if call is None or call.ended or call.has_chunks or call.key[0] == framework:
        return None
    return call
