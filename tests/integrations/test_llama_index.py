"""
What is particular to LlamaIndex, through its real clients.
"""

import asyncio
import gc
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from drivers.llama_index import FAKE_KEY, asked, make_embedding, make_llm
from llama_index.core.base.llms.types import ImageBlock, TextBlock, ToolCallBlock
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CustomLLM,
    LLMMetadata,
    MockLLM,
)
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.dispatcher import instrument_tags
from llama_index_instrumentation.event_handlers import BaseEventHandler
from modeltrail_llama_index import TrailEventHandler, answer, instrument
from pydantic import BaseModel
from scenarios import ANSWERED, PROMPT, TEXT

import modeltrail
from modeltrail.record import CallRecord
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider, capture_records
from modeltrail.trail import Trail


@pytest.fixture
def records() -> Iterator[CapturedTrail]:
    """
    Record LlamaIndex's calls in memory.
    """
    with capture_records() as trail, instrument(trail):
        yield trail
    assert trail.problems.counts() == {}
    assert trail.recorder.open_calls == 0


def only(trail: CapturedTrail) -> CallRecord:
    """
    Return the one record that there is.
    """
    (record,) = trail.records
    return record


def slow(chunks: int = 8) -> Answer:
    """
    Answer in pieces that take their time.
    """
    return Answer(text=TEXT, model=ANSWERED, chunks=chunks, chunk_delay=0.02)


# --- registration ---------------------------------------------------------------------------


def test_instrumenting_twice_makes_one_record(provider: LocalProvider) -> None:
    """Doing it twice changes nothing."""
    with capture_records() as trail, instrument(trail), instrument(trail):
        make_llm(provider).chat(asked())
    assert len(trail.records) == provider.count() == 1


def test_uninstrumenting_ends_recording(provider: LocalProvider) -> None:
    """After `uninstrument`, also twice, nothing is recorded and nothing is left behind."""
    with capture_records() as trail:
        instrumentation = instrument(trail)
        instrumentation.uninstrument()
        instrumentation.uninstrument()
        make_llm(provider).chat(asked())
    assert trail.records == []
    assert not [each for each in get_dispatcher().event_handlers if "Trail" in repr(each)]
    assert not [each for each in get_dispatcher().span_handlers if "Trail" in repr(each)]


def test_uninstrumenting_leaves_open_streams_incomplete(provider: LocalProvider) -> None:
    """A stream whose end will not be seen any more is said to be incomplete."""
    with capture_records() as trail:
        with instrument(trail):
            pieces = make_llm(provider).stream_chat(asked())
            next(pieces)
        assert only(trail).status == "incomplete"
        assert list(pieces)
    assert len(trail.records) == 1


def test_two_trails_record_side_by_side(provider: LocalProvider) -> None:
    """Each of two trails gets its own record."""
    with capture_records() as one, capture_records() as two, instrument(one), instrument(two):
        make_llm(provider).chat(asked())
    assert only(one).response_id == only(two).response_id


def test_model_made_before_is_recorded(provider: LocalProvider) -> None:
    """It does not matter when the model was made."""
    llm = make_llm(provider)
    with capture_records() as trail, instrument(trail):
        llm.chat(asked())
    assert only(trail).status == "ok"


def test_broken_neighbour_does_not_matter(records: CapturedTrail, provider: LocalProvider) -> None:
    """Another handler that raises takes nothing from us."""

    class Broken(BaseEventHandler):
        def handle(self, event: Any, **_: Any) -> None:
            raise KeyboardInterrupt

    broken = Broken()
    get_dispatcher().event_handlers.insert(0, broken)
    try:
        make_llm(provider).chat(asked())
    finally:
        get_dispatcher().event_handlers.remove(broken)
    assert only(records).status == "ok"


# --- ways of calling ------------------------------------------------------------------------


