"""
Waiting for what LiteLLM tells late.
"""

import asyncio
from time import monotonic, sleep

from drivers.litellm import wait_for_threads

from modeltrail.record import CallRecord, Frame, FrameKind
from modeltrail.testing import CapturedTrail


class Told:
    """
    What LiteLLM tells of a call of another framework, a moment later and from its threads.
    """

    def __init__(self, captured: CapturedTrail) -> None:
        self._captured = captured
        self._take = captured.recorder.sink
        self._amended = 0
        captured.recorder.sink = self._note

    def records(self, merged: int) -> list[CallRecord]:
        """
        Return the records once all calls have ended and so many were completed by LiteLLM.
        """
        deadline = monotonic() + 30
        while not self._is_over(merged) and monotonic() < deadline:
            sleep(0.005)
        assert self._is_over(merged)
        wait_for_threads()  # a call is over a moment before that is written
        return self._captured.records

    async def arecords(self, merged: int) -> list[CallRecord]:
        """
        Do the same in an event loop.
        """
        async with asyncio.timeout(30):
            while not self._is_over(merged):  # noqa: ASYNC110 - LiteLLM sets no event of ours
                await asyncio.sleep(0.005)
        return self._captured.records

    def _is_over(self, merged: int) -> bool:
        recorder = self._captured.recorder
        return self._amended >= merged and not (recorder._inner or recorder.open_calls)

    def _note(self, frame: Frame) -> None:
        self._take(frame)
        self._amended += frame.kind is FrameKind.AMEND
