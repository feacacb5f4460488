"""
Joining frames to records.
"""

from typing import Any

import pytest

from modeltrail.record import Frame, FrameKind
from modeltrail.storage.assembly import HOLD_S, Assembly
from modeltrail.storage.spool import Position


class Clock:
    """
    A clock that stands still until it is moved.
    """

    now = 100.0

    def __call__(self) -> float:
        """
        Return the time.
        """
        return self.now


@pytest.fixture
def clock() -> Clock:
    """
    Make a clock.
    """
    return Clock()


@pytest.fixture
def assembly(clock: Clock) -> Assembly:
    """
    Make an assembly for which a frame fills the columns of its facts.
    """
    return Assembly(lambda frame: dict(frame.facts), clock)


def take(assembly: Assembly, kind: FrameKind, offset: int, id: str = "a", **columns: Any) -> None:
    """
    Let it take a frame.
    """
    assembly.take(Frame(kind, id, 1, {}, columns), Position(0, offset))


def ripe(assembly: Assembly, **options: Any) -> list[dict[str, Any]]:
    """
    Return the columns of what is ripe.
    """
    return [draft.columns for draft in assembly.ripe(**options)]


def test_start_and_end_are_one_record(assembly: Assembly) -> None:
    """What the end says joins and replaces what the start said."""
    take(assembly, FrameKind.START, 0, feature="f", streaming=False)
    take(assembly, FrameKind.END, 10, status="ok", streaming=True)
    assert ripe(assembly, all_ended=True) == [{"feature": "f", "status": "ok", "streaming": True}]
    assert ripe(assembly, all_ended=True) == []


def test_ended_call_waits_for_late_facts(assembly: Assembly, clock: Clock) -> None:
    """Within the hold a late fact joins the record."""
    take(assembly, FrameKind.START, 0)
    take(assembly, FrameKind.END, 10, status="ok")
    assert ripe(assembly) == []
    take(assembly, FrameKind.AMEND, 20, cost_nanousd=5, why="told later")
    clock.now += HOLD_S
    assert ripe(assembly) == [{"status": "ok", "cost_nanousd": 5}]
    assert assembly.late == []


def test_fact_told_before_the_end_wins_over_it(assembly: Assembly) -> None:
    """Whoever tells a fact while the call runs knows it better than who tells of its end."""
    take(assembly, FrameKind.START, 0, response_model="asked", feature="f")
    take(assembly, FrameKind.AMEND, 10, response_model="served", why="litellm")
    take(assembly, FrameKind.END, 20, response_model="asked", status="ok")
    assert ripe(assembly, all_ended=True) == [
        {"response_model": "served", "feature": "f", "status": "ok"}
    ]
    assert assembly.late == []


def test_later_of_two_facts_wins(assembly: Assembly) -> None:
    """Of two facts about one column the one that was told last stands."""
    take(assembly, FrameKind.START, 0)
    take(assembly, FrameKind.AMEND, 10, cost_nanousd=1, response_model="first")
    take(assembly, FrameKind.AMEND, 20, cost_nanousd=2, response_model="served")
    take(assembly, FrameKind.END, 30, status="ok")
    take(assembly, FrameKind.AMEND, 40, cost_nanousd=3)
    expected = {"cost_nanousd": 3, "response_model": "served", "status": "ok"}
    assert ripe(assembly, all_ended=True) == [expected]


def test_fact_after_the_record_is_an_amendment(assembly: Assembly) -> None:
    """A fact about a call that is gone from here is kept apart, with its reason."""
    take(assembly, FrameKind.AMEND, 20, cost_nanousd=5, why="told later")
    (late,) = assembly.late
    assert (late.call_id, late.columns, late.why) == ("a", {"cost_nanousd": 5}, "told later")
    assert late.position == Position(0, 20)


def test_settled_calls_are_incomplete(assembly: Assembly) -> None:
    """What never ended is a record, too."""
    take(assembly, FrameKind.START, 0, feature="f")
    assembly.settle()
    assert ripe(assembly, all_ended=True) == [{"feature": "f", "status": "incomplete"}]


def test_spool_is_needed_from_the_first_unfinished_call(assembly: Assembly) -> None:
    """Segments before the oldest call in flight may go, no others."""
    take(assembly, FrameKind.START, 0, id="a")
    take(assembly, FrameKind.START, 10, id="b")
    take(assembly, FrameKind.END, 20, id="a", status="ok")
    assert assembly.needed_from == Position(0, 0)
    list(assembly.ripe(all_ended=True))
    assert assembly.needed_from == Position(0, 10)
    take(assembly, FrameKind.END, 30, id="b", status="ok")
    list(assembly.ripe(all_ended=True))
    assert assembly.needed_from is None


def test_outcomes_and_events_pass_by(assembly: Assembly) -> None:
    """What is no call is handed on as it is."""
    take(assembly, FrameKind.OUTCOME, 0, id="o", name="resolved")
    (other,) = assembly.others
    assert (other.kind, other.id, other.columns) == (FrameKind.OUTCOME, "o", {"name": "resolved"})
