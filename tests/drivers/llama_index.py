"""
LlamaIndex's real clients, called in the ways of the scenarios.
"""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from llama_index_instrumentation.dispatcher import instrument_tags
from modeltrail_llama_index import instrument
from scenarios import ASKED, PROMPT, TOOL

from modeltrail.testing import LocalProvider
from modeltrail.trail import Trail

FAKE_KEY = "sk-local-not-a-key"
WITH_USAGE = {"stream_options": {"include_usage": True}}


def make_llm(provider: LocalProvider, **options: Any) -> OpenAILike:
    """
    Make a chat model that is pointed at the provider.
    """
    given = {
        "model": ASKED,
        "api_base": provider.base_url,
        "api_key": FAKE_KEY,
        "is_chat_model": True,
        "is_function_calling_model": True,
        "max_retries": 0,
        "timeout": 30,
    }
    return OpenAILike(**{**given, **options})


def make_embedding(provider: LocalProvider, **options: Any) -> OpenAILikeEmbedding:
    """
    Make an embedding model that is pointed at the provider.
    """
    given = {
        "model_name": "text-embedding-3-small",
        "api_base": provider.base_url,
        "api_key": FAKE_KEY,
        "max_retries": 0,
    }
    return OpenAILikeEmbedding(**{**given, **options})


def asked(prompt: str = PROMPT) -> list[ChatMessage]:
    """
    Return the messages that ask a question.
    """
    return [ChatMessage(role="user", content=prompt)]


class LlamaIndexDriver:
    """
    The driver of `scenarios`, for LlamaIndex.
    """

    framework = "llama_index"
    has_embedding_events = True

    def __init__(self, provider: LocalProvider) -> None:
        self._provider = provider
        self._llm = make_llm(provider)

    def chat(self, *, metadata: Mapping[str, Any] | None = None, timeout: float = 30) -> None:
        """Ask PROMPT."""
        with instrument_tags(dict(metadata or {})):
            make_llm(self._provider, timeout=timeout).chat(asked())

    async def achat(self, prompt: str, *, metadata: Mapping[str, Any] | None = None) -> None:
        """Ask asynchronously."""
        with instrument_tags(dict(metadata or {})):
            await self._llm.achat(asked(prompt))

    def stream(self, *, usage: bool = True, take: int | None = None) -> None:
        """Stream the answer, all of it or the first `take` pieces, then close and drop it."""
        pieces = self._llm.stream_chat(asked(), **(WITH_USAGE if usage else {}))
        taken = 0
        for piece in pieces:
            # The first chunk of a chat brings the role alone.
            taken += bool(piece.delta)
            if taken == take:
                break
        pieces.close()

    async def astream(self, *, usage: bool = True) -> None:
        """Stream the whole answer asynchronously."""
        async for _ in await self._llm.astream_chat(asked(), **(WITH_USAGE if usage else {})):
            pass

    def chat_with_tool(self) -> None:
        """Ask PROMPT, offering TOOL."""
        self._llm.chat(asked(), tools=[TOOL])

    def embed(self) -> None:
        """Embed PROMPT."""
        make_embedding(self._provider).get_text_embedding(PROMPT)

    def deliver(self) -> None:
        """Let go of what was abandoned: its events come from the garbage collector."""
        gc.collect()


@contextmanager
def driver(trail: Trail, provider: LocalProvider) -> Iterator[LlamaIndexDriver]:
    """
    Record LlamaIndex's calls while the block lasts.
    """
    with instrument(trail):
        yield LlamaIndexDriver(provider)
