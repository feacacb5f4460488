"""
Calls of LLMs whose author forgot LlamaIndex's decorators: spans alone tell of them.

The events that should have been there are made up at the end of the span. Of
a stream nothing but its beginning is known.
"""

from collections.abc import Mapping
from time import time_ns
from typing import Any

from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
from llama_index.core.instrumentation.events.llm import LLMChatStartEvent, LLMCompletionStartEvent

from modeltrail.integration import Recorder, Response, error_code
from modeltrail_llama_index.answer import Answer
from modeltrail_llama_index.spans import Span
from modeltrail_llama_index.translate import request_from


def record(
    recorder: Recorder,
    span: Span,
    method: str,
    *,
    began_us: int,
    llm: BaseLLM,
    arguments: Mapping[str, Any],
    outcome: object,
) -> None:
    """
    Record a call that only its span told of.

    Args:
        method: The method that the span covers.
        began_us: When that was entered, microseconds UTC.
        llm: Whose method it is.
        arguments: What it was asked.
        outcome: What it returned, or the error that it raised.
    """
    event = _start_event(llm, method, arguments, span.id)
    call = recorder.start(request_from(event, span, method, started_at_us=began_us))
    answer = Answer(latency_us=time_ns() // 1000 - began_us)
    if isinstance(outcome, BaseException):
        call.fail(outcome, answer.partial(outcome), code=error_code(outcome))
    elif isinstance(outcome, ChatResponse | CompletionResponse):
        call.stop(answer.finish(outcome))
    else:
        call.leave_incomplete(Response(streaming=True))


def _start_event(
    llm: BaseLLM, method: str, arguments: Mapping[str, Any], span_id: str
) -> LLMChatStartEvent | LLMCompletionStartEvent:
    described = llm.to_payload()
    given = arguments.get("kwargs") or {}
    if method.endswith("chat"):
        messages = list(arguments.get("messages") or ())
        return LLMChatStartEvent(
            model_dict=described, messages=messages, additional_kwargs=given, span_id=span_id
        )
    prompt = str(arguments.get("prompt") or "")
    return LLMCompletionStartEvent(
        model_dict=described, prompt=prompt, additional_kwargs=given, span_id=span_id
    )
