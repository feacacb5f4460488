"""
LangChain's events around model calls: where they are made, and what reads their answers.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from modeltrail.integration import Recorder, Request, error_code, guarded
from modeltrail_langchain import decisions, translate
from modeltrail_langchain.answers import Answers
from modeltrail_langchain.asked import NO_MORE, Asked
from modeltrail_langchain.endpoints import Endpoints
from modeltrail_langchain.open_calls import OpenCalls
from modeltrail_langchain.places import Places


class ChainCallbackHandler(BaseCallbackHandler):
    """
    Follows chains, tools and retrievers, of which nothing else is kept.

    A decision model of langchain-core 1.8 is told of as a chain, too.
    """

    ignore_chain = False
    ignore_agent = False
    ignore_retriever = False
    # Nothing that these tell belongs to a record.
    ignore_retry = True
    ignore_custom_event = True

    def _attach(self, recorder: Recorder) -> None:
        self._recorder = recorder
        # All handlers of a trail hear of the same runs.
        self._calls = recorder.shared(OpenCalls)
        self._waiting = self._calls.waiting
        self._places = recorder.shared(Places)
        self._answers = recorder.shared(Answers)
        self._endpoints = recorder.shared(Endpoints)

    @guarded
    def on_chain_start(
        self,
        /,
        serialized: object,  # noqa: ARG002 - LangChain's name
        inputs: object,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: Sequence[str] | None = None,
        run_type: str | None = None,
        **event: Any,
    ) -> None:
        """
        Note where calls are made, and begin that of a decision model.
        """
        if run_type == decisions.RUN_TYPE:
            place = self._places.of(run_id, parent_run_id, tags)
            endpoint = self._endpoints.of(translate.client(event), None)
            request = decisions.request(
                inputs, event, run_id=run_id, place=place, endpoint=endpoint
            )
            self._begin(run_id, request)
        else:
            self._places.enter(run_id, parent_run_id, tags)
            self._answers.read(run_id, inputs, run_type)

    @guarded
    def on_chain_end(
        self, /, outputs: object, *, run_id: UUID, inputs: object = None, **_: Any
    ) -> None:
        """
        Note that an answer could be used, and end a decision model's call.
        """
        self._places.leave(run_id)
        self._answers.accept(run_id, inputs, outputs)
        call = self._calls.end(run_id)[0]
        if call is not None:
            call.stop(decisions.response(outputs))

    @guarded
    def on_chain_error(
        self, /, error: BaseException, *, run_id: UUID, inputs: object = None, **_: Any
    ) -> None:
        """
        Note that an answer could not be used, and end a decision model's call.
        """
        self._places.leave(run_id)
        self._answers.reject(run_id, inputs, error)
        call = self._calls.end(run_id)[0]
        if call is not None:
            call.fail(error, code=error_code(error))

    @guarded
    def on_tool_start(
        self, /, *_: object, run_id: UUID, parent_run_id: UUID | None = None, **__: Any
    ) -> None:
        """
        Note that calls may be made in a tool.
        """
        self._places.enter(run_id, parent_run_id)

    @guarded
    def on_retriever_start(
        self, /, *_: object, run_id: UUID, parent_run_id: UUID | None = None, **__: Any
    ) -> None:
        """
        Note that calls may be made in a retriever.
        """
        self._places.enter(run_id, parent_run_id)

    @guarded
    def _leave(self, /, *_: object, run_id: UUID, **__: Any) -> None:
        self._places.leave(run_id)

    on_tool_end = _leave
    on_tool_error = _leave
    on_retriever_end = _leave
    on_retriever_error = _leave

    def _begin(
        self,
        run_id: UUID,
        request: Request,
        asked: Asked = NO_MORE,
        *,
        is_direct: bool = False,
        is_alone: bool = True,
    ) -> None:
        call = self._recorder.start(request)
        if not is_direct:
            # LiteLLM may make it, and tell of it once more.
            call.enclose(alone=is_alone)
        self._calls.begin(run_id, call, asked)
