"""
Calls that are part of another framework's call: one call, one record.

LangChain and LlamaIndex can have LiteLLM make their calls, and both tell of
them. The outer framework's record stands; what only the inner one knows is
added to it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from modeltrail.invocation import Ending, Invocation
from modeltrail.record import Frame, FrameKind, Response
from modeltrail.usage import known_counts

Send = Callable[[Frame], bool]
Leave = Callable[[Invocation], bool]


class Joint:
    """
    Where the calls are entered that are part of one outer call.

    Args:
        send: Takes a frame.
        leave: Is told that an inner call is over, and tells whether it was open.
    """

    def __init__(self, outer: Invocation, send: Send, leave: Leave) -> None:
        self._outer = outer
        self._send = send
        self._leave = leave

    def close(self, call: Invocation, ending: Ending) -> None:
        """
        Add to the outer call what the inner one knows better, if it went well.

        How it failed the outer framework tells itself.
        """
        if self._leave(call) and ending.status == "ok":
            self._add(call.key[0], served(ending.response), {})

    def amend(self, call: Invocation, columns: Mapping[str, Any]) -> None:
        """
        Add a late fact about the inner call to the outer one.
        """
        self._add(call.key[0], Response(), columns)

    def _add(self, why: str, told: Response, columns: Mapping[str, Any]) -> None:
        outer = self._outer
        if not outer.is_alone:
            return
        facts = {"why": why, **columns}
        self._send(Frame(FrameKind.AMEND, outer.id, outer.started_at_us, told, facts))


def served(response: Response) -> Response:
    """
    Keep of an answer what the one who made the call knows better than who asked for it.

    The text, the times and the outcome are those that the application saw.
    """
    usage = response.usage and known_counts(response.usage)
    return replace(
        response,
        text=None,
        tool_calls=(),
        refusal=False,
        usage=usage,
        usage_source=response.usage_source if usage or response.cache_hit else None,
        finish_reasons=(),
        streaming=None,
        attempt=None,
        is_fallback=None,
        latency_us=None,
        time_to_first_chunk_us=None,
    )
