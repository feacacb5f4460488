"""
Collect records in memory, for tests.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any

from msgspec.structs import replace

from modeltrail.capture import CapturePolicy, policy_from
from modeltrail.describe import columns_of
from modeltrail.keys import KEY_BYTES, Keys
from modeltrail.pipeline import Pipeline
from modeltrail.problems import Problems
from modeltrail.record import CallRecord, CaptureMode, Frame
from modeltrail.recorder import Recorder
from modeltrail.storage.assembly import Assembly
from modeltrail.storage.rows import record_from
from modeltrail.storage.spool import Position, frames


class CapturedTrail:
    """
    A trail for tests: handlers take it as they take a real one.

    Attributes:
        recorder: Where handlers start their calls.
        problems: What went wrong inside.
    """

    def __init__(self, policy: CapturePolicy, tags: Mapping[str, Any]) -> None:
        keys = Keys(b"\x01" * KEY_BYTES)
        self.problems = Problems()
        self.recorder = Recorder(
            self._take, keys, policy=policy, defaults=tags, problems=self.problems
        )
        self._pipeline = Pipeline(problems=self.problems)
        self._assembly = Assembly(
            lambda frame: columns_of(frame, keys, self.problems.note), monotonic
        )
        self._records: list[CallRecord] = []

    @property
    def records(self) -> list[CallRecord]:
        """
        The calls that have ended so far, in the order of their ends.
        """
        for draft in self._assembly.ripe(all_ended=True):
            columns = self._pipeline.run(
                draft.columns, id=draft.id, started_at_us=draft.started_at_us
            )
            if columns is not None:
                self._records.append(record_from(columns, self.problems))
        return list(self._records)

    def _take(self, frame: Frame) -> None:
        # As through a spool: what cannot be written there cannot be captured, either.
        for found in frames.scan(frames.encode(frame, self.problems.note)):
            read, _ = frames.decode(found)
            self._assembly.take(replace(read, texts=frame.texts), Position(0, 0))


@contextmanager
def capture_records(
    *, capture: CapturePolicy | CaptureMode = "digest", tags: Mapping[str, Any] | None = None
) -> Iterator[CapturedTrail]:
    """
    Give a trail that keeps its records in memory.

    Example:
        with capture_records() as trail:
            model.invoke("hi", config={"callbacks": [TrailCallbackHandler(trail)]})
        assert trail.records[0].status == "ok"
    """
    yield CapturedTrail(policy_from(capture), tags or {})
