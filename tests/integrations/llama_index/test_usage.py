"""
Tokens, models, ids and times, as LlamaIndex's clients hand them on.
"""

import json
from typing import Any

import httpx
import pytest
from drivers.llama_index import asked, make_llm
from llama_index.core.base.llms.types import CacheControl, CachePoint, ChatMessage, TextBlock
from scenarios import PROMPT, TEXT

from modeltrail.record import USAGE_COLUMNS
from modeltrail.testing import (
    Answer,
    CapturedTrail,
    LocalProvider,
    provider_anthropic,
    provider_openai,
)
from tests.integrations.llama_index.doings import only
from tests.integrations.llama_index.endpoints import (
    CLIENTS,
    STREAM_OPTIONS,
    anthropic_model,
    every_client,
    responses_model,
)
from tests.integrations.llama_index.payloads import RECORDED

# What a provider that says it plainly calls the end of an answer.
STOPS = {"anthropic": "end_turn", "responses": "completed"}
both_ways = pytest.mark.parametrize("streamed", [False, True])


def ask(provider: LocalProvider, client: str, *, streamed: bool, **options: Any) -> None:
    """
    Ask a client's model, and have the usage of a stream reported.
    """
    llm = CLIENTS[client](provider, **options)
    if streamed:
        list(llm.stream_chat(asked(), **STREAM_OPTIONS[client]))
    else:
        llm.chat(asked())


@both_ways
@every_client
def test_16_finish_reason(
    records: CapturedTrail, provider: LocalProvider, client: str, streamed: bool
) -> None:
    """Why an answer ended is known, also where a stream's last piece tells its usage alone."""
    ask(provider, client, streamed=streamed)
    record = only(records)
    assert json.loads(record.finish_reasons or "") == [STOPS.get(client, "stop")]
    lost = client == "litellm" and streamed
    assert (record.status, record.usage_source) == ("ok", "missing" if lost else "provider")
    assert provider.count() == 1


@both_ways
@pytest.mark.parametrize(
    ("client", "reason"), [("anthropic", "max_tokens"), ("responses", "incomplete")]
)
def test_16_early_end(
    records: CapturedTrail, provider: LocalProvider, client: str, reason: str, streamed: bool
) -> None:
    """An answer that ran into its limit has come to an end, and says at which."""
    provider.script(Answer(text=TEXT, finish_reason="length"))
    ask(provider, client, streamed=streamed)
    record = only(records)
    assert (record.status, record.finish_reasons) == ("ok", f'["{reason}"]')


@pytest.mark.parametrize("client", ["anthropic", "responses"])
def test_16_refusal(records: CapturedTrail, provider: LocalProvider, client: str) -> None:
    """A refusal is one, whether it has a field or a reason of its own."""
    provider.script(Answer(refusal="No."))
    ask(provider, client, streamed=False)
    assert only(records).output_format == "refusal"


CHUNK = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
COUNTED = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
SAID = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}
STOPPED = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
TOLD = {"choices": [], "usage": COUNTED}
BARE: dict[str, Any] = {"choices": []}


@pytest.mark.parametrize(
    "chunks",
    [
        (SAID, STOPPED, TOLD, BARE),
        (SAID, TOLD, STOPPED),
        (TOLD, SAID, STOPPED),
        (SAID, {**STOPPED, "usage": COUNTED}, BARE),
        ({**SAID, "usage": {**COUNTED, "completion_tokens": 1}}, {**STOPPED, "usage": COUNTED}),
    ],
    ids=["bare", "before the reason", "first", "with the reason", "growing"],
)
def test_17_usage_in_an_earlier_chunk_than_the_last(records: CapturedTrail, chunks: Any) -> None:
    """The usage of a stream is kept, whichever chunk brings it; the latest counts."""
    lines = [f"data: {json.dumps({**CHUNK, **each})}\n\n" for each in chunks]
    body = "".join(lines) + "data: [DONE]\n\n"
    kind = {"content-type": "text/event-stream"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body, headers=kind))
    with LocalProvider() as unused:
        llm = make_llm(unused, http_client=httpx.Client(transport=transport))
    list(llm.stream_chat(asked()))
    record = only(records)
    assert (record.input_tokens, record.output_tokens, record.output_chars) == (11, 3, 2)
    assert (record.status, record.finish_reasons) == ("ok", '["stop"]')


