"""
How LlamaIndex is given the handlers, and that nobody suffers by it.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import openai
import pytest
from drivers.llama_index import FAKE_KEY, asked, make_embedding, make_llm
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import TextBlock, ThinkingBlock
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.instrumentation.events import embedding, exception, llm
from llama_index.core.llms import ChatMessage, ChatResponse, MockLLM
from llama_index.llms.openai_like import OpenAILike
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span_handlers import SimpleSpanHandler
from modeltrail_llama_index import TrailEventHandler, answer, instrument
from modeltrail_llama_index.spans import METHODS, MODELS, ONE_TEXT, method_of
from pydantic import BaseModel
from scenarios import PROMPT

from modeltrail.testing import CapturedTrail, Fault, LocalProvider, capture_records
from modeltrail.trail import Trail
from tests.integrations.llama_index.doings import OwnModel


def handlers() -> list[Any]:
    """
    Return our handlers on the root dispatcher.
    """
    root = get_dispatcher()
    return [each for each in [*root.event_handlers, *root.span_handlers] if "Trail" in repr(each)]


def test_50_instrumenting_twice_makes_one_record(provider: LocalProvider) -> None:
    """Doing it twice changes nothing."""
    with capture_records() as trail, instrument(trail), instrument(trail):
        make_llm(provider).chat(asked())
        assert len(handlers()) == 2
    assert len(trail.records) == provider.count() == 1


def test_50_block_within_a_block_ends_nothing(provider: LocalProvider) -> None:
    """What an inner block finds set up it leaves to the outer one, open streams included."""
    with capture_records() as trail, instrument(trail):
        pieces = make_llm(provider).stream_chat(asked())
        next(pieces)
        with instrument(trail):
            make_llm(provider).chat(asked())
        make_llm(provider).chat(asked())
        list(pieces)
    assert [each.status for each in trail.records] == ["ok"] * 3
    assert (provider.count(), handlers()) == (3, [])


def test_50_block_leaves_what_was_set_up_for_good(provider: LocalProvider) -> None:
    """A block ends no recording that the application began; `uninstrument` does, whoever asks."""
    with capture_records() as trail:
        instrument(trail)
        with instrument(trail) as inner:
            pass
        make_llm(provider).chat(asked())
        inner.uninstrument()
    assert (len(trail.records), handlers()) == (1, [])


def test_50_uninstrumenting_ends_recording(provider: LocalProvider) -> None:
    """After `uninstrument`, also twice, nothing is recorded and nothing is left behind."""
    with capture_records() as trail:
        instrumentation = instrument(trail)
        instrumentation.uninstrument()
        instrumentation.uninstrument()
        make_llm(provider).chat(asked())
    assert (trail.records, handlers()) == ([], [])
    assert provider.count() == 1


def test_50_instrumenting_again(provider: LocalProvider) -> None:
    """After taking it back it can be done again, with a record of each call."""
    with capture_records() as trail:
        for _ in range(3):
            with instrument(trail):
                make_llm(provider).chat(asked())
    assert len(trail.records) == provider.count() == 3
    assert handlers() == []


def test_50_uninstrumenting_leaves_open_streams_incomplete(provider: LocalProvider) -> None:
    """A stream whose end will not be seen any more is said to be incomplete."""
    with capture_records() as trail:
        with instrument(trail):
            pieces = make_llm(provider).stream_chat(asked())
            next(pieces)
        assert [each.status for each in trail.records] == ["incomplete"]
        assert list(pieces)
    assert len(trail.records) == 1
    assert trail.problems.counts() == {}


def test_50_instrumented_within_a_stream(records: CapturedTrail, provider: LocalProvider) -> None:
    """Of a call whose start was not seen the rest is passed over in silence."""
    with capture_records() as late:
        pieces = make_llm(provider).stream_chat(asked())
        next(pieces)
        with instrument(late):
            list(pieces)
    assert (late.records, late.problems.counts()) == ([], {})
    assert [each.status for each in records.records] == ["ok"]


def test_50_two_trails_record_side_by_side(provider: LocalProvider) -> None:
    """Each of two trails gets its own record, and taking one back leaves the other."""
    with capture_records() as one, capture_records() as two, instrument(one):
        with instrument(two):
            make_llm(provider).chat(asked())
        make_llm(provider).chat(asked())
    assert [len(each.records) for each in (one, two)] == [2, 1]
    assert one.records[0].response_id == two.records[0].response_id
    assert provider.count() == 2


def test_50_model_made_before_is_recorded(provider: LocalProvider) -> None:
    """It does not matter when the model was made."""
    made = make_llm(provider)
    with capture_records() as trail, instrument(trail):
        made.chat(asked())
    assert [each.status for each in trail.records] == ["ok"]


class Broken(BaseEventHandler):
    """
    A handler that raises.
    """

    def handle(self, event: Any, **_: Any) -> None:
        raise KeyboardInterrupt


class BrokenSpans(SimpleSpanHandler):
    """
    A handler of spans that raises.
    """

    def new_span(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError

    prepare_to_exit_span = new_span
    prepare_to_drop_span = new_span


@pytest.mark.parametrize("stream", [True, False])
def test_51_broken_neighbour_does_not_matter(
    records: CapturedTrail, provider: LocalProvider, stream: bool
) -> None:
    """Other handlers that raise, before ours, take nothing from us."""
    root = get_dispatcher()
    events, spans = Broken(), BrokenSpans()
    root.event_handlers.insert(0, events)
    root.span_handlers.insert(0, spans)
    try:
        made = make_llm(provider)
        list(made.stream_chat(asked())) if stream else made.chat(asked())
    finally:
        root.event_handlers.remove(events)
        root.span_handlers.remove(spans)
    (record,) = records.records
    assert (record.status, record.request_model) == ("ok", "gpt-4o-mini")
    assert record.trace_id and "OpenAILike" in record.trace_id


class Extra(BaseModel, extra="allow"):
    """
    An answer of a client that declares none of its fields.
    """


@dataclass(slots=True)
class Slotted:
    """
    An answer whose fields are in no dict.
    """

    id: str
    model: str
    usage: dict[str, int]
    choices: list[dict[str, Any]]


@pytest.mark.parametrize("kind", [dict, Extra, Slotted])
def test_52_answer_is_read_whatever_its_kind(kind: Any) -> None:
    """What a provider sent may be a dict or an object, and its fields may hide."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    raw = kind(id="r-1", model="m-1", usage=usage, choices=[{"finish_reason": "stop"}])
    found = answer.Answer().finish(ChatResponse(message=ChatMessage("yes"), raw=raw))
    assert (found.response_id, found.response_model) == ("r-1", "m-1")
    assert (found.usage, found.finish_reasons, found.text) == (usage, ["stop"], "yes")


