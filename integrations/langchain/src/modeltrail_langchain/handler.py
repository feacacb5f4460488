"""
LangChain's events of model calls, forwarded to the trail.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self
from uuid import UUID

from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from modeltrail.integration import HasRecorder, Invocation, Operation, error_code, guarded
from modeltrail_langchain import copies, translate
from modeltrail_langchain.asked import Asked
from modeltrail_langchain.asked import asked as asked_for
from modeltrail_langchain.chains import ChainCallbackHandler
from modeltrail_langchain.endpoints import Serialized
from modeltrail_langchain.messages import Messages, chat_messages, text_messages
from modeltrail_langchain.tables import DIRECT


class TrailCallbackHandler(ChainCallbackHandler):
    """
    Records every model call in a trail.

    Hand it to a model, a chain or a graph, or to a single call; `install`
    records all of them. It never raises, does no I/O, and may be shared by all
    threads and tasks. Copies of it record in the same trail.

    Example:
        handler = TrailCallbackHandler(modeltrail.open("sqlite:///calls.db"))
        chain.invoke(question, config={"callbacks": [handler]})

    Args:
        trail: An open trail, or what `modeltrail.testing.capture_records` gives.
    """

    # In the caller's own task and thread: only there are its context and its end known.
    run_inline = True
    raise_error = False

    ignore_chat_model = False
    ignore_llm = False

    def __init__(self, trail: HasRecorder) -> None:
        self._attach(trail.recorder)

    @guarded
    def on_chat_model_start(
        self,
        /,
        serialized: Serialized,
        messages: Sequence[Sequence[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **event: Any,
    ) -> None:
        """
        Begin a call of a chat model.
        """
        texts = chat_messages(messages)
        self._start("chat", texts, serialized, run_id, parent_run_id, event, messages)

    @guarded
    def on_llm_start(
        self,
        /,
        serialized: Serialized,
        prompts: Sequence[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **event: Any,
    ) -> None:
        """
        Begin a call of a text completion model.
        """
        texts = text_messages(prompts)
        self._start("text_completion", texts, serialized, run_id, parent_run_id, event)

    def on_llm_new_token(
        self,
        /,
        token: str | Sequence[Any],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,  # noqa: ARG002
        tags: Sequence[str] | None = None,  # noqa: ARG002
        chunk: object = None,
        **_: Any,
    ) -> None:
        """
        Note the first piece of an answer.
        """
        # Called for each piece: what is left unguarded here is a look-up, and what LangChain
        # gives is named, since Python would have to make a dict of what is not.
        waiting = self._waiting
        if waiting and (call := waiting.get(run_id)) is not None:
            self._note_piece(call, run_id, token, chunk)

    @guarded
    def on_llm_end(
        self, /, response: LLMResult, *, run_id: UUID, parent_run_id: UUID | None = None, **_: Any
    ) -> None:
        """
        End a call well.
        """
        call, asked = self._calls.end(run_id)
        if call is not None:
            self._stop(call, response, run_id, asked, in_chain=parent_run_id is not None)

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
        call, asked = self._calls.end(run_id)
        if call is not None:
            self._fail(call, error, response)
            if asked.has_schema:
                self._answers.misread(call, error)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # A copied model, chain or config goes on recording in the same trail.
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return copies.reduced(self)

    def _start(
        self,
        operation: Operation,
        texts: Messages,
        serialized: Serialized,
        run_id: UUID,
        parent_run_id: UUID | None,
        event: Mapping[str, Any],
        batches: Sequence[Sequence[BaseMessage]] = (),
    ) -> None:
        client = translate.client(event)
        asked = asked_for(batches, event, client, serialized)
        place = self._places.of(run_id, parent_run_id, event.get("tags"))
        endpoint = self._endpoints.of(client, serialized)
        request = translate.request(
            operation, texts, event, run_id=run_id, place=place, endpoint=endpoint
        )
        # Prompts that are given together are all announced before the first is sent.
        is_alone = event.get("batch_size", 1) == 1
        self._begin(run_id, request, asked, is_direct=client in DIRECT, is_alone=is_alone)

    def _stop(
        self, call: Invocation, result: LLMResult, run_id: UUID, asked: Asked, *, in_chain: bool
    ) -> None:
        try:
            message_id = translate.message_id(result)
            paid_by = self._answers.paid_for(message_id)
            answer = translate.response(
                result,
                run_id,
                streaming=call.has_chunks,
                paid_by=paid_by,
                caches_for_hour=asked.caches_for_hour,
                tier=asked.tier,
            )
        except BaseException:
            call.leave_incomplete()  # the answer could not be read
            raise
        whole = answer.finish_reasons or not answer.streaming
        (call.stop if whole else call.leave_incomplete)(answer)
        if message_id is not None and not answer.cache_hit:
            self._answers.pay(message_id, call)
        # What was refused is no malformed answer, whatever a parser says of it.
        if message_id is not None and in_chain and not answer.refusal:
            self._answers.give(message_id, call, has_schema=asked.has_schema)

    @staticmethod
    def _fail(call: Invocation, error: BaseException, response: LLMResult | None) -> None:
        try:
            arrived = translate.partial_response(response, streaming=call.has_chunks)
            call.fail(error, arrived, code=error_code(error))
        finally:
            call.fail(error, code=error_code(error))  # only if the pieces could not be read

    @guarded
    def _note_piece(
        self, call: Invocation, run_id: UUID, token: str | Sequence[Any], chunk: object
    ) -> None:
        if translate.has_content(token, chunk):
            self._waiting.pop(run_id, None)
            call.first_chunk()
        else:
            call.begin_stream()
