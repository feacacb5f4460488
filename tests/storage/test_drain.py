"""
From the spool to the store, once each however often replayed.
"""

from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from recording import make_call, request, response
from sqlalchemy import text

from modeltrail.capture import CapturePolicy
from modeltrail.errors import StoreUnavailableError
from modeltrail.keys import Keys
from modeltrail.pipeline import Pipeline
from modeltrail.problems import Problems
from modeltrail.record import Frame, FrameKind
from modeltrail.recorder import Recorder
from modeltrail.storage import Store, rows
from modeltrail.storage.drain import CARRY_AFTER, Drain, WriterIdentity
from modeltrail.storage.rows import Batch
from modeltrail.storage.spool import Orphan, Spool, orphans
from modeltrail.storage.spool.folder import segment_numbers
from modeltrail.storage.spool.frames import HEADER, MAGIC, Sealer
from modeltrail.tell import CALLER_LIMIT_BYTES, canonical

KEYS = Keys(bytes(32))


class Line:
    """
    A spool, a recorder in front of it and a drain behind.
    """

    def __init__(self, folder: Path, store: Store, *processors: Any) -> None:
        self.store = store
        self.processors = processors
        self.problems = Problems()
        self.spool = Spool(folder, "origin", Sealer(KEYS.spool_key), self.problems.note)
        self.recorder = Recorder(
            self.spool.append, KEYS, policy=CapturePolicy(), problems=self.problems
        )
        self.drain = self.drain_of(self.spool)

    def drain_of(self, spool: Spool | Orphan) -> Drain:
        """
        Make a drain for a spool.
        """
        pipeline = Pipeline(self.processors, problems=self.problems)
        return Drain(spool, self.store, pipeline, KEYS, WriterIdentity("1"), self.problems)

    def replay(self) -> None:
        """
        Let a new process take over what this one has left.
        """
        (orphan,) = orphans(self.spool.folder)
        for _ in self.drain_of(orphan).finish():
            pass
        orphan.release(remove=False)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """
        Return all rows of a table.
        """
        with self.store._engine.connect() as connection:
            found = connection.execute(text(f"SELECT * FROM {table} ORDER BY seq")).mappings()
            return [dict(row) for row in found]


@pytest.fixture
def line(tmp_path: Path, store: Store) -> Line:
    """
    Set one up.
    """
    return Line(tmp_path / "spool", store)


def test_call_arrives_with_its_writer_and_origin(line: Line) -> None:
    """A row names who committed it and where in which spool it came from."""
    call = make_call(line.recorder)
    line.drain.step(all_ended=True)
    (row,) = line.rows("call")
    (writer,) = line.rows("writer")
    assert (str(row["id"]), row["status"], row["cost_nanousd"]) == (call.id, "ok", 6300)
    assert (row["writer_id"], row["writer_seq"]) == (str(writer["id"]), 1)
    assert row["origin"] == "origin:0:0"
    assert line.drain.committed == line.spool.end()


def test_replay_of_what_was_stored_adds_nothing(line: Line) -> None:
    """A spool whose process died after the commit is replayed without a trace."""
    make_call(line.recorder).amend("joined", cost_nanousd=1)
    line.drain.step(all_ended=True)
    late = make_call(line.recorder, "run-2")
    line.drain.step(all_ended=True)
    late.amend("late", cost_nanousd=2)
    line.recorder.emit(FrameKind.OUTCOME, {"name": "n", "value_micros": 1, "trace_id": "t"})
    line.drain.step(all_ended=True)
    before = {table: line.rows(table) for table in ("calls", "amendment", "outcome")}
    line.spool.release(remove=False)
    line.replay()
    line.replay()
    assert line.rows("calls") == before["calls"]
    assert [row["cost_nanousd"] for row in before["calls"]] == [1, 2]
    assert line.rows("outcome") == before["outcome"]
    assert len(line.rows("call")) == 2


def test_replay_after_half_a_commit_loses_no_late_fact(line: Line) -> None:
    """A fact read but not stored before the process died is an amendment after the replay."""
    call = make_call(line.recorder)
    line.drain.step(all_ended=True)
    call.amend("late", cost_nanousd=99)
    line.spool.release(remove=False)
    line.replay()
    assert [row["cost_nanousd"] for row in line.rows("call")] == [6300]
    assert [row["cost_nanousd"] for row in line.rows("calls")] == [99]
    assert [row["why"] for row in line.rows("amendment")] == ["late"]


def test_replay_settles_what_never_ended(line: Line) -> None:
    """A call in flight when its process died is recorded as incomplete, with its tags."""
    line.recorder.start(request(tags={"feature": "f"}))
    line.spool.release(remove=False)
    line.replay()
    (row,) = line.rows("call")
    assert (row["status"], row["feature"], row["latency_us"]) == ("incomplete", "f", None)


