"""
OpenTelemetry's exporter, set up as its documentation does: in batches, over HTTP.
"""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from benchmarks.peers.handlers import Handler


def provider() -> TracerProvider:
    """
    Make a provider that sends to the address in the environment.
    """
    made = TracerProvider()
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return made


def instrumented(instrumentor: type, tracer_provider: TracerProvider) -> Handler:
    """
    Let an instrumentor report to a provider.
    """
    instrumentor().instrument(tracer_provider=tracer_provider)
    return Handler(flush=tracer_provider.force_flush)
