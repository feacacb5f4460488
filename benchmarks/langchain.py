"""
LangChain: what our handler adds to `invoke` and to a stream of 100 tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from time import time_ns
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult
from langchain_core.runnables import RunnableConfig
from modeltrail_langchain import TrailCallbackHandler

from benchmarks.fake_langchain import MESSAGES, TOKENS, FakeChat
from benchmarks.reference import Row as StoredRow
from benchmarks.reference import metadata_row
from benchmarks.report import Row, extra_rows, total_row
from benchmarks.subjects import NAMES, OURS, Counted, Stores, stores
from benchmarks.timing import Costs, measure, rounds_for
from benchmarks.workload import METADATA, MODEL

# In a round: so many calls are stored at once as by an application that is busy.
TURNS = 5

Ask = Callable[[RunnableConfig], object]


class Inline(BaseCallbackHandler):
    """
    Is told of what our handler is told of, where our handler is told of it.
    """

    run_inline = True
    ignore_chain = True
    ignore_agent = True
    ignore_retriever = True
    ignore_retry = True
    ignore_custom_event = True


class NoopHandler(Inline):
    """
    Does nothing.
    """

    def on_chat_model_start(self, /, *_: Any, **__: Any) -> None:
        """Do nothing."""

    on_llm_new_token = on_llm_end = on_llm_error = on_chat_model_start


class LimitHandler(Inline):
    """
    Puts a row of metadata for each call.
    """

    def __init__(self, put: Callable[[StoredRow], None]) -> None:
        self._put = put
        self._open: dict[UUID, list[Any]] = {}

    def on_chat_model_start(  # type: ignore[override]
        self, _: Any, /, messages: Any, *, run_id: UUID, metadata: Any = None, **event: Any
    ) -> None:
        """Remember when it began, and how long the question is."""
        chars = sum(len(each.content) for each in messages[0])
        self._open[run_id] = [time_ns(), chars, metadata, event["invocation_params"], None]

    def on_llm_new_token(self, /, *_: Any, run_id: UUID, **__: Any) -> None:
        """Note when the first token came."""
        call = self._open[run_id]
        if call[4] is None:
            call[4] = time_ns() - call[0]

    def on_llm_end(self, /, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """Put the row."""
        started_at_ns, chars, metadata, parameters, first_chunk_ns = self._open.pop(run_id)
        message: Any = response.generations[0][0].message  # type: ignore[union-attr]
        told, usage = message.response_metadata, message.usage_metadata
        row = metadata_row(
            "langchain",
            run_id,
            started_at_ns,
            models=(metadata.get("ls_model_name") or parameters.get("model"), told["model_name"]),
            tokens=(usage["input_tokens"], usage["output_tokens"]),
            chars=(chars, len(message.content)),
            metadata=metadata,
            finish_reason=told["finish_reason"],
            first_chunk_ns=first_chunk_ns,
        )
        self._put(row)


class DurableHandler(LimitHandler):
    """
    Appends a start, too.
    """

    def __init__(
        self, put: Callable[[StoredRow], None], begin: Callable[[StoredRow], None]
    ) -> None:
        super().__init__(put)
        self._begin = begin

    def on_chat_model_start(  # type: ignore[override]
        self, _: Any, /, messages: Any, *, run_id: UUID, **event: Any
    ) -> None:
        """Remember when it began, and append it."""
        super().on_chat_model_start(_, messages, run_id=run_id, **event)
        started_at_ns, chars, *_rest = self._open[run_id]
        self._begin(("langchain", str(run_id), started_at_ns, chars, MODEL))


def invoke(*, quick: bool) -> list[Row]:
    """
    Measure `invoke`, on the caller's thread and in all.
    """
    model = FakeChat()
    rounds = rounds_for(80, quick=quick)
    costs = _measure(lambda config: model.invoke(MESSAGES, config), NAMES, calls=20, rounds=rounds)
    caller = "LangChain invoke, caller's thread, extra"
    process = "LangChain invoke, process, extra"
    return [
        *extra_rows("langchain-invoke", caller, costs, "caller", gate=1.6),
        *extra_rows("langchain-invoke", process, costs, "process", gate=2),
    ]


def stream(*, quick: bool) -> list[Row]:
    """
    Measure a stream, in all.
    """
    model = FakeChat()

    def ask(config: RunnableConfig) -> None:
        for _ in model.stream(MESSAGES, config):
            pass

    rounds = rounds_for(80, quick=quick)
    costs = _measure(ask, ("no-op", *OURS), calls=4, rounds=rounds)
    what = f"LangChain {TOKENS}-token stream, process, total"
    noop = costs["no-op"]
    return [
        total_row("langchain-stream", what, costs["ours"], noop, 1.15, beside="no-op"),
        total_row(
            "langchain-stream",
            f"{what}, with digests",
            costs["ours, digests"],
            noop,
            None,
            beside="no-op",
        ),
    ]


def _measure(ask: Ask, names: Sequence[str], *, calls: int, rounds: int) -> dict[str, Costs]:
    with stores() as where:
        configs = _configs(where)

        def run(name: str, calls: int) -> None:
            config = configs[name]
            for _ in range(calls):
                ask(config)

        counted = Counted(where, run, enter=lambda _: None)
        costs = measure(counted.subjects(names), calls=calls, rounds=rounds, turns=TURNS)
        counted.check()
    return costs


def _configs(where: Stores) -> Mapping[str, RunnableConfig]:
    handlers: dict[str, list[BaseCallbackHandler]] = {
        "none": [],
        "no-op": [NoopHandler()],
        "limit": [LimitHandler(where.limit.put)],
        "durable": [DurableHandler(where.durable.put, where.durable.begin)],
        **{name: [TrailCallbackHandler(each.trail)] for name, each in where.ours.items()},
    }
    return {
        name: {"callbacks": callbacks, "metadata": dict(METADATA)}
        for name, callbacks in handlers.items()
    }
