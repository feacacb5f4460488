"""
What several tests of LlamaIndex share: models of an application's own, and patience.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index_instrumentation import get_dispatcher
from modeltrail_llama_index import TrailEventHandler
from modeltrail_llama_index.calls import OpenCalls

from modeltrail.record import CallRecord
from modeltrail.testing import CapturedTrail


def only(trail: CapturedTrail) -> CallRecord:
    """
    Return the one record that there is.
    """
    (record,) = trail.records
    return record


PATIENCE_S = 10


async def until(reached: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """
    Wait until something has happened.
    """
    async with asyncio.timeout(patience_s):
        while not reached():  # noqa: ASYNC110 - the provider's threads set no asyncio event
            await asyncio.sleep(0.005)


def open_calls() -> OpenCalls:
    """
    Return what the one handler that is installed remembers.
    """
    (handler,) = (e for e in get_dispatcher().event_handlers if isinstance(e, TrailEventHandler))
    return handler.calls


class OwnModel(CustomLLM):
    """
    A model of an application's own, as LlamaIndex's documentation shows it.
    """

    raw: Any = None

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="own")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        return CompletionResponse(text="yes", raw=self.raw)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Iterator[Any]:
        for text in ("y", "ye", "yes"):
            yield CompletionResponse(text=text, delta=text[-1], raw=self.raw)
