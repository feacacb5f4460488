"""
What tests of the core use to make calls without a framework.
"""

from typing import Any

from msgspec.structs import replace

import modeltrail
from modeltrail.describe import columns_of
from modeltrail.integration import Recorder, Request, Response
from modeltrail.invocation import Invocation
from modeltrail.keys import Keys
from modeltrail.problems import Problems
from modeltrail.record import Frame
from modeltrail.storage.spool.frames import decode, encode, scan

KEYS = Keys(bytes(32))

USAGE = {"prompt_tokens": 14, "completion_tokens": 7}


def request(run_id: str = "run-1", **changes: Any) -> Request:
    """
    Return a request like those of a framework.
    """
    given: dict[str, Any] = {
        "framework": "test",
        "framework_version": "1.0",
        "operation": "chat",
        "run_id": run_id,
        "request_model": "gpt-4o-mini",
        "messages": (("system", "Be brief."), ("user", "How many legs has a spider?")),
        "prompt": "Be brief.",
    }
    return Request(**given | changes)


def response(**changes: Any) -> Response:
    """
    Return a response like those of a framework.
    """
    given: dict[str, Any] = {
        "response_model": "gpt-4o-mini-2024-07-18",
        "usage": USAGE,
        "text": "Eight.",
        "finish_reasons": ("stop",),
    }
    return Response(**given | changes)


def make_call(recorder: Recorder, run_id: str = "run-1", **changes: Any) -> Invocation:
    """
    Record one call that ends well.
    """
    call = recorder.start(request(run_id, **changes))
    call.stop(response())
    return call


def stored(url: str) -> dict[str, str]:
    """
    Open a trail and return the status of each run that is stored, none of them twice.
    """
    with modeltrail.open(url) as trail:
        assert trail.flush(20)
        assert (trail.health().problems, trail.health().drops) == ({}, {})
        found = [each.record for each in trail.store.calls(limit=None)]
    assert len({record.run_id for record in found}) == len(found)
    return {record.run_id: record.status for record in found}


class Frames(list[Frame]):
    """
    A sink that keeps frames as a spool gives them back.

    Attributes:
        problems: Those met while they are read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.problems = Problems()

    def append(self, frame: Frame) -> None:
        """
        Write a frame and read it again.
        """
        for found in scan(encode(frame, self.problems.note)):
            read, _ = decode(found)
            super().append(replace(read, texts=frame.texts))

    def fields(self, place: int) -> dict[str, Any]:
        """
        Return the columns that one frame fills.
        """
        return columns_of(self[place], KEYS, self.problems.note)
