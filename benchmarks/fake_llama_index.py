"""
LlamaIndex's model, with nothing of ours around it: peers are measured with it, too.

The model is no `CustomLLM`, whose `chat` calls its own `complete` and so
announces two calls for one: here each call has one start and one end.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.llm import LLM

from benchmarks.workload import (
    ANSWER,
    ANSWERED_BY,
    INPUT_TOKENS,
    MODEL,
    OUTPUT_TOKENS,
    PROMPT,
    SYSTEM,
)

MESSAGES = [ChatMessage(SYSTEM, role="system"), ChatMessage(PROMPT, role="user")]
# As OpenAI's client leaves it.
RAW = {
    "id": "chatcmpl-1",
    "model": ANSWERED_BY,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"refusal": None}}],
    "usage": {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS},
}


class FakeLLM(LLM):
    """
    A model that answers at once.
    """

    @classmethod
    def class_name(cls) -> str:
        """
        Pass for OpenAI's, so that the call has a price.
        """
        return "openai_llm"

    @property
    def metadata(self) -> LLMMetadata:
        """
        Tell the model's name.
        """
        return LLMMetadata(model_name=MODEL, is_chat_model=True)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **_: Any) -> ChatResponse:  # noqa: ARG002
        """
        Answer.
        """
        return ChatResponse(message=ChatMessage(ANSWER, role="assistant"), raw=RAW)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("only chat is measured")

    complete = stream_chat = stream_complete = _refuse
    achat = acomplete = astream_chat = astream_complete = _refuse
