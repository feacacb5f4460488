"""
The request log of a local provider: who asked what, and what was sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .provider_types import Json, ServedRequest

CREDENTIALS = frozenset(
    {"authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"}
)
REMOVED = "[removed]"


class RequestLog:
    """
    A thread-safe list of requests, each entered on arrival and completed later.
    """

    def __init__(self) -> None:
        """
        Start with an empty log.
        """
        self._changed = threading.Condition()
        self._entries: list[ServedRequest] = []
        self._in_flight: set[int] = set()

    def enter(self, path: str, body: Json, headers: Mapping[str, str]) -> int:
        """
        Enter a request that has arrived.

        Args:
            path: The path, without query.
            body: The parsed body.
            headers: The headers; the values of credentials are not kept.

        Returns:
            The number of the request.
        """
        model = body.get("model")
        with self._changed:
            number = len(self._entries) + 1
            entry = ServedRequest(
                number=number,
                path=path,
                model=model if isinstance(model, str) else None,
                stream=body.get("stream") is True,
                arrived_at_us=time.time_ns() // 1000,
                body=body,
                headers={k: REMOVED if k in CREDENTIALS else v for k, v in headers.items()},
            )
            self._entries.append(entry)
            self._in_flight.add(number)
        return number

    def note(self, number: int, **facts: Any) -> None:
        """
        Add facts to a request already entered.

        Args:
            number: The number of the request.
            facts: Fields of `ServedRequest`.
        """
        with self._changed:
            self._entries[number - 1] = replace(self._entries[number - 1], **facts)

    def leave(self, number: int) -> None:
        """
        Say that nothing more happens to a request.

        Args:
            number: The number of the request.
        """
        with self._changed:
            self._in_flight.discard(number)
            self._changed.notify_all()

    def entries(self) -> list[ServedRequest]:
        """
        Copy the log as it stands.

        Returns:
            All requests in the order of arrival.
        """
        with self._changed:
            return list(self._entries)

    def wait_idle(self, timeout: float) -> bool:
        """
        Wait until no request is in flight.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether the log is idle.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._in_flight, timeout)
