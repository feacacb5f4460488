"""
Langfuse: its handler for LangChain; for LiteLLM the callback that it documents.
"""

from benchmarks.peers.handlers import Handler


def langchain() -> Handler:
    """
    Hand over the handler.
    """
    from langfuse import get_client
    from langfuse.langchain import CallbackHandler

    return Handler([CallbackHandler()], get_client().flush)


def litellm() -> Handler:
    """
    Name the callback; it offers no flush.
    """
    import litellm

    litellm.callbacks.append("langfuse_otel")
    return Handler()
