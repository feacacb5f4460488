"""
The keeper, turn by turn.
"""

from pathlib import Path

import msgspec
import pytest

from modeltrail.problems import Problems
from modeltrail.record import Frame, FrameKind
from modeltrail.storage import keeper as keepers
from modeltrail.storage.keeper import Keeper
from modeltrail.storage.spool import Position, Spool, Tail
from modeltrail.storage.spool.frames import Sealer, decode

SEALER = Sealer(bytes(32))


class Behind:
    """
    A drain that has stored up to a place.
    """

    needed_from = Position(0, 0)


class House:
    """
    A keeper and what it looks after.
    """

    def __init__(self, folder: Path) -> None:
        self.problems = Problems()
        self.spool = Spool(folder, "origin", SEALER, self.problems.note)
        self.drain = Behind()
        self.told = 0
        self.moved_ns = 0
        self.synced = 0
        self.keeper = Keeper(
            self.spool, self.drain, self.problems, tell=self._tell, clock_ns=self._clock_ns
        )

    def append(self) -> None:
        """
        Append something.
        """
        self.spool.append(Frame(FrameKind.CALL, "id", 1, {}, {}))

    def events(self) -> list[tuple[str, object]]:
        """
        Return what events were appended.
        """
        frames = [decode(found)[0] for _, found in Tail(self.spool, SEALER).read()]
        return [
            (frame.facts["kind"], msgspec.json.decode(frame.facts["detail"]))
            for frame in frames
            if frame.kind is FrameKind.EVENT
        ]

    def _tell(self) -> None:
        self.told += 1

    def _clock_ns(self) -> int:
        return keepers.time_ns() + self.moved_ns


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """
    Set one up, whose intervals are over at once.
    """
    monkeypatch.setattr(keepers, "SYNC_S", 0)
    monkeypatch.setattr(keepers, "METRICS_S", 0)
    made = House(tmp_path / "spool")
    sync = made.spool.sync

    def counted() -> None:
        made.synced += 1
        sync()

    monkeypatch.setattr(made.spool, "sync", counted)
    return made


def test_clock_that_was_moved_is_told_once(house: House) -> None:
    """A clock set by an hour is an event; a clock that is disciplined is none."""
    house.keeper.turn()
    house.moved_ns = 500_000_000
    house.keeper.turn()
    assert house.events() == []
    house.moved_ns += 3_600_000_000_000
    for _ in range(3):
        house.keeper.turn()
    ((kind, detail),) = house.events()
    assert kind == "clock-jump"
    assert detail["by_us"] == pytest.approx(3_600_000_000, abs=100_000)
    house.moved_ns = 0
    house.keeper.turn()
    assert house.events()[1][1]["by_us"] == pytest.approx(-3_600_500_000, abs=100_000)


def test_what_is_stored_in_time_is_not_synced(house: House) -> None:
    """The disk is asked only for what is not in the database after an interval."""
    house.append()
    house.keeper.turn()
    assert house.synced == 0  # not old enough
    house.drain.needed_from = house.spool.end()
    house.keeper.turn()
    assert house.synced == 0
    house.append()
    house.keeper.turn()
    house.keeper.turn()
    assert house.synced == 1


def test_metrics_are_told_when_something_happened(house: House) -> None:
    """An idle trail is silent."""
    house.keeper.turn()
    assert house.told == 0
    house.append()
    house.keeper.turn()
    house.keeper.turn()
    assert house.told == 1


def test_failing_disk_is_counted_and_the_rest_done(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one duty raises keeps the keeper from no other."""

    def fail() -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr(house.spool, "make_room", fail)
    house.append()
    house.keeper.turn()
    assert house.problems.counts() == {"keeper-failed": 1}
    assert house.told == 1


def test_turns_tell_whether_anything_changed(house: House) -> None:
    """So that an idle process is woken less often."""
    assert house.keeper.turn() is True
    assert house.keeper.turn() is False
    house.append()
    assert house.keeper.turn() is True
