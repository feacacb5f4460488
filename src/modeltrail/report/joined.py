"""
The trail's calls beside a provider's log of calls, one by one.
"""

from collections.abc import Sequence
from typing import NamedTuple

from modeltrail.interop.export import SECOND_US, LoggedCall
from modeltrail.storage import RequestedCall


class Joined(NamedTuple):
    """
    Which calls stand on both sides, and which on one only.

    Attributes:
        matched: How many stand on both.
        differing: Those of them whose tokens differ.
        only_logged: Calls that the provider has and the trail lacks.
        only_recorded: Calls that the trail has and the provider lacks.
        without_id: How many calls of the trail have no id of a request, so
            that nothing can be said of them.
    """

    matched: int
    differing: tuple[tuple[LoggedCall, RequestedCall], ...]
    only_logged: tuple[LoggedCall, ...]
    only_recorded: tuple[RequestedCall, ...]
    without_id: int


def join(logged: Sequence[LoggedCall], recorded: Sequence[RequestedCall]) -> Joined:
    """
    Join by the id of the request.

    Args:
        recorded: Calls around the time of the log; those that started before
            its first or after its last call are joined, but not missed.
    """
    theirs = {call.request_id: call for call in logged}
    ours = {call.request_id: call for call in recorded if call.request_id}
    both = [(theirs[id], ours[id]) for id in theirs if id in ours]
    first = min((call.at_us for call in logged), default=0)
    last = max((call.at_us for call in logged), default=-1)
    return Joined(
        matched=len(both),
        differing=tuple((one, other) for one, other in both if _differ(one, other)),
        only_logged=tuple(call for id, call in theirs.items() if id not in ours),
        only_recorded=tuple(
            call
            for id, call in ours.items()
            if id not in theirs and first <= call.started_at_us < last + SECOND_US
        ),
        without_id=sum(1 for call in recorded if not call.request_id),
    )


def _differ(logged: LoggedCall, recorded: RequestedCall) -> bool:
    mine = (recorded.input_tokens, recorded.output_tokens)
    return mine != (logged.input_tokens, logged.output_tokens)
