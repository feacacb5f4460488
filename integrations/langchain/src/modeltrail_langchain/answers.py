"""
Which call gave which answer, for a while.

An answer comes again: out of LangChain's cache, as a hit, and into a parser,
which tells whether it could be used. The message's id is known then, the
call's is not.
"""

from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import BaseMessage

from modeltrail.integration import Invocation, Recorder
from modeltrail_langchain.recent import Recent
from modeltrail_langchain.tables import MISREADINGS, NO_JUDGEMENTS, REFUSALS

WHY = "parser"


class Answer(NamedTuple):
    """
    An answer and the call that gave it.

    Attributes:
        has_schema: The call asked for an answer of a certain shape.
    """

    call: Invocation
    has_schema: bool


class Reader(NamedTuple):
    """
    A run that may be reading an answer.
    """

    is_parser: bool
    message_id: str | None


class Answers:
    """
    Links hits of the cache to the call that was paid, and parsers to the call they read.
    """

    def __init__(self, _: Recorder) -> None:
        self._paid: Recent[str, str] = Recent()
        self._given: Recent[str, Answer] = Recent()
        self._readers: Recent[UUID, Reader] = Recent()

    def paid_for(self, message_id: str | None) -> str | None:
        """
        Return the id of the call that an answer of the cache was paid with.
        """
        return None if message_id is None else self._paid.get(message_id)

    def pay(self, message_id: str, call: Invocation) -> None:
        """
        Note which call an answer was paid with.
        """
        self._paid.put(message_id, call.id)

    def give(self, message_id: str, call: Invocation, *, has_schema: bool) -> None:
        """
        Note which call gave an answer that others may read.
        """
        self._given.put(message_id, Answer(call, has_schema))

    def read(self, run_id: UUID, inputs: object, run_type: str | None) -> None:
        """
        Note that a run begins which may read an answer.
        """
        message_id = _id_of(inputs)
        is_parser = run_type == "parser"
        if is_parser or (message_id is not None and self._given.get(message_id) is not None):
            self._readers.put(run_id, Reader(is_parser, message_id))

    def accept(self, run_id: UUID, inputs: object, outputs: object) -> None:
        """
        Note what a run has made of the answer it read.

        What is still text was not asked for a shape; a parser that found
        nothing returns None, as does any function that only looks on.
        """
        reader, answer = self._reading(run_id, inputs)
        if answer is None or isinstance(outputs, str | BaseMessage):
            return
        if reader.is_parser or (answer.has_schema and outputs is not None):
            answer.call.amend(WHY, schema_ok=outputs is not None)

    def reject(self, run_id: UUID, inputs: object, error: BaseException) -> None:
        """
        Note that a run could not use the answer it read.
        """
        reader, answer = self._reading(run_id, inputs)
        if answer is None or _is_any(error, NO_JUDGEMENTS):
            return
        if _is_any(error, REFUSALS):
            answer.call.amend(WHY, output_format="refusal")
        elif answer.has_schema or reader.is_parser or isinstance(error, OutputParserException):
            answer.call.amend(WHY, schema_ok=False)

    @staticmethod
    def misread(call: Invocation, error: BaseException) -> None:
        """
        Note that a call failed which asked for a shape, maybe because the answer had another.
        """
        if _is_any(error, MISREADINGS):
            call.amend(WHY, schema_ok=False)

    def _reading(self, run_id: UUID, inputs: object) -> tuple[Reader, Answer | None]:
        # A stream tells what it has read at its end.
        reader = self._readers.pop(run_id) or Reader(is_parser=False, message_id=None)
        message_id = reader.message_id or _id_of(inputs)
        return reader, None if message_id is None else self._given.get(message_id)


def _is_any(error: BaseException, names: frozenset[str]) -> bool:
    # By name, since the packages that define them need not be there.
    return not names.isdisjoint(each.__name__ for each in type(error).__mro__)


def _id_of(value: object) -> str | None:
    # `isinstance` of pydantic's classes takes microseconds where it is not true.
    kind: type = type(value)
    return value.id if _is_message(kind) and isinstance(value, BaseMessage) else None


@lru_cache(maxsize=256)
def _is_message(kind: type) -> bool:
    return issubclass(kind, BaseMessage)
