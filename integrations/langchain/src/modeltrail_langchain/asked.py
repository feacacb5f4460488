"""
What of a request must be known when its answer comes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage

from modeltrail_langchain.tables import CACHE_LIFETIMES

HOUR = "1h"
NOTHING: Mapping[str, Any] = {}


class Asked(NamedTuple):
    """
    What was asked for beside an answer.

    Attributes:
        has_schema: An answer of a certain shape.
        caches_for_hour: That the provider keeps part of the input for an
            hour, which has a price of its own.
    """

    has_schema: bool = False
    caches_for_hour: bool = False


NO_MORE = Asked()


def asked(batches: Sequence[Sequence[BaseMessage]], event: Mapping[str, Any]) -> Asked:
    """
    Read what is asked for out of the event that starts a call.
    """
    has_schema = "ls_structured_output_format" in (event.get("options") or NOTHING)
    is_cached = (event.get("metadata") or NOTHING).get("ls_provider") in CACHE_LIFETIMES
    if not (has_schema or is_cached):
        return NO_MORE
    parameters = event.get("invocation_params") or NOTHING
    return Asked(has_schema, is_cached and any(map(_is_for_hour, _cached(batches, parameters))))


def _cached(
    batches: Sequence[Sequence[BaseMessage]], parameters: Mapping[str, Any]
) -> Iterator[object]:
    yield parameters
    yield from parameters.get("tools") or ()
    for batch in batches:
        for message in batch:
            if not isinstance(message.content, str):
                yield from message.content


def _is_for_hour(part: object) -> bool:
    control = part.get("cache_control") if isinstance(part, Mapping) else None
    return isinstance(control, Mapping) and control.get("ttl") == HOUR
