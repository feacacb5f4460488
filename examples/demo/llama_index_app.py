"""
An application on LlamaIndex: an LLM, and the dispatcher instrumented once.
"""

from functools import cache

import openai
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike
from modeltrail_llama_index import instrument

from examples.demo.world import API_KEY, ATTEMPTS, Task
from modeltrail.trail import Trail


class LlamaIndexApp:
    """
    Asks with `chat` and `stream_chat`; tries again by itself.
    """

    def __init__(self, trail: Trail, base_url: str) -> None:
        self._instrumentation = instrument(trail)
        self._llm = cache(lambda name: _llm(name, base_url))

    def ask(self, task: Task) -> None:
        """
        Ask one question.
        """
        llm, messages = self._llm(task.model), [ChatMessage(content=task.prompt)]
        for _ in range(ATTEMPTS):
            try:
                if task.streamed:
                    for _ in llm.stream_chat(messages, stream_options={"include_usage": True}):
                        pass
                else:
                    llm.chat(messages)
            except openai.APIStatusError:
                continue
            return

    def close(self) -> None:
        """
        Stop recording.
        """
        self._instrumentation.uninstrument()


def _llm(name: str, base_url: str) -> OpenAILike:
    return OpenAILike(
        model=name, api_base=base_url, api_key=API_KEY, is_chat_model=True, max_retries=0
    )
