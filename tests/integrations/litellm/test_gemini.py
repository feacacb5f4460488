"""
Calls of Google's own protocol, which LiteLLM has functions of their own for.
"""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from litellm.google_genai import (
    agenerate_content,
    agenerate_content_stream,
    generate_content,
    generate_content_stream,
)

from modeltrail.testing import CapturedTrail
from tests.integrations.litellm.asking import acollected, collected

# As Google's documentation shows it: thoughts are counted beside the candidates.
ANSWER = {
    "candidates": [
        {"content": {"parts": [{"text": "eight"}], "role": "model"}, "finishReason": "STOP"}
    ],
    "usageMetadata": {
        "promptTokenCount": 9,
        "candidatesTokenCount": 2,
        "thoughtsTokenCount": 3,
        "totalTokenCount": 14,
    },
    "modelVersion": "gemini-2.5-flash",
    "responseId": "r-1",
}
REFUSAL = {"error": {"code": 429, "message": "slowly", "status": "RESOURCE_EXHAUSTED"}}


class Gemini(BaseHTTPRequestHandler):
    """
    Answers as Gemini does; of a model `busy` it says that it is.
    """

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        is_busy, is_streamed = "busy" in self.path, "stream" in self.path
        text = json.dumps(REFUSAL if is_busy else ANSWER)
        data = (f"data: {text}\r\n\r\n" if is_streamed else text).encode()
        self.send_response(429 if is_busy else 200)
        self.send_header("content-type", "text/event-stream" if is_streamed else "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def gemini() -> Iterator[str]:
    """
    Serve Gemini's protocol.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gemini)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/models"
    server.shutdown()
    thread.join()
    server.server_close()


def asked(url: str, name: str = "gemini-2.5-flash") -> dict[str, Any]:
    """
    Return the arguments of a call.
    """
    contents = [{"role": "user", "parts": [{"text": "How many legs?"}]}]
    known = {"model": f"gemini/{name}", "contents": contents, "api_key": "no-key"}
    return {**known, "api_base": f"{url}/{name}"}


def assert_known(record: Any) -> None:
    """
    Find in a record what Gemini has answered.
    """
    assert (record.operation, record.status, record.input_chars) == ("chat", "ok", 14)
    assert (record.request_model, record.response_model) == ("gemini-2.5-flash",) * 2
    assert (record.input_tokens, record.output_tokens, record.reasoning_output_tokens) == (9, 5, 3)
    assert (record.finish_reasons, record.output_chars) == ('["stop"]', 5)


def test_generated_content(captured: CapturedTrail, gemini: str) -> None:
    """What is asked for in Google's words is a call like any other."""
    generate_content(**asked(gemini))
    assert_known(collected(captured))


async def test_generated_content_asynchronously(captured: CapturedTrail, gemini: str) -> None:
    """The same in an event loop."""
    await agenerate_content(**asked(gemini))
    await captured.recorder.ahear_out(10)
    assert_known(await acollected(captured))


def test_streamed_content(captured: CapturedTrail, gemini: str) -> None:
    """A stream is one record, whatever LiteLLM tells of its end."""
    assert len(list(generate_content_stream(**asked(gemini)))) == 1
    record = collected(captured)
    assert (record.operation, record.streaming) == ("chat", True)
    assert record.status in {"ok", "incomplete"}


async def test_content_streamed_asynchronously(captured: CapturedTrail, gemini: str) -> None:
    """The same in an event loop, where LiteLLM tells of the end."""
    async for _ in await agenerate_content_stream(**asked(gemini)):
        pass
    await captured.recorder.ahear_out(10)
    record = await acollected(captured)
    assert (record.streaming, record.status) == (True, "ok")
    assert (record.input_tokens, record.output_tokens) == (9, 5)


@pytest.mark.parametrize("generate", [generate_content, generate_content_stream])
def test_content_that_is_refused(captured: CapturedTrail, gemini: str, generate: Any) -> None:
    """A failure has its status."""
    with pytest.raises(Exception, match="slowly"):
        generate(**asked(gemini, "busy"))
    record = collected(captured)
    assert (record.status, record.error_code) == ("error", "429")