def test_long_texts_are_digested_by_the_writer(line: Line) -> None:
    """Digest and shape of a long text are those that the caller would have made."""
    messages = (("user", "x" * CALLER_LIMIT_BYTES),)
    answer = '{"a": "' + "y" * CALLER_LIMIT_BYTES + '"}'
    call = line.recorder.start(request(messages=messages, prompt=None))
    call.stop(response(text=answer))
    line.drain.step(all_ended=True)
    (row,) = line.rows("call")
    assert row["input_digest"] == KEYS.digest(canonical(messages))
    assert row["output_digest"] == KEYS.digest(canonical([("assistant", answer)]))
    assert row["output_format"] == "json"


def test_unavailable_store_costs_nothing(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database is away the batch is kept; later all is stored, in order, once."""

    def away(_: Batch) -> list[Any]:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(line.store, "append", away)
    make_call(line.recorder, "run-1")
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            line.drain.step(all_ended=True)
    make_call(line.recorder, "run-2")
    monkeypatch.undo()
    while line.drain.step(all_ended=True):
        pass
    assert [row["run_id"] for row in line.rows("call")] == ["run-1", "run-2"]


def test_database_that_goes_during_a_replay_costs_nothing(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read and could not be asked for is kept, and no more is read meanwhile."""

    def away(_: Any) -> set[str]:
        raise StoreUnavailableError("away")

    for number in range(3):
        make_call(line.recorder, f"run-{number}")
    line.spool.release(remove=False)
    (orphan,) = orphans(line.spool.folder)
    drain = line.drain_of(orphan)
    monkeypatch.setattr(line.store, "stored_ids", away)
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            next(drain.finish())
    monkeypatch.undo()
    for _ in drain.finish():
        pass
    assert [row["run_id"] for row in line.rows("call")] == ["run-0", "run-1", "run-2"]
    assert line.problems.counts() == {}


def test_loss_in_the_last_batch_is_told(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the database refuses at the very end is counted in the trail, too."""
    append = line.store.append

    def refuse(batch: Batch) -> list[Any]:
        refused = [("call", row) for row in batch.call]
        return [*append(Batch(event=batch.event)), *refused]

    line.recorder.start(request())
    line.spool.release(remove=False)
    monkeypatch.setattr(line.store, "append", refuse)
    line.replay()
    assert [row["detail"] for row in line.rows("event")] == ['{"refused-by-database:call":1}']


def test_fault_of_ours_costs_its_own_record_only(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever one record meets on its way to a row, it is counted and the others are stored."""
    validate = rows.record_from

    def record_from(columns: Any, problems: Problems) -> Any:
        if columns["run_id"] == "run-1":
            raise RuntimeError("a fault of ours")
        return validate(columns, problems)

    monkeypatch.setattr(rows, "record_from", record_from)
    for number in range(3):
        make_call(line.recorder, f"run-{number}")
    line.drain.step(all_ended=True)
    assert [row["run_id"] for row in line.rows("call")] == ["run-0", "run-2"]
    assert line.drain.drops == {"record-not-valid": 1}
    assert line.problems.counts() == {"record-not-valid": 1}


def test_dropped_records_are_counted_in_the_trail(tmp_path: Path, store: Store) -> None:
    """A record that a processor drops is counted in health and in an event."""
    import structlog

    def drop(_: Any, __: str, event_dict: Any) -> Any:
        if event_dict["run_id"] == "secret":
            raise structlog.DropEvent
        return event_dict

    line = Line(tmp_path / "spool", store, drop)
    make_call(line.recorder, "secret")
    make_call(line.recorder, "open")
    line.drain.step(all_ended=True)
    assert [row["run_id"] for row in line.rows("call")] == ["open"]
    (event,) = line.rows("event")
    assert (event["kind"], event["detail"]) == ("records-dropped", '{"processor":1}')
    assert line.drain.drops == {"processor": 1}


def test_end_without_a_start_is_dropped_and_counted(line: Line) -> None:
    """Half a record never looks whole."""
    line.spool.append(Frame(FrameKind.END, "0" * 36, 1, {}, {"status": "ok"}))
    line.drain.step(all_ended=True)
    assert line.rows("call") == []
    assert line.drain.drops == {"record-not-valid": 1}


def test_text_that_cannot_be_opened_costs_itself_only(line: Line) -> None:
    """A text sealed with another key, or zeros after a power failure: the record stands."""
    long = "x" * (CALLER_LIMIT_BYTES + 1)
    make_call(line.recorder, messages=(("user", long),))
    texts = line.spool.segment.texts
    texts.path.write_bytes(bytes(texts.size))
    line.drain.step(all_ended=True)
    (row,) = line.rows("call")
    assert (row["status"], row["input_digest"], row["input_chars"]) == ("ok", None, len(long))
    assert line.problems.counts() == {"text-not-readable": 1}
    assert line.drain.drops == {"spool-full:text": 1}


def test_frame_of_nobody_is_passed_over(line: Line) -> None:
    """A frame that is whole and cannot be read costs itself only."""
    payload = b'["from a far future"]'
    line.spool.segment.append(
        HEADER.pack(MAGIC, len(payload), crc32(payload, len(payload))) + payload
    )
    make_call(line.recorder)
    line.drain.step(all_ended=True)
    assert len(line.rows("call")) == 1
    assert line.problems.counts() == {"frame-not-readable": 1}


def test_fact_that_cannot_be_amended_is_counted(line: Line) -> None:
    """Only certain columns may change after a call was stored."""
    call = make_call(line.recorder)
    line.drain.step(all_ended=True)
    call.amend("odd", framework="other", cost_nanousd=3)
    line.drain.step(all_ended=True)
    assert [row["field"] for row in line.rows("amendment")] == ["cost_nanousd"]
    assert line.problems.counts() == {"not-amendable": 1}


def segments(line: Line) -> list[int]:
    """
    Return the numbers of the segments there are.
    """
    return segment_numbers(line.spool.folder, line.spool.origin)


def work(line: Line, turns: int = 4) -> None:
    """
    Let the drain work.
    """
    for _ in range(turns):
        line.drain.step(all_ended=True)


def follow(line: Line) -> None:
    """
    Let the next frames go to a new segment.
    """
    line.spool._follow(line.spool.segment)


def test_call_in_flight_keeps_its_segment(line: Line) -> None:
    """Segments are removed once all calls that began in them are stored."""
    slow = line.recorder.start(request("slow"))
    follow(line)
    make_call(line.recorder, "quick")
    work(line)
    assert segments(line) == [0, 1]
    slow.stop(response())
    work(line)
    assert segments(line) == [1]


@pytest.mark.parametrize("dies", [False, True])
def test_call_that_takes_long_does_not_keep_all_that_follows(line: Line, dies: bool) -> None:
    """The start of a call that does not end is carried along, so that old segments can go."""
    long = "x" * (CALLER_LIMIT_BYTES + 1)
    slow = line.recorder.start(request("slow", messages=(("user", long),), tags={"feature": "f"}))
    lost = line.recorder.start(request("lost"))
    for number in range(9):
        make_call(line.recorder, f"quick-{number}")
        follow(line)
        work(line)
    assert len(segments(line)) <= CARRY_AFTER + 1
    slow.stop(response())
    if not dies:
        work(line)
        lost.lose()
        work(line)
    else:
        line.spool.release(remove=False)
        line.replay()
        line.replay()
    found = {row["run_id"]: row for row in line.rows("call")}
    assert len(line.rows("call")) == 11
    assert (found["slow"]["status"], found["slow"]["feature"]) == ("ok", "f")
    assert found["slow"]["input_digest"] == KEYS.digest(canonical((("user", long),)))
    assert found["lost"]["status"] == "incomplete"
    assert line.problems.counts() == {}
    assert line.drain.drops == {}


def test_torn_end_of_a_living_spool_does_not_hold_up_the_rest(line: Line) -> None:
    """What a full disk has cut is passed over even if nothing follows it, and counted."""
    make_call(line.recorder)
    line.spool.segment.append(line.spool.segment.path.read_bytes()[:30])
    work(line)
    assert line.drain.committed == line.spool.end()
    assert line.problems.counts() == {"frame-torn": 1}
    make_call(line.recorder, "run-2")
    work(line)
    assert [row["run_id"] for row in line.rows("call")] == ["run-1", "run-2"]
    assert line.problems.counts() == {"frame-torn": 1}


def test_call_whose_start_was_not_written_is_whole(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a call says all that its start could not."""
    monkeypatch.setattr(line.spool, "_room", 0)
    call = line.recorder.start(request(tags={"feature": "f"}))
    monkeypatch.undo()
    call.stop(response())
    work(line)
    (row,) = line.rows("call")
    assert (row["status"], row["feature"], row["cost_nanousd"]) == ("ok", "f", 6300)
    assert line.spool.drops.counts() == {}


def test_drops_of_the_spool_are_told_in_the_trail_once(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the spool could not take is counted in events, whoever tells of it, and never twice."""

    def told() -> list[str]:
        return [row["detail"] for row in line.rows("event")]

    monkeypatch.setattr(line.spool, "_room", -line.spool._reserve)
    make_call(line.recorder, "run-1")
    make_call(line.recorder, "run-2")
    monkeypatch.undo()
    work(line)
    work(line)
    assert told() == ['{"spool-full:call":2}']
    monkeypatch.setattr(line.spool, "_room", 0)
    line.recorder.emit(FrameKind.OUTCOME, {"name": "n", "value_micros": 1, "trace_id": "t"})
    line.spool.release(remove=False)
    monkeypatch.undo()
    line.replay()
    line.replay()
    assert told() == ['{"spool-full:call":2}', '{"spool-full:outcome":1}']
