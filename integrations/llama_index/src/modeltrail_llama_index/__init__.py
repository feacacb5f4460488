"""
Record every model call of a LlamaIndex application in a modeltrail.

One pair of handlers on the root dispatcher sees every LLM and embedding model,
whenever it was made.

Example:
    import modeltrail
    from modeltrail_llama_index import instrument

    trail = modeltrail.open("sqlite:///calls.db")
    instrument(trail)
"""

from modeltrail_llama_index.handler import (
    Instrumentation,
    TrailEventHandler,
    TrailSpanHandler,
    instrument,
)

__version__ = "0.1.0"

__all__ = [
    "Instrumentation",
    "TrailEventHandler",
    "TrailSpanHandler",
    "__version__",
    "instrument",
]
