"""
LangSmith: the tracer that LangChain ships, which hands runs to LangSmith's client.
"""

from benchmarks.peers.handlers import Handler


def langchain() -> Handler:
    """
    Hand over the tracer.
    """
    from langchain_core.tracers.langchain import LangChainTracer
    from langsmith import Client

    client = Client()
    return Handler([LangChainTracer(client=client)], client.flush)
