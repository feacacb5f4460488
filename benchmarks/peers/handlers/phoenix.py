"""
Phoenix: OpenInference's instrumentors over the provider that `register` makes by default.

That provider sends each span at once, on the thread that made the call.
"""

import json
import time
from typing import Any

from benchmarks.peers.handlers import Handler, openinference
from benchmarks.peers.handlers.otlp import provider
from benchmarks.workload import (
    ANSWER,
    INPUT_TOKENS,
    METADATA,
    MODEL,
    OUTPUT_TOKENS,
    PROMPT,
    SYSTEM,
)

ATTRIBUTES = {
    "openinference.span.kind": "LLM",
    "llm.model_name": MODEL,
    "llm.provider": "openai",
    "llm.token_count.prompt": INPUT_TOKENS,
    "llm.token_count.completion": OUTPUT_TOKENS,
    "llm.token_count.total": INPUT_TOKENS + OUTPUT_TOKENS,
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": SYSTEM,
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.content": PROMPT,
    "output.value": ANSWER,
    "metadata": json.dumps(METADATA),
}


def langchain() -> Handler:
    """
    Instrument LangChain.
    """
    return openinference.langchain(_registered)


def litellm() -> Handler:
    """
    Instrument LiteLLM.
    """
    return openinference.litellm(_registered)


def llama_index() -> Handler:
    """
    Instrument LlamaIndex.
    """
    return openinference.llama_index(_registered)


def records() -> Handler:
    """
    Send spans in OpenInference's words, in batches, to Phoenix's own server.
    """
    batched = provider()
    tracer = batched.get_tracer("bench")

    def record() -> None:
        span = tracer.start_span("chat", start_time=time.time_ns(), attributes=ATTRIBUTES)
        span.end()

    return Handler(flush=batched.force_flush, record=record)


def _registered() -> Any:
    from phoenix.otel import register

    # The default is gRPC, which the sink does not speak.
    return register(protocol="http/protobuf", verbose=False)