def test_52_answer_of_which_not_all_is_text() -> None:
    """The text of an answer is that of its texts, without what the model thought."""
    blocks = [ThinkingBlock(content="hm"), TextBlock(text="yes"), TextBlock(text="no")]
    response = ChatResponse(message=ChatMessage(role="assistant", blocks=blocks))
    assert answer.Answer().finish(response).text == "yes\nno"


ODD = {
    "none": None,
    "text": "raw",
    "number": 5,
    "list": [1, {"id": 2}],
    "bytes": b"\xff",
    "wrong types": {"id": 5, "model": [], "usage": 5, "choices": object()},
    "wrong inside": {"usage": {"prompt_tokens": "many"}, "choices": [None, 5, "x"]},
    "objects": {"usage": object(), "choices": [object()]},
}


@pytest.mark.parametrize("raw", ODD.values(), ids=ODD)
@pytest.mark.parametrize("stream", [True, False])
def test_52_odd_answers(records: CapturedTrail, raw: Any, stream: bool) -> None:
    """Whatever an application's own model says that a provider sent, its call is recorded."""
    made = OwnModel(raw=raw)
    found = list(made.stream_complete(PROMPT))[-1] if stream else made.complete(PROMPT)
    assert found.text == "yes"
    (record,) = records.records
    assert (record.response_id, record.response_model, record.input_tokens) == (None, None, None)
    assert record.output_chars == 3
    assert record.latency_us is not None


def test_53_broken_sink_never_breaks_a_call(trail: Trail, provider: LocalProvider) -> None:
    """A trail that cannot write is counted; the application gets its answer."""

    def refuse(_: Any) -> None:
        raise OSError

    trail.recorder.sink = refuse
    with instrument(trail):
        assert make_llm(provider).chat(asked()).message.content
    assert trail.health().problems == {"start-not-written": 1, "call-not-written": 1}


