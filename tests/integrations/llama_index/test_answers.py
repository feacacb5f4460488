"""
What an answer of LlamaIndex may hold, and what a request says of its model.
"""

import json
from typing import Any

import httpx
import pytest
from drivers.llama_index import asked, make_llm
from llama_index.core.base.llms.types import ImageBlock, TextBlock, ToolCallBlock
from llama_index.core.llms import (
    ChatMessage,
    MockLLM,
)
from modeltrail_llama_index import instrument
from scenarios import ANSWERED, TEXT

from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from modeltrail.trail import Trail
from tests.integrations.llama_index.doings import only


def slow(chunks: int = 8) -> Answer:
    """
    Answer in pieces that take their time.
    """
    return Answer(text=TEXT, model=ANSWERED, chunks=chunks, chunk_delay=0.02)


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


def test_very_long_prompt(trail: Trail, provider: LocalProvider) -> None:
    """A prompt of 50 MB is recorded with its length and a digest."""
    prompt = "spider " * (50_000_000 // 7)
    with instrument(trail):
        MockLLM(max_tokens=1).complete(prompt)
    assert trail.flush(60)
    (call,) = trail.store.calls()
    assert call.record.input_chars == len(prompt)
    assert call.record.input_digest
