"""
LlamaIndex's real clients of providers that the local one does not speak for.

Each gets a recorded answer where its HTTP client would have sent the request.
"""

import json
import struct
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import httpx
import ollama
from botocore.awsrequest import AWSResponse
from llama_index.core.llms import LLM
from llama_index.llms.bedrock_converse import BedrockConverse
from llama_index.llms.google_genai import GoogleGenAI
from llama_index.llms.ollama import Ollama

OLLAMA = {"model": "llama3.2", "created_at": "2026-01-01T00:00:00Z"}
OLLAMA_END = {"done": True, "done_reason": "stop", "prompt_eval_count": 100, "eval_count": 50}

GEMINI_USAGE = {
    "promptTokenCount": 100,
    "candidatesTokenCount": 20,
    "cachedContentTokenCount": 40,
    "thoughtsTokenCount": 30,
    "totalTokenCount": 150,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 70},
        {"modality": "AUDIO", "tokenCount": 30},
    ],
    "cacheTokensDetails": [
        {"modality": "TEXT", "tokenCount": 30},
        {"modality": "AUDIO", "tokenCount": 10},
    ],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 20}],
}
BEDROCK_USAGE = {
    "inputTokens": 40,
    "outputTokens": 50,
    "totalTokens": 150,
    "cacheReadInputTokens": 20,
    "cacheWriteInputTokens": 40,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 30}, {"ttl": "5m", "inputTokens": 10}],
}


def ollama_model() -> LLM:
    """
    Make a model that says "Hi", streamed in two pieces.
    """

    def answer(request: httpx.Request) -> httpx.Response:
        pieces = ["H", "i"] if json.loads(request.content)["stream"] else ["Hi"]
        said = [{"message": {"role": "assistant", "content": text}} for text in pieces]
        lines = [{**OLLAMA, **each, "done": False} for each in said]
        lines[-1] |= OLLAMA_END
        return httpx.Response(200, text="\n".join(json.dumps(each) for each in lines))

    client = ollama.Client(transport=httpx.MockTransport(answer))
    return Ollama(model="llama3.2", client=client, context_window=1000)


def gemini_model() -> LLM:
    """
    Make a model that says "Hi", streamed in two pieces.
    """

    def candidate(text: str, **ending: str) -> dict[str, Any]:
        content = {"role": "model", "parts": [{"text": text}]}
        return {"candidates": [{"content": content, **ending}], "usageMetadata": GEMINI_USAGE}

    def answer(request: httpx.Request) -> httpx.Response:
        if "stream" not in request.url.path:
            return httpx.Response(200, json=candidate("Hi", finishReason="STOP"))
        pieces = [candidate("H"), candidate("i", finishReason="STOP")]
        return httpx.Response(200, text="".join(f"data: {json.dumps(each)}\n\n" for each in pieces))

    return GoogleGenAI(
        model="gemini-2.5-flash",
        api_key="local-not-a-key",
        max_tokens=100,
        context_window=1000,
        http_options={"client_args": {"transport": httpx.MockTransport(answer)}},
    )


class Sent:
    """
    The body of an answer as urllib3 hands it to botocore.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        """Return the body in one piece."""
        yield self._body


def aws_event(kind: str, payload: dict[str, Any]) -> bytes:
    """
    Frame an event of an AWS stream.
    """
    told = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(text)) + text.encode()
        for name, text in told.items()
    )
    body = json.dumps(payload).encode()
    head = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    head += struct.pack("!I", crc32(head))
    return head + headers + body + struct.pack("!I", crc32(head + headers + body))


BEDROCK_WHOLE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
    "stopReason": "end_turn",
    "usage": BEDROCK_USAGE,
    "metrics": {"latencyMs": 1},
}
BEDROCK_STREAM = (
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "H"}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "i"}}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": BEDROCK_USAGE, "metrics": {"latencyMs": 1}}),
)


def bedrock_model() -> LLM:
    """
    Make a model that says "Hi", streamed in two pieces.
    """

    def answer(request: Any, **_: object) -> AWSResponse:
        is_streamed = request.url.endswith("-stream")
        events = [aws_event(*each) for each in BEDROCK_STREAM]
        body = b"".join(events) if is_streamed else json.dumps(BEDROCK_WHOLE).encode()
        headers = {"x-amzn-RequestId": "aws-1", "content-type": "application/json"}
        return AWSResponse(request.url, 200, headers, Sent(body))

    llm = BedrockConverse(
        model="anthropic.claude-3-5-sonnet-20240620-v1:0",
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="not-a-key",
    )
    llm._client.meta.events.register("before-send.bedrock-runtime", answer)
    return llm


RECORDED = {"ollama": ollama_model, "gemini": gemini_model, "bedrock": bedrock_model}
