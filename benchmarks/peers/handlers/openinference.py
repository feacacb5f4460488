"""
OpenInference's instrumentors, over OTLP.
"""

from collections.abc import Callable
from typing import Any

from benchmarks.peers.handlers import Handler
from benchmarks.peers.handlers.otlp import instrumented, provider


def langchain(made: Callable[[], Any] = provider) -> Handler:
    """
    Instrument LangChain.
    """
    from openinference.instrumentation.langchain import LangChainInstrumentor

    return instrumented(LangChainInstrumentor, made())


def litellm(made: Callable[[], Any] = provider) -> Handler:
    """
    Instrument LiteLLM.
    """
    from openinference.instrumentation.litellm import LiteLLMInstrumentor

    return instrumented(LiteLLMInstrumentor, made())


def llama_index(made: Callable[[], Any] = provider) -> Handler:
    """
    Instrument LlamaIndex.
    """
    from openinference.instrumentation.llama_index import LlamaIndexInstrumentor

    return instrumented(LlamaIndexInstrumentor, made())
