"""
modeltrail, with its defaults: keyed digests of the texts, not the texts.
"""

from uuid import uuid4

import modeltrail
from benchmarks.peers.handlers import Handler
from benchmarks.workload import (
    ANSWER,
    ANSWERED_BY,
    INPUT_TOKENS,
    METADATA,
    MODEL,
    OUTPUT_TOKENS,
    PROMPT,
    SYSTEM,
)
from modeltrail.integration import Request, Response

RESPONSE = Response(
    response_model=ANSWERED_BY,
    finish_reasons=("stop",),
    usage={"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS},
    text=ANSWER,
)


def langchain() -> Handler:
    """
    Hand over the handler.
    """
    from modeltrail_langchain import TrailCallbackHandler

    trail = modeltrail.open()
    return Handler([TrailCallbackHandler(trail)], trail.flush)


def litellm() -> Handler:
    """
    Install the logger.
    """
    from modeltrail_litellm import install

    trail = modeltrail.open()
    install(trail)
    return Handler(flush=trail.flush)


def llama_index() -> Handler:
    """
    Instrument the root dispatcher.
    """
    from modeltrail_llama_index import instrument

    trail = modeltrail.open()
    instrument(trail)
    return Handler(flush=trail.flush)


def records() -> Handler:
    """
    Record through the face that the integrations use.
    """
    trail = modeltrail.open()

    def record() -> None:
        trail.recorder.start(_request()).stop(RESPONSE)

    return Handler(flush=trail.flush, record=record)


def _request() -> Request:
    return Request(
        framework="bench",
        framework_version="1",
        operation="chat",
        run_id=str(uuid4()),
        provider="openai",
        request_model=MODEL,
        messages=(("system", SYSTEM), ("user", PROMPT)),
        prompt=SYSTEM,
        tags=METADATA,
    )
