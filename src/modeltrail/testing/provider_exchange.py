"""
One request in flight: from the decision what to answer to the last byte.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .provider_http import Connection
from .provider_log import RequestLog
from .provider_types import Answer, Fault, Json, ProviderRequest, Step
from .provider_wire import Event, Payload, Stream, WireFormat, encode, until


@dataclass(frozen=True)
class Exchange:
    """
    Serves one request and keeps its entry in the log true.

    Args:
        connection: Where the answer goes.
        log: Where the request has been entered.
        wire: The protocol of the endpoint.
        request: The request.
    """

    connection: Connection
    log: RequestLog
    wire: WireFormat
    request: ProviderRequest

    def run(self, step: Step) -> None:
        """
        Answer or fail as told; a client that goes away is noted, not raised.

        Args:
            step: The answer or the fault.
        """
        try:
            if isinstance(step, Answer):
                self._answer(self._complete(step))
            else:
                self._fail(step)
        except OSError:
            self._note(finished=False)
            self.connection.close_connection = True

    def _answer(self, answer: Answer) -> None:
        self._note(answer=answer, request_id=answer.request_id)
        self.connection.pause(answer.delay)
        if self._stream is None:
            self._send_whole(answer)
        else:
            events = until(self._stream.events(self.request, answer), answer.truncate_after)
            self._send_stream(answer, _timed(answer, events))

    @property
    def _stream(self) -> Stream | None:
        return self.wire.stream if self.request.stream else None

    def _send_whole(self, answer: Answer) -> None:
        kind, body = _payload(self.wire.whole(self.request, answer))
        # Noted before the last write, so that a client that has read the whole answer finds it
        # finished; taken back if that write fails.
        self._note(status=200, finished=True)
        headers = self._headers(answer.request_id) | {"content-type": kind}
        self.connection.send_body(200, headers, body)

    def _send_stream(self, answer: Answer, timed: list[tuple[float, bytes]]) -> None:
        wait, last = timed.pop() if timed else (0.0, b"")
        self._begin_stream(answer, timed)
        self.connection.pause(wait)
        self._note(finished=True)
        self.connection.send_chunk(last, last=True)

    def _begin_stream(self, answer: Answer, timed: list[tuple[float, bytes]]) -> None:
        self._note(status=200)
        self.connection.start_stream(self._headers(answer.request_id))
        for wait, frame in timed:
            self.connection.pause(wait)
            self.connection.send_chunk(frame)

    def _fail(self, fault: Fault) -> None:
        self._note(answer=fault)
        if fault.hang is not None:
            self.connection.close_connection = True
            self.connection.pause(fault.hang)
        elif fault.drop_after is not None:
            self._drop(fault, fault.drop_after)
        elif fault.error_after is not None and self._stream is not None:
            self._break_off(fault, fault.error_after, self._stream)
        else:
            self._refuse(fault)

    def _drop(self, fault: Fault, pieces: int) -> None:
        if self._stream is not None:
            answer, events = self._half(fault, pieces, self._stream)
            self._begin_stream(answer, _timed(answer, events))
        self.connection.reset()

    def _break_off(self, fault: Fault, pieces: int, stream: Stream) -> None:
        answer, events = self._half(fault, pieces, stream)
        error = stream.error(fault, answer, len(events))
        self._send_stream(answer, [*_timed(answer, events), (0.0, error)])

    def _half(self, fault: Fault, pieces: int, stream: Stream) -> tuple[Answer, list[Event]]:
        answer = self._complete(fault.answer)
        self._note(request_id=answer.request_id)
        self.connection.pause(answer.delay)
        return answer, list(until(stream.events(self.request, answer), pieces))

    def _refuse(self, fault: Fault) -> None:
        told = {name.lower(): value for name, value in fault.headers.items()}
        headers = self._headers(_new_id("req_")) | told
        request_id = headers[self.wire.request_id_header]
        body = encode(self.wire.error(fault, request_id))
        self._note(status=fault.status, finished=True, request_id=request_id)
        self.connection.send_body(fault.status, headers, body)

    def _complete(self, answer: Answer) -> Answer:
        return replace(
            answer,
            model=answer.model or self.request.model,
            response_id=answer.response_id or _new_id(self.wire.id_prefix),
            request_id=answer.request_id or _new_id("req_"),
        )

    def _headers(self, request_id: str | None) -> dict[str, str]:
        return {self.wire.request_id_header: request_id or ""}

    def _note(self, **facts: object) -> None:
        self.log.note(self.request.number, **facts)


def _payload(whole: Json | Payload) -> Payload:
    return whole if isinstance(whole, Payload) else Payload("application/json", encode(whole))


def _timed(answer: Answer, events: Iterable[Event]) -> list[tuple[float, bytes]]:
    # The seconds to wait before each frame: only between two pieces of content.
    pieces = 0
    timed = []
    for event in events:
        waits = event.part == "piece" and pieces > 0
        pieces += event.part == "piece"
        timed.append((answer.chunk_delay if waits else 0.0, event.frame))
    return timed


def _new_id(prefix: str) -> str:
    return prefix + uuid.uuid4().hex
