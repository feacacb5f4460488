"""
The calls that are open, by the spans that they were started in.

Any method may be entered again by the garbage collector in the middle of
another, so nothing here holds a lock, and each change is a single step.
"""

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any

from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
    SparseEmbeddingEndEvent,
    SparseEmbeddingStartEvent,
)
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)
from llama_index_instrumentation.base import BaseEvent

from modeltrail.integration import Invocation, Recorder, Response, error_code, guarded
from modeltrail_llama_index import forgotten
from modeltrail_llama_index.answer import Answer
from modeltrail_llama_index.spans import (
    Span,
    asked_model,
    is_forwarded,
    method_of,
    span_from,
)
from modeltrail_llama_index.translate import DIRECT, caches_for_hour, request_from

# More than any application has at once; what is beyond it has lost its end.
LIMIT = 100_000
NOTHING: Mapping[str, Any] = {}

# A call in flight and what has arrived of its answer.
Call = tuple[Invocation, Answer]


class OpenCalls:
    """
    The calls in flight by the span that they were started in.

    A span has several only if it embeds in batches: they end in the order in
    which they began.

    Attributes:
        recorder: Where they are recorded.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = self._recorder = recorder
        self._calls: dict[str | None, list[Call]] = {}
        self._spans: dict[str, Span] = {}
        # Spans of models in which a call was told of.
        self._told: set[str] = set()

    def enter(
        self, id_: str, parent_id: str | None, instance: object, arguments: Mapping[str, Any]
    ) -> None:
        """
        Remember a span until it is left.
        """
        parent = self._spans.get(parent_id) if parent_id else None
        self._spans[id_] = span_from(id_, parent_id, parent, instance, arguments)
        if len(self._spans) > LIMIT:
            self._spans.pop(next(iter(self._spans)), None)

    def leave(
        self,
        id_: str,
        result: object = None,
        instance: Any = None,
        arguments: Mapping[str, Any] = NOTHING,
    ) -> None:
        """
        Forget a span; a stream that it returns is watched, for nobody may read it.

        Args:
            result: What its method returned, or the error that it raised.
            instance: Whose method it was.
            arguments: What that was given.
        """
        span, was_told = self._spans.pop(id_, None), id_ in self._told
        self._told.discard(id_)
        if (
            span is not None
            and not was_told
            and (model := asked_model(span, method := method_of(id_))) is not None
            and not self._is_part(span)
        ):
            self._mark(span.around)
            forgotten.record(
                self.recorder,
                span,
                method,
                began_us=model.entered_us,
                llm=instance,
                arguments=arguments,
                outcome=result,
            )
        elif id_ in self._calls and isinstance(result, Generator | AsyncGenerator):
            weakref.finalize(result, self.drop, id_, _running_loop()).atexit = False

    def start(self, event: Any) -> None:
        """
        Begin a call.
        """
        span, method = self._spans.get(event.span_id), method_of(event.span_id)
        if is_forwarded(span, method):
            return
        self._mark(span)
        if self._is_part(span):
            return
        answer = Answer(caches_for_hour=caches_for_hour(event))
        invocation = self.recorder.start(request_from(event, span, method))
        calls = self._calls.setdefault(event.span_id, [])
        calls.append((invocation, answer))
        if event.model_dict.get("class_name") not in DIRECT:
            # LiteLLM may make it, and tell of it once more. Batches of embeddings that are
            # asked for at once are all announced before the first is sent.
            invocation.enclose(alone=len(calls) == 1)
        if len(self._calls) > LIMIT:
            self._lose(next(iter(self._calls)))

    def _is_part(self, span: Span | None) -> bool:
        # A method of a model that asks another of its methods makes one call, and both tell of it.
        if span is None or span.model is None:
            return False
        outer = span.around
        while outer is not None and outer.owner == span.owner:
            if outer.id in self._calls:
                return True
            outer = outer.around
        return False

    def _mark(self, span: Span | None) -> None:
        # Those around a span that is marked are marked already.
        while span is not None and span.id not in self._told:
            if span.model is not None:
                self._told.add(span.id)
            span = span.around

    def add(self, event: Any) -> None:
        """
        Take a piece of a stream.
        """
        for invocation, answer in self._calls.get(event.span_id, ())[:1]:
            if answer.add(event.response):
                invocation.first_chunk()

    def end(self, event: Any) -> None:
        """
        End a call with its answer.
        """
        for invocation, answer in self._pop(event.span_id):
            try:
                response = answer.finish(event.response)
                (invocation.leave_incomplete if answer.is_cut else invocation.stop)(response)
            except BaseException:
                invocation.leave_incomplete()  # the answer was unreadable
                raise

    def end_embedding(self, event: Any) -> None:
        """
        End a request for embeddings: of vectors nothing is kept, and usage is not told.
        """
        for invocation, _ in self._pop(event.span_id):
            invocation.stop(Response())

    def fail_stream(self, event: ExceptionEvent) -> None:
        """
        End a stream with what was raised while it was read.
        """
        self.fail(event.span_id, event.exception)

    def fail(self, span_id: str | None, error: BaseException) -> None:
        """
        End all calls of a span with an error.
        """
        for invocation, answer in self._calls.pop(span_id, ()):
            try:
                invocation.fail(error, answer.partial(error), code=error_code(error))
            except BaseException:
                invocation.fail(error)  # the answer was unreadable
                raise

    @guarded
    def drop(self, span_id: str, loop: asyncio.AbstractEventLoop | None) -> None:
        """
        Cancel a stream that was thrown away before anything of it was read.

        One that was read in part gets an event of its own right after this,
        unless its loop is closed, which alone could tell it.
        """
        is_mute = loop is not None and loop.is_closed()
        if any(is_mute or not answer.streamed for _, answer in self._calls.get(span_id, ())):
            for invocation, answer in self._pop(span_id):
                answer.streamed = True
                invocation.cancel(answer.partial())

    def lose_all(self) -> None:
        """
        Let go of every call, since no end will be seen.
        """
        for span_id in list(self._calls):
            self._lose(span_id)

    def _lose(self, span_id: str | None) -> None:
        for invocation, _ in self._calls.pop(span_id, ()):
            invocation.lose()

    def _pop(self, span_id: str | None) -> list[Call]:
        calls = self._calls.get(span_id, [])
        first = calls[:1]
        del calls[:1]
        if not calls:
            self._calls.pop(span_id, None)
        return first


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


# Any other event is of a wrapper around calls, and no call itself.
ACTIONS: Mapping[type[BaseEvent], Callable[[OpenCalls, Any], None]] = {
    LLMChatStartEvent: OpenCalls.start,
    LLMCompletionStartEvent: OpenCalls.start,
    EmbeddingStartEvent: OpenCalls.start,
    SparseEmbeddingStartEvent: OpenCalls.start,
    LLMChatInProgressEvent: OpenCalls.add,
    LLMCompletionInProgressEvent: OpenCalls.add,
    LLMChatEndEvent: OpenCalls.end,
    LLMCompletionEndEvent: OpenCalls.end,
    EmbeddingEndEvent: OpenCalls.end_embedding,
    SparseEmbeddingEndEvent: OpenCalls.end_embedding,
    ExceptionEvent: OpenCalls.fail_stream,
}