async def test_async_stream_lasts_until_it_is_read(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """The clock of a stream runs until its last piece, not until it is handed out."""
    provider.script(slow())
    async for _ in await make_llm(provider).astream_chat(asked()):
        pass
    record = only(records)
    assert record.latency_us and record.latency_us >= 7 * 20_000
    assert record.time_to_first_chunk_us and record.time_to_first_chunk_us < record.latency_us


def test_tool_calls_of_a_stream_are_seen(records: CapturedTrail, provider: LocalProvider) -> None:
    """A streamed tool call counts as a first piece and as the answer."""
    provider.script(Answer(tool_calls=(("count_legs", '{"animal":"spider"}'),)))
    list(make_llm(provider).stream_chat(asked()))
    record = only(records)
    assert (record.output_format, record.finish_reasons) == ("tool_call", '["tool_calls"]')
    assert record.time_to_first_chunk_us


def test_refusal_is_marked(records: CapturedTrail, provider: LocalProvider) -> None:
    """A refusal in a field of its own is a refusal, streamed or not."""
    provider.script(Answer(refusal="No."), Answer(refusal="No."))
    make_llm(provider).chat(asked())
    list(make_llm(provider).stream_chat(asked()))
    assert [each.output_format for each in records.records] == ["refusal", "refusal"]
    assert records.records[1].time_to_first_chunk_us


def test_parameters_are_of_the_model_and_of_the_call(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """Known parameters are kept, whether set on the model or given with the call."""
    make_llm(provider, temperature=0.5, max_tokens=9).chat(asked(), seed=7, user="u-1")
    assert json.loads(only(records).parameters or "") == {
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 7,
    }


def test_system_prompt_has_a_digest_of_its_own(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """The same system prompt gives the same prompt digest, whatever is asked."""
    system = ChatMessage(role="system", content="Answer shortly.")
    make_llm(provider).chat([system, *asked("One?")])
    make_llm(provider).chat([system, *asked("Two?")])
    one, two = records.records
    assert one.prompt_digest == two.prompt_digest is not None
    assert one.input_digest != two.input_digest


def test_other_blocks_than_text_are_placeholders(records: CapturedTrail) -> None:
    """An image stands as `[image]`, a tool call as its name and arguments."""
    blocks = [
        TextBlock(text="Look:"),
        ImageBlock(url="https://example.org/cat.png"),
        ToolCallBlock(tool_name="zoom", tool_kwargs={"by": 2}),
    ]
    asked_twice = 'Look:\n[image]\nzoom({"by":2})'
    llm = make_llm_over(lambda _: httpx.Response(200, json=WHOLE))
    llm.chat([ChatMessage(role="user", blocks=blocks)])
    llm.chat(asked(asked_twice))
    one, two = records.records
    assert one.input_digest == two.input_digest


class OwnModel(CustomLLM):
    """
    A model of an application's own, as LlamaIndex's documentation shows it.
    """

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="own")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        return CompletionResponse(text="yes", raw={"id": 5, "usage": 5, "choices": object()})

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Iterator[Any]:
        for text in ("y", "ye", "yes"):
            yield CompletionResponse(text=text, delta=text[-1])


# --- streams that end otherwise -------------------------------------------------------------


def test_connection_lost_in_a_stream_keeps_what_came(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """A stream that breaks is an error; what had arrived is kept."""
    provider.script(Fault(drop_after=2, answer=Answer(text=TEXT, chunks=8)))
    with pytest.raises(httpx.TransportError):
        list(make_llm(provider).stream_chat(asked()))
    record = only(records)
    assert (record.status, record.streaming) == ("error", True)
    assert (record.output_chars, record.error_type) == (len(TEXT) // 4, "ReadError")


def test_stream_refused_at_once(records: CapturedTrail, provider: LocalProvider) -> None:
    """A stream that is answered with an error is a streaming error with its code."""
    provider.script(Fault(status=500))
    with pytest.raises(openai.InternalServerError):
        list(make_llm(provider).stream_chat(asked()))
    record = only(records)
    assert (record.status, record.streaming, record.error_code) == ("error", True, "500")


async def test_cancelled_task(records: CapturedTrail, provider: LocalProvider) -> None:
    """A call whose task is cancelled, or runs out of time, is cancelled."""
    provider.script(Fault(hang=10), Fault(hang=10))
    llm = make_llm(provider)
    task = asyncio.create_task(llm.achat(asked()))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait([task])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(llm.achat(asked()), 0.1)
    assert [each.status for each in records.records] == ["cancelled", "cancelled"]


async def test_cancelled_async_stream(records: CapturedTrail, provider: LocalProvider) -> None:
    """A task that is cancelled while it reads a stream cancels the call."""
    provider.script(slow())

    has_begun = asyncio.Event()

    async def read() -> None:
        async for piece in await make_llm(provider).astream_chat(asked()):
            if piece.message.content:
                has_begun.set()

    task = asyncio.create_task(read())
    await has_begun.wait()
    task.cancel()
    await asyncio.wait([task])
    record = only(records)
    assert record.status == "cancelled"
    assert record.output_chars


def test_failed_call_keeps_the_id_of_its_request(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """The provider's support asks for the id of a failed request: it is recorded."""
    provider.script(Fault(status=429))
    with pytest.raises(openai.RateLimitError):
        make_llm(provider).chat(asked())
    assert only(records).provider_request_id == provider.requests[0].request_id


def test_collector_may_come_at_any_time(records: CapturedTrail, provider: LocalProvider) -> None:
    """Streams that are collected in the middle of a handler are all recorded."""
    llm = OwnModel()
    before = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for _ in range(40):
            pieces = llm.stream_chat(asked())
            next(pieces)
            cycle: list[Any] = [pieces]
            cycle.append(cycle)
            del pieces, cycle
            llm.complete(PROMPT)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    statuses = [each.status for each in records.records]
    assert (statuses.count("cancelled"), statuses.count("ok")) == (40, 40)


# --- usage ----------------------------------------------------------------------------------

WHOLE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}
    ],
}
CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
COUNTED = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}


def make_llm_over(answer: Any, **options: Any) -> Any:
    """
    Make a model whose client speaks with a function.
    """
    client = httpx.Client(transport=httpx.MockTransport(answer))
    given = {"api_base": "http://local.test/v1", "http_client": client, **options}
    with LocalProvider() as unused:
        return make_llm(unused, **given)


def test_provider_is_told_by_the_endpoint(records: CapturedTrail) -> None:
    """The company is known where the endpoint is known."""
    endpoint = {"api_base": "https://api.groq.com/openai/v1"}
    make_llm_over(lambda _: httpx.Response(200, json=WHOLE), **endpoint).chat(asked())
    assert only(records).provider == "groq"


# --- embeddings -----------------------------------------------------------------------------


async def test_concurrent_embeddings(records: CapturedTrail, provider: LocalProvider) -> None:
    """Batches that run at once on one span leave a record each, with their own input."""
    texts = ["x" * n for n in range(1, 6)]
    await make_embedding(provider, embed_batch_size=2).aget_text_embedding_batch(texts)
    assert [each.input_chars for each in records.records] == [1 + 2, 3 + 4, 5]
    assert provider.count() == 3


def test_embeddings_in_batches(records: CapturedTrail, provider: LocalProvider) -> None:
    """A query, a text and a batch leave one record per request."""
    model = make_embedding(provider, embed_batch_size=2)
    model.get_query_embedding("q")
    model.get_text_embedding("tt")
    model.get_text_embedding_batch(["a", "bb", "ccc"])
    assert [each.input_chars for each in records.records] == [1, 2, 3, 3]
    assert {each.status for each in records.records} == {"ok"}
    assert provider.count() == 4


async def test_failing_batch_fails_all_that_is_open(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """Of batches at once that fail together nobody knows which failed: all are errors."""
    provider.script(Answer(), Fault(status=401))
    with pytest.raises(openai.AuthenticationError):
        await make_embedding(provider, embed_batch_size=1).aget_text_embedding_batch(["a", "b"])
    assert [each.error_code for each in records.records] == ["401", "401"]
    assert {each.usage_source for each in records.records} == {"missing"}


# --- tags and content -----------------------------------------------------------------------


def test_run_of_a_workflow_is_the_trace(records: CapturedTrail, provider: LocalProvider) -> None:
    """Of LlamaIndex's own tags the run is kept, as the trace; the rest is content."""
    own = {"llamaindex.run_id": "run-1", "llamaindex.step.input_summary": PROMPT}
    with instrument_tags({**own, "variant": "B", "unrelated": "x"}):
        make_llm(provider).chat(asked())
    record = only(records)
    assert (record.trace_id, record.variant, record.tags) == ("run-1", "B", None)


def test_stream_keeps_the_tags_of_its_start(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """A stream that is read elsewhere keeps what was said where it began."""
    with modeltrail.tag(feature="start"), instrument_tags({"variant": "A"}):
        pieces = make_llm(provider).stream_chat(asked())
    with modeltrail.tag(feature="end"), instrument_tags({"variant": "B"}):
        list(pieces)
    assert (only(records).feature, only(records).variant) == ("start", "A")


def stored_bytes(folder: Path) -> bytes:
    """
    Return all that a trail has written.
    """
    return b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())


def test_no_secret_and_no_content_is_stored(
    trail: Trail, provider: LocalProvider, tmp_path: Path
) -> None:
    """No key, header, prompt or answer is in any file, before or after it is stored."""
    provider.script(Answer(text="secret-answer"), Fault(status=401, message="secret-error"))
    headers = {"Authorization": "Bearer secret-header", "X-Own": "secret-header"}
    llm = make_llm(provider, default_headers={"X-More": "secret-header"})
    with instrument(trail):
        llm.chat(asked("secret-prompt"), extra_headers=headers, extra_body={"a": "secret-body"})
        with pytest.raises(openai.AuthenticationError):
            llm.chat(asked("secret-prompt"))
        make_embedding(provider).get_text_embedding("secret-prompt")
    waiting = stored_bytes(tmp_path)
    assert trail.flush(10)
    found = waiting + stored_bytes(tmp_path)
    assert b"gpt-4o-mini" in found
    assert FAKE_KEY.encode() not in found
    assert b"secret-" not in found


def test_broken_sink_never_breaks_a_call(trail: Trail, provider: LocalProvider) -> None:
    """A trail that cannot write is counted; the application gets its answer."""

    def refuse(_: Any) -> None:
        raise OSError

    trail.recorder.sink = refuse
    with instrument(trail):
        assert make_llm(provider).chat(asked()).message.content
    assert trail.health().problems == {"start-not-written": 1, "call-not-written": 1}


def test_unreadable_answer_is_counted_and_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure of ours is counted and leaves the call incomplete, never open or half told."""
    monkeypatch.setattr("modeltrail_llama_index.answer.tool_calls_of", lambda _: 1 / 0)
    with capture_records() as trail, instrument(trail):
        assert OwnModel().complete(PROMPT).text == "yes"
    assert only(trail).status == "incomplete"
    assert trail.problems.counts() == {f"{TrailEventHandler.__name__}.handle": 1}


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
def test_answer_is_read_whatever_its_kind(kind: Any) -> None:
    """What a provider sent may be a dict or an object, and its fields may hide."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    raw = kind(id="r-1", model="m-1", usage=usage, choices=[{"finish_reason": "stop"}])
    found = answer.Answer().finish(ChatResponse(message=ChatMessage("yes"), raw=raw))
    assert (found.response_id, found.response_model) == ("r-1", "m-1")
    assert (found.usage, found.finish_reasons, found.text) == (usage, ["stop"], "yes")


def test_very_long_prompt(trail: Trail, provider: LocalProvider) -> None:
    """A prompt of 50 MB is recorded with its length and a digest."""
    prompt = "spider " * (50_000_000 // 7)
    with instrument(trail):
        MockLLM(max_tokens=1).complete(prompt)
    assert trail.flush(60)
    (call,) = trail.store.calls()
    assert call.record.input_chars == len(prompt)
    assert call.record.input_digest


def test_nothing_stays_open(records: CapturedTrail, provider: LocalProvider) -> None:
    """After a mix of streams nothing is remembered of spans and calls."""
    provider.answers = lambda _: Answer(text=TEXT, chunks=4)
    for number in range(30):
        # A client each: httpcore waits for itself if a stream of a pool is collected inside it.
        pieces = make_llm(provider).stream_chat(asked())
        for _ in range(number % 7):
            next(pieces, None)
        del pieces
        MockEmbedding(2).get_text_embedding("x")
    gc.collect()
    (handler,) = (e for e in get_dispatcher().event_handlers if isinstance(e, TrailEventHandler))
    assert not handler.calls._calls
    assert not handler.calls._spans
    assert len(records.records) == 60
