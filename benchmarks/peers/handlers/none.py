"""
Nobody: the framework alone.
"""

from benchmarks.peers.handlers import Handler


def langchain() -> Handler:
    """
    Hook in nothing.
    """
    return Handler()


litellm = llama_index = langchain
