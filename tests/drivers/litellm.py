"""
LiteLLM's SDK, called in the ways of the scenarios.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

import litellm
from litellm.litellm_core_utils.thread_pool_executor import MAX_THREADS, executor
from modeltrail_litellm import install, uninstall
from scenarios import ASKED, PROMPT, TOOL

from modeltrail.testing import LocalProvider
from modeltrail.trail import Trail

FAKE_KEY = "sk-local-not-a-key"
WITH_USAGE = {"stream_options": {"include_usage": True}}


def asked(prompt: str = PROMPT) -> list[dict[str, str]]:
    """
    Return the messages that ask a question.
    """
    return [{"role": "user", "content": prompt}]


def at(provider: LocalProvider, **options: Any) -> dict[str, Any]:
    """
    Return the arguments of a call to the provider.
    """
    given = {
        "model": f"openai/{ASKED}",
        "messages": asked(),
        "api_base": provider.base_url,
        "api_key": FAKE_KEY,
        "max_retries": 0,
        "timeout": 30,
    }
    return {**given, **options}


def wait_for_threads() -> None:
    """
    Wait until LiteLLM's threads have called all hooks of synchronous calls.

    Work is taken in order: once every thread of the pool waits here, all
    earlier work is done. A broken stream has a thread of its own.
    """
    barrier = threading.Barrier(MAX_THREADS + 1)
    for _ in range(MAX_THREADS):
        executor.submit(barrier.wait, 30)
    barrier.wait(30)
    for thread in threading.enumerate():
        if "failure_handler" in thread.name:
            thread.join(30)


class LiteLLMDriver:
    """
    The driver of `scenarios`, for LiteLLM.
    """

    framework = "litellm"
    has_embedding_events = True

    def __init__(self, trail: Trail, provider: LocalProvider) -> None:
        self._trail = trail
        self._provider = provider
        self._is_abandoned = False

    def chat(self, *, metadata: Mapping[str, Any] | None = None, timeout: float = 30) -> None:
        """Ask PROMPT."""
        litellm.completion(**at(self._provider, timeout=timeout, metadata=dict(metadata or {})))

    async def achat(self, prompt: str, *, metadata: Mapping[str, Any] | None = None) -> None:
        """Ask asynchronously."""
        messages = asked(prompt)
        await litellm.acompletion(
            **at(self._provider, messages=messages, metadata=dict(metadata or {}))
        )

    def stream(self, *, usage: bool = True, take: int | None = None) -> None:
        """Stream the answer, all of it or the first `take` pieces, then drop it: nothing closes."""
        options = WITH_USAGE if usage else {}
        pieces = litellm.completion(**at(self._provider, stream=True, **options))
        for _ in islice(pieces, take):
            pass
        self._is_abandoned = take is not None

    async def astream(self, *, usage: bool = True) -> None:
        """Stream the whole answer asynchronously."""
        options = WITH_USAGE if usage else {}
        async for _ in await litellm.acompletion(**at(self._provider, stream=True, **options)):
            pass

    def chat_with_tool(self) -> None:
        """Ask PROMPT, offering TOOL."""
        litellm.completion(**at(self._provider, tools=[TOOL]))

    def embed(self) -> None:
        """Embed PROMPT."""
        litellm.embedding(
            model="openai/text-embedding-3-small",
            input=PROMPT,
            api_base=self._provider.base_url,
            api_key=FAKE_KEY,
            max_retries=0,
        )

    def deliver(self) -> None:
        """Wait for the hooks; of an abandoned stream nobody tells, so that the trail ends it."""
        wait_for_threads()
        if self._is_abandoned:
            self._trail.settle()


@contextmanager
def driver(trail: Trail, provider: LocalProvider) -> Iterator[LiteLLMDriver]:
    """
    Record LiteLLM's calls while the block lasts.
    """
    logger = install(trail)
    try:
        yield LiteLLMDriver(trail, provider)
    finally:
        uninstall(logger)