def test_53_unreadable_answer_is_counted_and_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of ours is counted and leaves the call incomplete, never open or half told."""
    monkeypatch.setattr("modeltrail_llama_index.answer.contents_of", lambda _: 1 / 0)
    with capture_records() as trail, instrument(trail):
        assert OwnModel().complete(PROMPT).text == "yes"
    assert [each.status for each in trail.records] == ["incomplete"]
    assert trail.problems.counts() == {f"{TrailEventHandler.__name__}.handle": 1}


def test_53_unreadable_failure_is_counted_and_an_error(
    monkeypatch: pytest.MonkeyPatch, provider: LocalProvider
) -> None:
    """Where what had arrived before an error cannot be told, the error is told alone."""
    monkeypatch.setattr(answer.Answer, "partial", lambda *_: 1 / 0)
    provider.script(Fault(status=429))
    with capture_records() as trail, instrument(trail), pytest.raises(openai.RateLimitError):
        make_llm(provider).chat(asked())
    assert [(each.status, each.error_type) for each in trail.records] == [
        ("error", "RateLimitError")
    ]
    assert trail.problems.counts()
    assert trail.recorder.open_calls == 0


@pytest.mark.parametrize("broken", ["span_from", "method_of", "request_from"])
def test_53_failures_of_spans_are_counted(
    monkeypatch: pytest.MonkeyPatch, provider: LocalProvider, broken: str
) -> None:
    """Any other failure of ours is counted, too, and the application gets its answer."""
    monkeypatch.setattr(f"modeltrail_llama_index.calls.{broken}", lambda *_: 1 / 0)
    with capture_records() as trail, instrument(trail):
        assert make_llm(provider).chat(asked()).message.content
        assert make_embedding(provider).get_text_embedding("x")
    assert trail.problems.counts()
    assert trail.recorder.open_calls == 0


class OlderModel(OpenAILike):
    """
    A model that describes itself as those of an older llama-index-core do.
    """

    def to_payload(self) -> dict[str, Any]:
        return self.to_dict()


class OlderEmbedding(MockEmbedding):
    """
    The same for embeddings.
    """

    def to_payload(self) -> dict[str, Any]:
        return self.to_dict()


def test_54_models_describe_themselves_in_two_ways(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """Older cores describe a model with all its fields, key included: it is read all the same."""
    given = {"model": "gpt-4o-mini", "api_base": provider.base_url, "api_key": FAKE_KEY}
    older = OlderModel(**given, is_chat_model=True, default_headers={"x-token": "hush"})
    described = older.to_payload()
    assert (described["api_key"], described["model"]) == (FAKE_KEY, "gpt-4o-mini")
    assert "hush" in repr(described)
    older.chat(asked())
    make_llm(provider).chat(asked())
    OlderEmbedding(embed_dim=2, model_name="small").get_text_embedding("x")
    first, second, third = records.records
    assert first.request_model == second.request_model == "gpt-4o-mini"
    assert third.request_model == "small"
    assert FAKE_KEY not in repr(records.records)
    assert "hush" not in repr(records.records)


EVENTS = [
    llm.LLMChatStartEvent,
    llm.LLMChatInProgressEvent,
    llm.LLMChatEndEvent,
    llm.LLMCompletionStartEvent,
    llm.LLMCompletionInProgressEvent,
    llm.LLMCompletionEndEvent,
    embedding.EmbeddingStartEvent,
    embedding.EmbeddingEndEvent,
    embedding.SparseEmbeddingStartEvent,
    embedding.SparseEmbeddingEndEvent,
    exception.ExceptionEvent,
]


@pytest.mark.parametrize("event", EVENTS)
def test_55_events_have_what_we_read(event: type[BaseModel]) -> None:
    """A new llama-index-core whose events lack what we read of them is noticed."""
    needed = {"id_", "span_id", "tags"}
    if "StartEvent" in event.__name__:
        needed |= {"model_dict"}
    if "LLM" in event.__name__:
        needed |= {"additional_kwargs"} if "Start" in event.__name__ else {"response"}
    assert needed <= set(event.model_fields)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_55_models_have_the_methods_that_we_know(method: str) -> None:
    """A new one whose models have other methods, or other names of their input, is noticed."""
    given = set(inspect.signature(getattr(BaseLLM, method)).parameters)
    assert {"messages" if method.endswith("chat") else "prompt", "kwargs"} <= given
    assert len(METHODS) == 8


def test_55_embedding_models_name_their_input_as_we_know() -> None:
    """So is one whose embedding models name their input otherwise."""
    assert BaseEmbedding in MODELS
    for name, given in {
        "get_query_embedding": ONE_TEXT[0],
        "get_text_embedding": ONE_TEXT[1],
        "get_text_embedding_batch": "texts",
        "aget_text_embedding_batch": "texts",
    }.items():
        assert given in inspect.signature(getattr(BaseEmbedding, name)).parameters


def test_55_ids_of_spans_are_class_method_and_uuid() -> None:
    """A new one whose ids of spans are made otherwise, or missing from events, is noticed."""
    seen: list[Any] = []

    class Listener(BaseEventHandler):
        def handle(self, event: Any, **_: Any) -> None:
            seen.append(event)

    listener = Listener()
    get_dispatcher().add_event_handler(listener)
    try:
        list(MockLLM().stream_complete(PROMPT))
        MockLLM().chat(asked())
        MockEmbedding(2).get_query_embedding("x")
    finally:
        get_dispatcher().event_handlers.remove(listener)
    starts = [each.span_id for each in seen if "StartEvent" in type(each).__name__]
    assert {*map(method_of, starts)} >= {"stream_complete", "chat", "get_query_embedding"}
    assert all(each.startswith("Mock") for each in starts)
    ends = [each.span_id for each in seen if type(each).__name__.endswith("EndEvent")]
    assert set(ends) == set(starts)
