"""
When the units of an experiment came, on both databases.
"""

from typing import Any

import msgspec

from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Store
from modeltrail.storage.arrivals import Arrivals
from modeltrail.storage.rows import Batch, call_row

START = 1_790_000_000_000_000


def record(number: int, **columns: Any) -> CallRecord:
    given = {
        "id": uuid7(START + number),
        "framework": "test",
        "framework_version": "1",
        "operation": "chat",
        "started_at_us": START + number,
        "status": "ok",
    }
    return msgspec.convert(given | columns, CallRecord)


def test_a_unit_comes_with_its_first_call(store: Store) -> None:
    """Once, in whatever phase; the time of the log ends with the last call of all."""
    exp = {"experiment": "e", "variant": "A"}
    calls = [
        record(5, **exp, unit_ref="u2"),
        record(1, **exp, unit_ref="u1", phase="1"),
        record(7, **exp, unit_ref="u1", phase="2"),
        record(9, experiment="e"),
        record(2, experiment="other", variant="A", unit_ref="u3"),
    ]
    assert store.append(Batch(call=[call_row(each) for each in calls])) == []
    assert store.arrivals("e") == Arrivals([START + 1, START + 5], START + 9)
    assert store.arrivals("nothing") == Arrivals([], 0)
