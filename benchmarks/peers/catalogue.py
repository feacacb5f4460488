"""
Who is measured, and how each is set up: one entry a peer, and a module of `handlers` beside it.

Adding a peer takes an entry here, a file of requirements and a module with a function
for each framework.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Framework = Literal["langchain", "litellm", "llama_index"]
FRAMEWORKS: dict[Framework, str] = {
    "langchain": "LangChain `invoke`",
    "litellm": "LiteLLM `completion`",
    "llama_index": "LlamaIndex `chat`",
}
COMMON = ("langchain-core", "litellm", "llama-index-core")
OPENINFERENCE = tuple(
    f"openinference-instrumentation-{framework}"
    for framework in ("langchain", "litellm", "llama-index")
)
# So that none drops a call in a burst, and so looks cheaper than it is.
SPAN_QUEUE = {"OTEL_BSP_MAX_QUEUE_SIZE": "200000"}
# For those that can only be waited for, since they offer no flush.
SPAN_DELAY = {"OTEL_BSP_SCHEDULE_DELAY": "500"}


class Kept(NamedTuple):
    """
    Where the calls are that a peer has stored by itself.

    Attributes:
        file: An SQLite database in the folder of the run.
        query: Counts the calls in it that have ended.
    """

    file: str
    query: str


class Peer(NamedTuple):
    """
    One of those that record calls.

    Attributes:
        title: What the page calls it.
        module: Its functions, in `handlers`.
        environment: The name of its environment; None for the one that runs the benchmarks.
        distributions: Whose versions the page tells, beside the frameworks'.
        frameworks: What it is measured with; the first is the one that it has to survive with.
        settings: Variables that give it an address and a key; `{sink}`, `{folder}` are filled in.
        raised: Variables that differ from its defaults where costs are measured, and only there.
        kept: Where its calls are found; None if it sends them to the sink.
        reopens: Whether what is left of a process that has ended is stored by the next one.
    """

    title: str
    module: str
    environment: str | None
    distributions: tuple[str, ...]
    frameworks: tuple[Framework, ...]
    settings: Mapping[str, str] = {}
    raised: Mapping[str, str] = {}
    kept: Kept | None = None
    reopens: bool = False


EVERY: tuple[Framework, ...] = ("langchain", "litellm", "llama_index")
OTLP = {"OTEL_EXPORTER_OTLP_ENDPOINT": "{sink}"}
OTHERS = {
    "langfuse": Peer(
        title="Langfuse",
        module="langfuse",
        environment="langfuse",
        distributions=("langfuse",),
        frameworks=("langchain", "litellm"),
        settings={
            "LANGFUSE_BASE_URL": "{sink}",
            "LANGFUSE_HOST": "{sink}",
            "LANGFUSE_OTEL_HOST": "{sink}",
            "LANGFUSE_PUBLIC_KEY": "pk-local-not-a-key",
            "LANGFUSE_SECRET_KEY": "sk-local-not-a-key",
        },
        raised=SPAN_QUEUE | SPAN_DELAY,
    ),
    "langsmith": Peer(
        title="LangSmith",
        module="langsmith",
        environment="langsmith",
        distributions=("langsmith",),
        frameworks=("langchain",),
        settings={"LANGSMITH_ENDPOINT": "{sink}", "LANGSMITH_API_KEY": "local-not-a-key"},
    ),
    "openinference": Peer(
        title="OpenInference, batched OTLP",
        module="openinference",
        environment="openinference",
        distributions=(*OPENINFERENCE, "opentelemetry-sdk"),
        frameworks=EVERY,
        settings=OTLP,
        raised=SPAN_QUEUE,
    ),
    "openllmetry": Peer(
        title="OpenLLMetry, batched OTLP",
        module="openllmetry",
        environment="openllmetry",
        distributions=(
            "opentelemetry-instrumentation-langchain",
            "opentelemetry-instrumentation-llamaindex",
            "opentelemetry-sdk",
        ),
        frameworks=("langchain", "llama_index"),
        settings=OTLP,
        raised=SPAN_QUEUE,
    ),
    "phoenix": Peer(
        title="Phoenix (`phoenix.otel`, OpenInference)",
        module="phoenix",
        environment="phoenix",
        distributions=("arize-phoenix", "arize-phoenix-otel", *OPENINFERENCE),
        frameworks=EVERY,
        settings={"PHOENIX_COLLECTOR_ENDPOINT": "{sink}"},
        raised=SPAN_QUEUE,
    ),
    "mlflow": Peer(
        title="MLflow, SQLite",
        module="mlflow",
        environment="mlflow",
        distributions=("mlflow",),
        frameworks=EVERY,
        settings={"MLFLOW_TRACKING_URI": "sqlite:///{folder}/mlflow.db"},
        raised={"MLFLOW_ASYNC_TRACE_LOGGING_MAX_QUEUE_SIZE": "200000"},
        kept=Kept("mlflow.db", "SELECT count(*) FROM trace_info WHERE status = 'OK'"),
    ),
    "opik": Peer(
        title="Opik",
        module="opik",
        environment="opik",
        distributions=("opik",),
        frameworks=EVERY,
        settings={
            "OPIK_URL_OVERRIDE": "{sink}/api",
            "OPIK_WORKSPACE": "default",
            "OPIK_API_KEY": "local-not-a-key",
        },
    ),
    "litellm-otel": Peer(
        title="LiteLLM's own `otel` callback",
        module="litellm_otel",
        environment="litellm-otel",
        distributions=("opentelemetry-sdk",),
        frameworks=("litellm",),
        settings=OTLP | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
        raised=SPAN_QUEUE,
    ),
}
OURS = Peer(
    title="modeltrail, SQLite",
    module="ours",
    environment=None,
    distributions=("modeltrail",),
    frameworks=EVERY,
    settings={"MODELTRAIL_URL": "sqlite:///{folder}/calls.db", "MODELTRAIL_KEY": "02" * 32},
    kept=Kept("calls.db", "SELECT count(*) FROM call WHERE status = 'ok'"),
    reopens=True,
)
# The baseline: no handler, in the environment of whomever it is compared with.
NONE = Peer("no handler", "none", None, (), EVERY)
PEERS: dict[str, Peer] = {"none": NONE, "ours": OURS, **OTHERS}
