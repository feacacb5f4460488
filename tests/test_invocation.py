"""
A call in flight ends exactly once.
"""

import asyncio
import threading
from collections.abc import Callable

import pytest
from recording import response

from modeltrail.invocation import Ending, Invocation

KEY = ("test", "run-1")


class Endings:
    """
    Enters endings into a list.
    """

    def __init__(self, ends: list[Ending]) -> None:
        self._ends = ends

    def close(self, _: Invocation, ending: Ending) -> None:
        """
        Enter an ending.
        """
        self._ends.append(ending)

    def amend(self, *_: object) -> None:
        """
        Enter nothing.
        """


@pytest.fixture
def endings() -> list[Ending]:
    """
    Collect how calls ended.
    """
    return []


@pytest.fixture
def call(endings: list[Ending]) -> Invocation:
    """
    Start a call.
    """
    return Invocation("id", 0, KEY, Endings(endings))


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda call: call.stop(response()), "ok"),
        (lambda call: call.fail(ValueError()), "error"),
        (lambda call: call.fail(GeneratorExit()), "cancelled"),
        (lambda call: call.fail(asyncio.CancelledError()), "cancelled"),
        (lambda call: call.fail(KeyboardInterrupt()), "cancelled"),
        (lambda call: call.cancel(), "cancelled"),
        (lambda call: call.leave_incomplete(), "incomplete"),
        (lambda call: call.lose(), "incomplete"),
    ],
)
def test_first_end_counts(
    call: Invocation, endings: list[Ending], end: Callable[[Invocation], None], status: str
) -> None:
    """Whatever ends a call first decides; ending it again changes nothing."""
    end(call)
    call.stop(response())
    call.fail(ValueError())
    call.lose()
    assert [each.status for each in endings] == [status]
    assert call.ended


def test_error_is_named_and_coded(call: Invocation, endings: list[Ending]) -> None:
    """An error leaves its type and code, never its text."""
    call.fail(ValueError("a secret text"), code="429")
    assert (endings[0].error_type, endings[0].error_code) == ("ValueError", "429")
    assert "secret" not in repr(endings[0])


def test_first_chunk_is_noted_once(call: Invocation, endings: list[Ending]) -> None:
    """Later pieces do not move the time of the first."""
    assert not call.has_chunks
    call.first_chunk()
    call.first_chunk()
    call.stop(response())
    first, latency = endings[0].time_to_first_chunk_us, endings[0].latency_us
    assert first is not None and latency is not None and 0 <= first <= latency


def test_empty_piece_begins_a_stream(call: Invocation, endings: list[Ending]) -> None:
    """An answer may begin to arrive before there is anything in it."""
    call.begin_stream()
    assert call.has_chunks
    call.stop(response())
    assert endings[0].time_to_first_chunk_us is None


def test_lost_call_has_no_latency(call: Invocation, endings: list[Ending]) -> None:
    """How long a call took whose end nobody saw is not known."""
    call.lose()
    assert endings[0].latency_us is None


def test_many_threads_end_a_call_once() -> None:
    """Of many threads that end a call at once, one does."""
    for _ in range(50):
        ends: list[Ending] = []
        call = Invocation("id", 0, KEY, Endings(ends))
        barrier = threading.Barrier(8)

        def end(call: Invocation = call, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            call.stop(response())

        threads = [threading.Thread(target=end) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ends) == 1


@pytest.mark.parametrize(("pieces", "streaming"), [(0, None), (2, True)])
def test_lost_call_was_a_stream_if_a_piece_was_seen(
    call: Invocation, endings: list[Ending], pieces: int, streaming: bool | None
) -> None:
    """Of a call that never ended nothing is known but that it streamed, and from when on."""
    for _ in range(pieces):
        call.first_chunk()
    call.lose()
    (ending,) = endings
    assert (ending.status, ending.latency_us) == ("incomplete", None)
    assert ending.response.streaming is streaming
    assert (ending.time_to_first_chunk_us is not None) is bool(pieces)
