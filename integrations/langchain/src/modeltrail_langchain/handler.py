"""
LangChain's events, forwarded to the trail.
"""

from collections.abc import Sequence
from typing import Any, Self
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from modeltrail.integration import HasRecorder, Invocation, error_code, guarded
from modeltrail_langchain import translate
from modeltrail_langchain.open_calls import OpenCalls
from modeltrail_langchain.translate import FRAMEWORK, Serialized


class TrailCallbackHandler(BaseCallbackHandler):
    """
    Records every model call in a trail.

    Hand it to a model, a chain or a graph, or to a single call. It never
    raises, does no I/O, and may be shared by all threads and tasks.

    Example:
        handler = TrailCallbackHandler(modeltrail.open("sqlite:///calls.db"))
        chain.invoke(question, config={"callbacks": [handler]})

    Args:
        trail: An open trail, or what `modeltrail.testing.capture_records` gives.
    """

    # In the caller's own task and thread: only there are its context and its end known.
    run_inline = True
    raise_error = False

    ignore_chain = True
    ignore_agent = True
    ignore_retriever = True
    ignore_retry = True
    ignore_custom_event = True

    def __init__(self, trail: HasRecorder) -> None:
        self._recorder = trail.recorder
        self._calls = OpenCalls(trail.recorder)

    @guarded
    def on_chat_model_start(
        self,
        /,
        serialized: Serialized,
        messages: Sequence[Sequence[BaseMessage]],
        *,
        run_id: UUID,
        **event: Any,
    ) -> None:
        """
        Begin a call of a chat model.
        """
        asked = translate.chat_messages(messages)
        request = translate.request("chat", asked, serialized, run_id=run_id, **event)
        self._calls.begin(run_id, self._recorder.start(request))

    @guarded
    def on_llm_start(
        self, /, serialized: Serialized, prompts: Sequence[str], *, run_id: UUID, **event: Any
    ) -> None:
        """
        Begin a call of a text completion model.
        """
        asked = translate.text_messages(prompts)
        request = translate.request("text_completion", asked, serialized, run_id=run_id, **event)
        self._calls.begin(run_id, self._recorder.start(request))

    def on_llm_new_token(
        self, /, token: str | Sequence[Any], *, run_id: UUID, chunk: object = None, **_: Any
    ) -> None:
        """
        Note the first piece of an answer.
        """
        # Called for each piece: what is left unguarded here is a look-up.
        waiting = self._calls.waiting
        if waiting and run_id in waiting:
            self._note_piece(run_id, token, chunk)

    @guarded
    def on_llm_end(self, /, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        """
        End a call well.
        """
        if (call := self._end(run_id)) is None:
            return
        try:
            answer = translate.response(response, run_id, streaming=call.has_chunks)
            whole = answer.finish_reasons or not answer.streaming
            (call.stop if whole else call.leave_incomplete)(answer)
        finally:
            call.leave_incomplete()  # only if the answer could not be read

    @guarded
    def on_llm_error(
        self,
        /,
        error: BaseException,
        *,
        run_id: UUID,
        response: LLMResult | None = None,
        **_: Any,
    ) -> None:
        """
        End a call that failed or was given up.
        """
        if (call := self._end(run_id)) is None:
            return
        try:
            arrived = translate.partial_response(response, streaming=call.has_chunks)
            call.fail(error, arrived, code=error_code(error))
        finally:
            call.fail(error, code=error_code(error))  # only if the pieces could not be read

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # A copied model, chain or config goes on recording in the same trail.
        return self

    @guarded
    def _note_piece(self, run_id: UUID, token: str | Sequence[Any], chunk: object) -> None:
        has_content = translate.has_content(token, chunk)
        self._calls.note_piece(run_id, has_content=has_content)
        if has_content and (call := self._find(run_id)) is not None:
            call.first_chunk()

    def _find(self, run_id: UUID) -> Invocation | None:
        return self._recorder.find(FRAMEWORK, run_id)

    def _end(self, run_id: UUID) -> Invocation | None:
        self._calls.end(run_id)
        return self._find(run_id)
