"""
What users write, checked by mypy and never run.
"""

from typing import assert_type

import structlog
from structlog.typing import EventDict, WrappedLogger

import modeltrail
from modeltrail.experiment.assign import Assignment, Experiment
from modeltrail.testing import capture_records
from modeltrail.trail import Health, Trail


def processor(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    if event_dict.get("feature") == "internal":
        raise structlog.DropEvent
    return event_dict


trail = modeltrail.open(
    "sqlite:///calls.db",
    capture=modeltrail.CapturePolicy("digest", {"salary": "metadata"}),
    tags={"environment": "production"},
    processors=[processor],
    mirror=structlog.get_logger(),
)
assert_type(trail, Trail)
assert_type(trail.flush(timeout=5), bool)
assert_type(trail.settle(), int)
assert_type(trail.health(), Health)
assert_type(trail.close(), bool)

experiment = trail.experiment("cheaper-model", {"control": 0.5, "treatment": 0.5})
assert_type(experiment, Experiment)
with modeltrail.tag(feature="support", user="u-17", team="berlin"):
    assert_type(experiment.assign("u-17"), Assignment)
trail.outcome("resolved", 1, unit="u-17")

assert_type([each.record for each in trail.store.calls()], list[modeltrail.CallRecord])

with capture_records(capture="metadata") as captured:
    assert_type(captured.records, list[modeltrail.CallRecord])
