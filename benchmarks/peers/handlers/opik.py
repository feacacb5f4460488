"""
Opik: its tracers for LangChain and LlamaIndex, its wrapper of LiteLLM's function.
"""

from benchmarks.peers.handlers import Handler


def langchain() -> Handler:
    """
    Hand over the tracer.
    """
    from opik.integrations.langchain import OpikTracer

    tracer = OpikTracer()
    return Handler([tracer], tracer.flush)


def litellm() -> Handler:
    """
    Wrap the function.
    """
    import litellm
    import opik
    from opik.integrations.litellm import track_completion

    litellm.completion = track_completion()(litellm.completion)
    return Handler(flush=opik.flush_tracker)


def llama_index() -> Handler:
    """
    Hand over the callback handler, which wants a default model to be set.
    """
    from llama_index.core import Settings
    from llama_index.core.llms import MockLLM

    Settings.llm = MockLLM()
    from opik.integrations.llama_index import LlamaIndexCallbackHandler

    handler = LlamaIndexCallbackHandler()
    return Handler([handler], handler.flush)
