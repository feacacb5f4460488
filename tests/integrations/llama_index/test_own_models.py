"""
What models of an application's own may do: items 11, 31 and 52 of the checklist.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core.llms import (
    ChatMessage,
    ChatResponse,
    CitableBlock,
    DocumentBlock,
    TextBlock,
)
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index_instrumentation import get_dispatcher
from modeltrail_llama_index import calls, instrument

from modeltrail.testing import CapturedTrail, LocalProvider, capture_records
from tests.integrations.llama_index.doings import OwnModel, only, open_calls
from tests.integrations.llama_index.endpoints import make_llm

TEXT = "Eight legs."
NO_ARGUMENTS = inspect.signature(lambda: None).bind()


class Odd(OwnModel):
    """
    A model that does what others do not.
    """

    is_mute: bool = False

    @llm_chat_callback()
    def stream_chat(self, messages: Any, **_: Any) -> Iterator[ChatResponse]:
        """Say all at once, without a piece, or nothing at all."""
        if not self.is_mute:
            yield ChatResponse(message=ChatMessage(TEXT, role="assistant"), delta=None)


class ForgetfulChat(OwnModel):
    """
    A model whose author forgot the decorator of its chat.
    """

    def chat(self, messages: Any, **_: Any) -> ChatResponse:
        """Answer without a word to LlamaIndex."""
        return ChatResponse(message=ChatMessage(TEXT, role="assistant"))


def test_11_chat_without_a_decorator(records: CapturedTrail) -> None:
    """A chat that no event tells of is recorded with what it was asked and said."""
    ForgetfulChat().chat([ChatMessage("How many?"), ChatMessage("Well?")])
    record = only(records)
    assert (record.operation, record.status, record.streaming) == ("chat", "ok", False)
    assert (record.input_chars, record.output_chars) == (len("How many?Well?"), len(TEXT))


def test_52_answer_in_no_piece(records: CapturedTrail) -> None:
    """A stream whose one piece is the whole answer has a first piece, and that text."""
    list(Odd().stream_chat([ChatMessage("How many?")]))
    record = only(records)
    assert (record.status, record.streaming, record.output_chars) == ("ok", True, len(TEXT))
    assert record.time_to_first_chunk_us is not None


def test_52_stream_of_nothing(records: CapturedTrail) -> None:
    """A stream that ends before its first piece is incomplete: nobody said that it ends."""
    list(Odd(is_mute=True).stream_chat([ChatMessage("How many?")]))
    record = only(records)
    assert (record.status, record.streaming, record.output_chars) == ("incomplete", True, None)


def test_52_text_within_a_citation(records: CapturedTrail, provider: LocalProvider) -> None:
    """What may be cited is read to its texts; a document in it stands as one."""
    cited = CitableBlock(
        title="Zoology",
        source="page 8",
        content=[TextBlock(text=TEXT), DocumentBlock(data=b"%PDF", title="p.pdf")],
    )
    list(Odd().stream_chat([ChatMessage(role="user", blocks=[cited])]))
    assert only(records).input_chars == len(f"{TEXT}\n[document]")
    assert provider.count() == 0


def test_31_spans_and_calls_are_bounded(
    monkeypatch: pytest.MonkeyPatch, provider: LocalProvider
) -> None:
    """Of spans and calls whose ends are never told the oldest are let go."""
    monkeypatch.setattr(calls, "LIMIT", 3)
    with capture_records() as trail, instrument(trail):
        streams = [make_llm(provider).stream_chat([ChatMessage("hi")]) for _ in range(5)]
        assert [each.status for each in trail.records] == ["incomplete"] * 2
        for number in range(9):
            get_dispatcher().span_enter(f"x-{number}", NO_ARGUMENTS)
        assert len(open_calls()._spans) <= 3
        del streams
    assert trail.problems.counts() == {}


def test_31_span_that_is_dropped_without_an_error(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """LlamaIndex may drop a span and say no error: the call in it has none then."""
    stream = make_llm(provider).stream_chat([ChatMessage("hi")])
    (span_id,) = open_calls()._calls
    assert span_id is not None
    get_dispatcher().span_drop(span_id, NO_ARGUMENTS, err=None)
    list(stream)
    assert only(records).status == "ok"
