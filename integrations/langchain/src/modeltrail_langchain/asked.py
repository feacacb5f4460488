"""
What of a request must be known when its answer comes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage

from modeltrail.integration import beside
from modeltrail_langchain.tables import CACHE_LIFETIMES

HOUR = "1h"
ANTHROPIC = "anthropic"
NOTHING: Mapping[str, Any] = {}


class Asked(NamedTuple):
    """
    What was asked for beside an answer.

    Attributes:
        has_schema: An answer of a certain shape.
        caches_for_hour: That the provider keeps part of the input for an
            hour, which has a price of its own.
        tier: A mode with a price of its own, named as the tier that it counts as.
    """

    has_schema: bool = False
    caches_for_hour: bool = False
    tier: str | None = None


NO_MORE = Asked()


def asked(
    batches: Sequence[Sequence[BaseMessage]],
    event: Mapping[str, Any],
    client: str | None,
    serialized: Mapping[str, Any] | None,
) -> Asked:
    """
    Read what is asked for out of the event that starts a call.

    Args:
        client: LangChain's word for the kind of the client.
        serialized: The client, as LangChain tells of it.
    """
    options = event.get("options")
    has_schema = options is not None and "ls_structured_output_format" in options
    is_cached = client in CACHE_LIFETIMES
    if not (has_schema or is_cached):
        return NO_MORE
    parameters = event.get("invocation_params") or NOTHING
    return Asked(
        has_schema,
        is_cached and any(map(_is_for_hour, _cached(batches, parameters))),
        _tier(serialized, parameters) if client == ANTHROPIC else None,
    )


def _tier(serialized: Mapping[str, Any] | None, parameters: Mapping[str, Any]) -> str | None:
    # Of the client, beside it, of this very call: the last word counts.
    client = (serialized or NOTHING).get("kwargs") or NOTHING
    said = {**client, **(parameters.get("model_kwargs") or NOTHING), **parameters}
    tier: str | None = beside(said).get("service_tier")
    return tier


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
