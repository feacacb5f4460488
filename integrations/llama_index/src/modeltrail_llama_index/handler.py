"""
The two handlers on LlamaIndex's root dispatcher, and how they get there.

Events tell of calls; spans tell what is around them, and of errors before an
answer. Both handlers work on the same open calls.
"""

from inspect import BoundArguments
from types import TracebackType
from typing import Any, Self

from llama_index.core.bridge.pydantic import BaseModel, Field
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base import BaseEvent
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span import BaseSpan
from llama_index_instrumentation.span_handlers import BaseSpanHandler

from modeltrail.integration import HasRecorder, Recorder, guarded
from modeltrail_llama_index.calls import ACTIONS, OpenCalls


class TrailEventHandler(BaseEventHandler):
    """
    Turns the events of model calls into records.

    `instrument` makes it.

    Attributes:
        calls: The open calls, shared with the handler of spans.
    """

    # A field, since pydantic's private attributes take microseconds to be read.
    calls: OpenCalls = Field(exclude=True, repr=False)

    @property
    def _recorder(self) -> Recorder:
        return self.calls.recorder

    @guarded
    def handle(self, /, event: BaseEvent, **_: Any) -> None:
        """
        Take an event; never raises.
        """
        if (action := ACTIONS.get(type(event))) is not None:
            action(self.calls, event)


class TrailSpanHandler(BaseSpanHandler[BaseSpan]):
    """
    Keeps the place of model calls, and ends those that fail before an answer.

    `instrument` makes it.

    Attributes:
        calls: The open calls, shared with the handler of events.
    """

    calls: OpenCalls = Field(exclude=True, repr=False)

    def __init__(self, *, calls: OpenCalls) -> None:
        # Not through the base class: it takes none but its own fields.
        BaseModel.__init__(self, calls=calls)

    @property
    def _recorder(self) -> Recorder:
        return self.calls.recorder

    @guarded
    def span_enter(
        self,
        /,
        id_: str,
        bound_args: BoundArguments,
        instance: Any | None = None,
        parent_id: str | None = None,
        tags: dict[str, Any] | None = None,  # noqa: ARG002
        **_: Any,
    ) -> None:
        """
        Remember the span; never raises.
        """
        self.calls.enter(id_, parent_id, instance, bound_args.arguments)

    @guarded
    def span_exit(
        self,
        /,
        id_: str,
        bound_args: BoundArguments,
        instance: Any | None = None,
        result: Any | None = None,
        **_: Any,
    ) -> None:
        """
        Forget the span, and record a call that only it told of; never raises.
        """
        self.calls.leave(id_, result, instance, bound_args.arguments)

    @guarded
    def span_drop(
        self,
        /,
        id_: str,
        bound_args: BoundArguments,
        instance: Any | None = None,
        err: BaseException | None = None,
        **_: Any,
    ) -> None:
        """
        End the span's calls with its error; never raises.
        """
        self.calls.leave(id_, err, instance, bound_args.arguments)
        if err is not None:
            self.calls.fail(id_, err)

    def new_span(self, *_: Any, **__: Any) -> None:
        """
        Make nothing: spans are remembered elsewhere.
        """

    prepare_to_exit_span = new_span
    prepare_to_drop_span = new_span


class Instrumentation:
    """
    What `instrument` has set up.

    As a context manager it takes it back at the end of the block, unless it
    was set up before: what is recorded around a block goes on after it.
    """

    def __init__(self, calls: OpenCalls, *, is_first: bool) -> None:
        self._calls = calls
        self._is_first = is_first

    def uninstrument(self) -> None:
        """
        Record no more calls; those in flight are recorded as `incomplete`.

        Doing it twice is harmless.
        """
        root = get_dispatcher()
        # New lists: another thread may be walking along the old ones.
        root.event_handlers = [each for each in root.event_handlers if not self._owns(each)]
        root.span_handlers = [each for each in root.span_handlers if not self._owns(each)]
        self._calls.lose_all()

    def _owns(self, handler: object) -> bool:
        if isinstance(handler, TrailEventHandler | TrailSpanHandler):
            return handler.calls is self._calls
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_first:
            self.uninstrument()


def instrument(trail: HasRecorder) -> Instrumentation:
    """
    Record the model calls of every LLM and embedding model of this process.

    Those made before are seen, too. Doing it twice for one trail changes
    nothing; several trails record side by side.

    Example:
        with instrument(trail):
            llm.chat(messages)

    Args:
        trail: What `modeltrail.open` returned.
    """
    root = get_dispatcher()
    for handler in root.event_handlers:
        if isinstance(handler, TrailEventHandler) and handler.calls.recorder is trail.recorder:
            return Instrumentation(handler.calls, is_first=False)
    calls = OpenCalls(trail.recorder)
    root.add_span_handler(TrailSpanHandler(calls=calls))
    root.add_event_handler(TrailEventHandler(calls=calls))
    return Instrumentation(calls, is_first=True)
