"""
OpenLLMetry's instrumentors, over OTLP.
"""

from benchmarks.peers.handlers import Handler
from benchmarks.peers.handlers.otlp import instrumented, provider


def langchain() -> Handler:
    """
    Instrument LangChain.
    """
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor

    return instrumented(LangchainInstrumentor, provider())


def llama_index() -> Handler:
    """
    Instrument LlamaIndex.
    """
    from opentelemetry.instrumentation.llamaindex import LlamaIndexInstrumentor

    return instrumented(LlamaIndexInstrumentor, provider())