@pytest.mark.parametrize("client", ["openai", "openai-like", "litellm"])
@both_ways
def test_18_unknown_usage_is_null(
    records: CapturedTrail, provider: LocalProvider, client: str, streamed: bool
) -> None:
    """Without a report nothing is known, least of all that it is 0."""
    provider.script(Answer(usage=False))
    ask(provider, client, streamed=streamed)
    record = only(records)
    assert {getattr(record, name) for name in USAGE_COLUMNS} == {None}
    assert (record.usage_source, record.cost_nanousd, record.status) == ("missing", None, "ok")


@pytest.mark.parametrize("client", ["openai", "openai-like", "litellm"])
def test_18_stream_that_was_not_asked_for_usage(
    records: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """A stream whose usage nobody asked for has none, and its request is left as it was."""
    list(CLIENTS[client](provider).stream_chat(asked()))
    assert (only(records).input_tokens, only(records).usage_source) == (None, "missing")
    assert "stream_options" not in provider.requests[0].body


@pytest.mark.parametrize(
    ("client", "streamed"),
    [(each, way) for each in CLIENTS for way in (False, True) if (each, way) != ("litellm", True)],
)
def test_19_cached_and_reasoning_tokens(
    records: CapturedTrail, provider: LocalProvider, client: str, streamed: bool
) -> None:
    """Cached tokens lie within the input and reasoning within the output, whoever counts."""
    provider.script(
        Answer(input_tokens=100, output_tokens=50, cached_tokens=40, reasoning_tokens=30)
    )
    ask(provider, client, streamed=streamed)
    record = only(records)
    found = [getattr(record, name) for name in USAGE_COLUMNS]
    assert dict(zip(USAGE_COLUMNS, found, strict=True)) == {
        **dict.fromkeys(USAGE_COLUMNS),
        "input_tokens": 100,
        "output_tokens": 50,
        "cache_read_input_tokens": 40,
        "reasoning_output_tokens": 30,
    }
    assert record.usage_source == "provider"


@both_ways
def test_19_cache_writes_of_anthropic(
    records: CapturedTrail, provider: LocalProvider, streamed: bool
) -> None:
    """Tokens written to Anthropic's cache lie within the input, too."""
    written = {"cache_write_5m_tokens": 10, "cache_write_1h_tokens": 30}
    provider.script(Answer(input_tokens=100, cached_tokens=20, **written))
    ask(provider, "anthropic", streamed=streamed)
    record = only(records)
    assert (record.input_tokens, record.cache_read_input_tokens) == (100, 20)
    assert record.cache_creation_input_tokens == 40
    # A stream tells the sum alone.
    assert (record.usage_detail is None) is streamed


FOR_HOUR = CacheControl(type="ephemeral", ttl="1h")


@both_ways
@pytest.mark.parametrize(
    "message",
    [
        ChatMessage(blocks=[TextBlock(text="hi"), CachePoint(cache_control=FOR_HOUR)]),
        ChatMessage("hi", additional_kwargs={"cache_control": FOR_HOUR.model_dump()}),
    ],
    ids=["block", "message"],
)
def test_19_streams_lose_how_long_writes_are_kept(
    records: CapturedTrail, provider: LocalProvider, message: ChatMessage, streamed: bool
) -> None:
    """Where an hour was asked for and a stream tells but one sum, the price is not known."""
    written = {"cache_write_5m_tokens": 10, "cache_write_1h_tokens": 30}
    provider.script(Answer(input_tokens=100, cached_tokens=20, **written))
    llm = CLIENTS["anthropic"](provider)
    _ = list(llm.stream_chat([message])) if streamed else llm.chat([message])
    record = only(records)
    assert (record.input_tokens, record.cache_creation_input_tokens) == (100, 40)
    # 40 at 3 dollars a million, 10 at 3.75, 30 at 6, 20 at 0.30, and 7 out at 15.
    cost = 40 * 3_000 + 10 * 3_750 + 30 * 6_000 + 20 * 300 + 7 * 15_000
    assert (record.usage_source, record.cost_nanousd) == (
        ("partial", None) if streamed else ("provider", cost)
    )


@both_ways
@pytest.mark.parametrize(
    ("client", "cached", "written", "reasoning"),
    [("ollama", None, None, None), ("gemini", 40, None, 30), ("bedrock", 20, 40, None)],
)
def test_19_usage_of_other_providers(
    records: CapturedTrail, client: str, cached: Any, written: Any, reasoning: Any, streamed: bool
) -> None:
    """Each provider's own way to count comes to the same totals."""
    llm = RECORDED[client]()
    list(llm.stream_chat(asked())) if streamed else llm.chat(asked())
    record = only(records)
    assert (record.input_tokens, record.output_tokens, record.usage_source) == (100, 50, "provider")
    assert (record.cache_read_input_tokens, record.cache_creation_input_tokens) == (cached, written)
    assert (record.reasoning_output_tokens, record.output_chars) == (reasoning, 2)
    assert (record.status, record.streaming) == ("ok", streamed)


@both_ways
def test_18_parts_by_modality(records: CapturedTrail, streamed: bool) -> None:
    """Gemini 2.5 Flash: 0.30 in and 1.00 of audio, cached 0.03 and 0.10, 2.50 out a million."""
    llm = RECORDED["gemini"]()
    list(llm.stream_chat(asked())) if streamed else llm.chat(asked())
    record = only(records)
    assert json.loads(record.usage_detail or "") == {
        "input_audio_tokens": 30,
        "cache_read_input_text_tokens": 30,
        "cache_read_input_audio_tokens": 10,
    }
    text, audio = 70 - 30, 30 - 10
    expected = text * 300 + audio * 1000 + 30 * 30 + 10 * 100 + 50 * 2500
    assert record.cost_nanousd == expected == 158_900


@both_ways
def test_18_writes_by_how_long_they_are_kept(records: CapturedTrail, streamed: bool) -> None:
    """Bedrock tells both, in a stream, too."""
    llm = RECORDED["bedrock"]()
    list(llm.stream_chat(asked())) if streamed else llm.chat(asked())
    record = only(records)
    assert json.loads(record.usage_detail or "") == {
        "cache_creation_5m_input_tokens": 10,
        "cache_creation_1h_input_tokens": 30,
    }


@pytest.mark.parametrize(
    ("client", "streamed", "reasons"),
    [
        ("ollama", False, '["stop"]'),
        ("ollama", True, '["stop"]'),
        ("gemini", False, '["STOP"]'),
        ("gemini", True, '["STOP"]'),
        ("bedrock", False, '["end_turn"]'),
        # LlamaIndex drops the event that tells it.
        ("bedrock", True, None),
    ],
)
def test_16_finish_reason_of_other_providers(
    records: CapturedTrail, client: str, streamed: bool, reasons: str | None
) -> None:
    """Other providers have names of their own for it, and one says nothing in a stream."""
    llm = RECORDED[client]()
    list(llm.stream_chat(asked())) if streamed else llm.chat(asked())
    assert (only(records).status, only(records).finish_reasons) == ("ok", reasons)


@pytest.mark.parametrize("client", RECORDED)
@both_ways
def test_02_completion_of_other_providers_is_one_call(
    records: CapturedTrail, client: str, streamed: bool
) -> None:
    """A completion that asks the model's own chat is one call, and counted once."""
    llm = RECORDED[client]()
    list(llm.stream_complete(PROMPT)) if streamed else llm.complete(PROMPT)
    record = only(records)
    assert (record.input_tokens, record.output_tokens, record.output_chars) == (100, 50, 2)


@both_ways
@every_client
def test_20_requested_and_served_model(
    records: CapturedTrail, provider: LocalProvider, client: str, streamed: bool
) -> None:
    """The model that was asked for and the one that answered are both kept."""
    provider.script(Answer(model="served-1"))
    ask(provider, client, streamed=streamed)
    record = only(records)
    asked_for = provider.requests[0].model
    assert record.request_model is not None
    assert record.request_model.removeprefix("openai/") == asked_for
    # LlamaIndex drops the event of an Anthropic stream that names the model.
    lost = client == "anthropic" and streamed
    # LiteLLM puts the model that was asked for into its streams.
    served = asked_for if client == "litellm" and streamed else "served-1"
    assert record.response_model == (None if lost else served)


@pytest.mark.parametrize("client", ["openai", "openai-like", "responses", "anthropic"])
def test_21_response_and_request_id(
    records: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """The ids by which the provider's support finds a call are kept."""
    ask(provider, client, streamed=False)
    record, served = only(records), provider.requests[0]
    assert isinstance(served.answer, Answer)
    assert record.response_id == served.answer.response_id is not None
    # LlamaIndex copies Anthropic's answer without its request's id.
    expected = None if client == "anthropic" else served.request_id
    assert record.provider_request_id == expected


@pytest.mark.parametrize("client", ["openai", "openai-like", "responses"])
def test_21_response_id_of_a_stream(
    records: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """So is the id of a streamed response."""
    ask(provider, client, streamed=True)
    assert isinstance(answer := provider.requests[0].answer, Answer)
    assert only(records).response_id == answer.response_id is not None


@every_client
def test_22_first_piece_comes_before_the_end(
    records: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """A stream has a first piece, and lasts until the application has read its last one."""
    provider.script(Answer(text="abcdef", chunks=6))
    stream = CLIENTS[client](provider).stream_chat(asked(), **STREAM_OPTIONS[client])
    read = ""
    for piece in stream:
        read += piece.delta or ""
        # The application's own time is part of how long the stream lasts.
        assert records.records == []
    assert read == "abcdef"
    record = only(records)
    assert record.time_to_first_chunk_us is not None and record.latency_us is not None
    assert 0 < record.time_to_first_chunk_us <= record.latency_us


def test_22_stream_lasts_as_long_as_it_is_read(
    records: CapturedTrail, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that the application moves alone, its time counts up to its last piece."""
    seconds, deltas = 0, []
    monkeypatch.setattr("modeltrail.invocation.perf_counter_ns", lambda: seconds * 10**9)
    provider.script(Answer(text="abcdef", chunks=6))
    stream = make_llm(provider).stream_chat(asked())
    seconds += 1
    for piece in stream:
        deltas.append(piece.delta)
        seconds += 1
    first = 1 + next(place for place, delta in enumerate(deltas) if delta)
    record = only(records)
    assert record.time_to_first_chunk_us == first * 10**6
    assert record.latency_us == (1 + len(deltas)) * 10**6
    assert "".join(filter(None, deltas)) == "abcdef"


def test_22_whole_answer_has_no_first_piece(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """An answer in one piece has a duration alone."""
    make_llm(provider).chat(asked())
    assert only(records).time_to_first_chunk_us is None
    assert only(records).latency_us


def test_22_provider_is_known_by_class_or_endpoint(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """A client that is pointed elsewhere does not name its own company."""
    anthropic_model(provider).chat(asked())
    responses_model(provider).chat(asked())
    RECORDED["bedrock"]().chat(asked())
    assert [each.provider for each in records.records] == [None, None, "aws"]


@both_ways
def test_18_router_says_what_it_has_charged(
    records: CapturedTrail,
    provider: LocalProvider,
    monkeypatch: pytest.MonkeyPatch,
    streamed: bool,
) -> None:
    """OpenRouter does, in dollars beside the tokens; OpenAI's classes do not know the field."""
    told = provider_openai.usage_of
    charged = {"cost": 0.00014, "is_byok": False}
    monkeypatch.setattr(provider_openai, "usage_of", lambda answer: told(answer) | charged)
    ask(provider, "openai-like", streamed=streamed)
    assert only(records).cost_reported_nanousd == 140_000


@pytest.mark.parametrize(
    ("said", "tier"), [({"speed": "fast"}, "fast"), ({"inference_geo": "us"}, "us-only")]
)
def test_18_modes_of_anthropic(
    records: CapturedTrail,
    provider: LocalProvider,
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, str],
    tier: str,
) -> None:
    """It is a tier of its own, with a price of its own; of a stream LlamaIndex does not tell."""
    told = provider_anthropic.usage_of
    monkeypatch.setattr(provider_anthropic, "usage_of", lambda answer: told(answer) | said)
    ask(provider, "anthropic", streamed=False)
    assert only(records).service_tier == tier
