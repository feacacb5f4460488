"""
What LiteLLM logs by itself: its OpenTelemetry callback.
"""

import litellm as framework

from benchmarks.peers.handlers import Handler


def litellm() -> Handler:
    """
    Name the callback; the provider that it makes becomes the global one.
    """
    framework.callbacks.append("otel")
    return Handler(flush=_flush)


def _flush() -> None:
    from opentelemetry import trace

    trace.get_tracer_provider().force_flush()
