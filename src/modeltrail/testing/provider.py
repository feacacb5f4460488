"""
A model provider on 127.0.0.1 for tests: scripted answers and faults, and a request log.
"""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Self

from . import (
    provider_anthropic,
    provider_cohere,
    provider_media,
    provider_openai,
    provider_responses,
)
from .provider_body import parse_body
from .provider_exchange import Exchange
from .provider_http import Connection, Server
from .provider_log import RequestLog
from .provider_types import (
    Answer,
    Answers,
    Fault,
    Json,
    ProviderRequest,
    ServedRequest,
    Step,
    ToolCall,
)
from .provider_wire import Routes, WireFormat

__all__ = [
    "Answer",
    "Answers",
    "Fault",
    "LocalProvider",
    "ProviderRequest",
    "ServedRequest",
    "Step",
    "ToolCall",
]

# A further protocol adds its own table here.
ROUTES: Routes = {
    **provider_openai.ROUTES,
    **provider_anthropic.ROUTES,
    **provider_responses.ROUTES,
    **provider_media.ROUTES,
    **provider_cohere.ROUTES,
}

UNKNOWN = WireFormat(provider_openai.models, provider_openai.error, is_model_call=False)


def default_answers(_request: ProviderRequest) -> Answer:
    """
    Answer every request with a short fixed text and plausible usage.
    """
    return Answer()


class LocalProvider:
    """
    A server on 127.0.0.1 for offline tests, with OpenAI's, Anthropic's and Cohere's protocols.

    OpenAI's clients are pointed at `base_url` (chat and text completions, responses, embeddings,
    generated images, speech, transcriptions), Anthropic's at `anthropic_url` (messages), Cohere's
    at `cohere_url` (rerank).

    Scripted steps are used first, one per model call in the order of arrival; then the callable
    is asked, on the thread of the client's connection and for many requests at once.

        with LocalProvider() as provider:
            provider.script(Fault(status=429), Answer("Paris", input_tokens=9))
            client = openai.OpenAI(base_url=provider.base_url, api_key="x", max_retries=0)

    Args:
        answers: Called with each request that no scripted step is left for. If it raises, the
            client gets status 500 and the log the reason.
    """

    def __init__(self, answers: Answers = default_answers) -> None:
        """
        Prepare a provider; it listens once started.
        """
        self.answers = answers
        self._script: deque[Step] = deque()
        self._log = RequestLog()
        self._server: Server | None = None

    def start(self) -> Self:
        """
        Listen on a free port.

        Returns:
            The provider itself.

        Raises:
            RuntimeError: It is already running.
        """
        if self._server is not None:
            msg = "this provider is already running"
            raise RuntimeError(msg)
        self._server = Server(self._serve)
        self._server.start()
        return self

    def stop(self) -> None:
        """
        End every connection, hanging ones too, and all threads; the log stays readable.

        Stopping twice is harmless.
        """
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def __enter__(self) -> Self:
        """
        Start.
        """
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """
        Stop.
        """
        self.stop()

    @property
    def port(self) -> int:
        """
        The port that is listened on.

        Raises:
            RuntimeError: The provider is not running.
        """
        if self._server is None:
            msg = "this provider is not running; call start() or use it in a with statement"
            raise RuntimeError(msg)
        return self._server.port

    @property
    def base_url(self) -> str:
        """
        What an OpenAI client takes as its base URL, ``/v1`` included.

        Raises:
            RuntimeError: The provider is not running.
        """
        return f"{self.anthropic_url}/v1"

    @property
    def anthropic_url(self) -> str:
        """
        What an Anthropic client takes as its base URL, without ``/v1``.

        Raises:
            RuntimeError: The provider is not running.
        """
        return f"http://127.0.0.1:{self.port}"

    @property
    def cohere_url(self) -> str:
        """
        What a Cohere client takes as its base URL, without ``/v2``.

        Raises:
            RuntimeError: The provider is not running.
        """
        return self.anthropic_url

    def script(self, *steps: Step) -> None:
        """
        Queue answers and faults for the next model calls, first in, first out.

        Args:
            steps: What the calls get, in order. Listing models and unknown paths use none up.
        """
        self._script.extend(steps)

    @property
    def requests(self) -> list[ServedRequest]:
        """
        Every request so far in the order of arrival, those in flight included.
        """
        return self._log.entries()

    def count(self, path: str | None = None, status: int | None = None) -> int:
        """
        Count the requests so far.

        Args:
            path: Only those to this path, such as ``/v1/chat/completions``.
            status: Only those answered with this HTTP status.

        Returns:
            The number of requests.
        """
        return sum(
            path in (None, served.path) and status in (None, served.status)
            for served in self.requests
        )

    def wait_idle(self, timeout: float = 5.0) -> bool:
        """
        Wait until no request is in flight, such as after a client has gone away.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether the provider is idle.
        """
        return self._log.wait_idle(timeout)

    def _serve(self, connection: Connection) -> None:
        _, path = connection.route
        wire = ROUTES.get(connection.route)
        headers = connection.lower_headers
        raw = connection.read_body()
        body = None if raw is None else parse_body(raw, headers.get("content-type", ""))
        number = self._log.enter(path, body or {}, headers)
        try:
            request = ProviderRequest(number, path, _model(body), body or {}, headers)
            step = self._decide(wire, body, request)
            Exchange(connection, self._log, wire or UNKNOWN, request).run(step)
        finally:
            self._log.leave(number)

    def _decide(self, wire: WireFormat | None, body: Json | None, request: ProviderRequest) -> Step:
        if wire is None:
            return Fault(404, message=f"Invalid URL ({request.path})", code="unknown_url")
        if body is None:
            return Fault(400, message="The body of the request is no JSON object and no form.")
        if not wire.is_model_call:
            return Answer()
        if not request.model:
            return Fault(400, message="you must provide a model parameter")
        return self._next_step(request)

    def _next_step(self, request: ProviderRequest) -> Step:
        try:
            return self._script.popleft()
        except IndexError:
            return self._ask(request)

    def _ask(self, request: ProviderRequest) -> Step:
        try:
            step = self.answers(request)
        except Exception as error:
            return Fault(500, type="local_provider_error", message=f"answers raised {error!r}")
        if isinstance(step, Answer | Fault):
            return step
        return Fault(500, type="local_provider_error", message=f"answers returned {step!r}")


def _model(body: Json | None) -> str:
    model = (body or {}).get("model")
    return model if isinstance(model, str) else ""
