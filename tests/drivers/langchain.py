"""
LangChain's real client, recorded by the trail.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_openai import ChatOpenAI
from modeltrail_langchain import TrailCallbackHandler
from scenarios import ASKED, PROMPT, TOOL

from modeltrail.testing import LocalProvider
from modeltrail.trail import Trail


class LangChainDriver:
    """
    Calls `ChatOpenAI` with the handler in the config of each call.
    """

    framework = "langchain"
    has_embedding_events = False

    def __init__(self, handler: TrailCallbackHandler, provider: LocalProvider) -> None:
        self._handler = handler
        self._provider = provider

    def chat(self, *, metadata: Mapping[str, Any] | None = None, timeout: float = 30) -> None:
        self._model(timeout=timeout).invoke(PROMPT, config=self._config(metadata))

    async def achat(self, prompt: str, *, metadata: Mapping[str, Any] | None = None) -> None:
        await self._model().ainvoke(prompt, config=self._config(metadata))

    def stream(self, *, usage: bool = True, take: int | None = None) -> None:
        pieces = self._model().stream(PROMPT, config=self._config(), stream_usage=usage)
        # The first piece only opens the answer, it holds no text.
        for _ in islice(pieces, None if take is None else take + 1):
            pass
        pieces.close()

    async def astream(self, *, usage: bool = True) -> None:
        async for _ in self._model().astream(PROMPT, config=self._config(), stream_usage=usage):
            pass

    def chat_with_tool(self) -> None:
        self._model().bind_tools([TOOL]).invoke(PROMPT, config=self._config())

    def embed(self) -> None:
        raise NotImplementedError("LangChain has no events for embeddings")

    def deliver(self) -> None:
        """Every event is delivered before the call returns."""

    def _config(self, metadata: Mapping[str, Any] | None = None) -> RunnableConfig:
        return {"callbacks": [self._handler], "metadata": dict(metadata or {})}

    def _model(self, timeout: float = 30) -> ChatOpenAI:
        return ChatOpenAI(
            model=ASKED,
            base_url=self._provider.base_url,
            api_key="sk-local-not-a-key",
            max_retries=0,
            timeout=timeout,
        )


@contextmanager
def driver(trail: Trail, provider: LocalProvider) -> Iterator[LangChainDriver]:
    """
    Record the client's calls in the trail.
    """
    yield LangChainDriver(TrailCallbackHandler(trail), provider)
