"""
LlamaIndex: what our pair of handlers adds to `chat`.
"""

from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any, NamedTuple

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMChatStartEvent
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span import BaseSpan
from llama_index_instrumentation.span_handlers import BaseSpanHandler
from modeltrail_llama_index import instrument

from benchmarks.fake_llama_index import MESSAGES, FakeLLM
from benchmarks.reference import Row as StoredRow
from benchmarks.reference import metadata_row
from benchmarks.report import Row, extra_rows
from benchmarks.subjects import Counted, Stores, stores
from benchmarks.timing import measure, rounds_for
from benchmarks.workload import METADATA, MODEL
from modeltrail.trail import Trail


class NoopEventHandler(BaseEventHandler):
    """
    Hears every event, and does nothing.
    """

    def handle(self, event: Any, **_: Any) -> None:
        """Do nothing."""


class NoopSpanHandler(BaseSpanHandler[BaseSpan]):
    """
    Hears of every span, and does nothing.
    """

    def span_enter(self, *_: Any, **__: Any) -> None:
        """Do nothing."""

    span_exit = span_drop = new_span = span_enter
    prepare_to_exit_span = prepare_to_drop_span = span_enter


class LimitEventHandler(BaseEventHandler):
    """
    Puts a row of metadata for each call.
    """

    _put: Callable[[StoredRow], None] = PrivateAttr()
    _open: dict[str | None, tuple[int, int]] = PrivateAttr(default_factory=dict)

    def __init__(self, put: Callable[[StoredRow], None]) -> None:
        super().__init__()
        self._put = put

    def handle(self, event: Any, **_: Any) -> None:
        """Remember what begins, put the row of what ends."""
        if isinstance(event, LLMChatStartEvent):
            chars = sum(len(each.content or "") for each in event.messages)
            self._open[event.span_id] = (time_ns(), chars)
        elif isinstance(event, LLMChatEndEvent):
            self._end(event.span_id, event.response)

    def _end(self, span_id: str | None, response: Any) -> None:
        started_at_ns, chars = self._open.pop(span_id)
        raw = response.raw
        row = metadata_row(
            "llama_index",
            span_id,
            started_at_ns,
            models=(None, raw["model"]),
            tokens=(raw["usage"]["prompt_tokens"], raw["usage"]["completion_tokens"]),
            chars=(chars, len(response.message.content or "")),
            metadata=METADATA,
            finish_reason=raw["choices"][0]["finish_reason"],
        )
        self._put(row)


class DurableEventHandler(LimitEventHandler):
    """
    Appends a start, too.
    """

    _begin: Callable[[StoredRow], None] = PrivateAttr()

    def __init__(
        self, put: Callable[[StoredRow], None], begin: Callable[[StoredRow], None]
    ) -> None:
        super().__init__(put)
        self._begin = begin

    def handle(self, event: Any, **_: Any) -> None:
        """Remember what begins and append it, put the row of what ends."""
        super().handle(event)
        if isinstance(event, LLMChatStartEvent):
            started_at_ns, chars = self._open[event.span_id]
            self._begin(("llama_index", event.span_id, started_at_ns, chars, MODEL))


class Handlers(NamedTuple):
    """
    What hangs on the root dispatcher.
    """

    events: list[BaseEventHandler]
    spans: list[BaseSpanHandler[Any]]


def chat(*, quick: bool) -> list[Row]:
    """
    Measure `chat`, in all.
    """
    root, llm = get_dispatcher(), FakeLLM()
    with stores() as where:
        handlers = _handlers(where)

        def enter(name: str) -> None:
            root.event_handlers, root.span_handlers = handlers[name]

        def run(_: str, calls: int) -> None:
            for _number in range(calls):
                llm.chat(MESSAGES)

        counted = Counted(where, run, enter)
        rounds = rounds_for(80, quick=quick)
        costs = measure(counted.subjects(), calls=20, rounds=rounds, turns=5)
        counted.check()
    return extra_rows("llama-index", "LlamaIndex chat, process, extra", costs, "process", gate=2)


def _handlers(where: Stores) -> Mapping[str, Handlers]:
    root = get_dispatcher()
    none = Handlers(root.event_handlers, root.span_handlers)
    ours = {name: _instrumented(each.trail) for name, each in where.ours.items()}
    return {
        "none": none,
        "no-op": Handlers([NoopEventHandler()], [NoopSpanHandler()]),
        "limit": Handlers([LimitEventHandler(where.limit.put)], []),
        "durable": Handlers([DurableEventHandler(where.durable.put, where.durable.begin)], []),
        **ours,
    }


def _instrumented(trail: Trail) -> Handlers:
    root = get_dispatcher()
    root.event_handlers, root.span_handlers = [], []
    instrument(trail)
    return Handlers(root.event_handlers, root.span_handlers)
