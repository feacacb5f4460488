"""
LangChain's model, with nothing of ours around it: peers are measured with it, too.
"""

from collections.abc import Iterator
from typing import Any

from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from benchmarks.workload import (
    ANSWER,
    ANSWERED_BY,
    INPUT_TOKENS,
    MODEL,
    OUTPUT_TOKENS,
    PROMPT,
    SYSTEM,
)

TOKENS = 100
USAGE = UsageMetadata(
    input_tokens=INPUT_TOKENS,
    output_tokens=OUTPUT_TOKENS,
    total_tokens=INPUT_TOKENS + OUTPUT_TOKENS,
)
TOLD = {"model_name": ANSWERED_BY, "finish_reason": "stop"}
MESSAGES = [SystemMessage(SYSTEM), HumanMessage(PROMPT)]


class FakeChat(BaseChatModel):
    """
    A model that answers at once, and tells what OpenAI's client would tell.
    """

    @property
    def _llm_type(self) -> str:
        return "fake-chat"

    def _get_ls_params(self, stop: list[str] | None = None, **_: Any) -> LangSmithParams:  # noqa: ARG002
        return LangSmithParams(ls_provider="openai", ls_model_name=MODEL, ls_model_type="chat")

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        message = AIMessage(ANSWER, usage_metadata=USAGE, response_metadata=dict(TOLD))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for _number in range(TOKENS - 1):
            yield ChatGenerationChunk(message=AIMessageChunk(content="word "))
        last = AIMessageChunk(content="word.", usage_metadata=USAGE, chunk_position="last")
        yield ChatGenerationChunk(message=last, generation_info=dict(TOLD))
