"""
MLflow's tracing into the store that needs no server, SQLite.
"""

import mlflow

from benchmarks.peers.handlers import Handler
from benchmarks.workload import (
    ANSWER,
    INPUT_TOKENS,
    METADATA,
    MODEL,
    OUTPUT_TOKENS,
    PROMPT,
    SYSTEM,
)

USAGE = {
    "input_tokens": INPUT_TOKENS,
    "output_tokens": OUTPUT_TOKENS,
    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
}


def langchain() -> Handler:
    """
    Switch on the logging of LangChain.
    """
    return _logging("langchain")


def litellm() -> Handler:
    """
    Switch on the logging of LiteLLM.
    """
    return _logging("litellm")


def llama_index() -> Handler:
    """
    Switch on the logging of LlamaIndex.
    """
    return _logging("llama_index")


def records() -> Handler:
    """
    Record through MLflow's own client.
    """
    mlflow.set_experiment("bench")

    def record() -> None:
        span = mlflow.start_span_no_context(
            name="chat",
            span_type="CHAT_MODEL",
            inputs={"system": SYSTEM, "user": PROMPT},
            attributes={"model": MODEL, **METADATA},
        )
        span.set_attribute("mlflow.chat.tokenUsage", USAGE)
        span.end(outputs={"answer": ANSWER})

    return Handler(flush=mlflow.flush_trace_async_logging, record=record)


def _logging(framework: str) -> Handler:
    mlflow.set_experiment("bench")
    getattr(mlflow, framework).autolog()
    return Handler(flush=mlflow.flush_trace_async_logging)
