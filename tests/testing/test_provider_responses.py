"""OpenAI's responses of the local provider, through the real client and LangChain's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from langchain_openai import ChatOpenAI

from modeltrail.testing import Answer, Fault, LocalProvider, ToolCall

QUESTION = "What is the capital of France?"


@pytest.fixture
def client(provider: LocalProvider) -> Iterator[openai.OpenAI]:
    """Open a real client of that provider, which never retries."""
    with openai.OpenAI(base_url=provider.base_url, api_key="none", max_retries=0) as running:
        yield running


def ask(client: openai.OpenAI, **options: Any) -> Any:
    """Ask for a response."""
    return client.responses.create(model="m-1", input=QUESTION, **options)


def gather(client: openai.OpenAI) -> Any:
    """Stream a response and take the whole that its last event tells."""
    with client.responses.stream(model="m-1", input=QUESTION) as stream:
        *_, last = stream
    return last.response


# Responses


@pytest.mark.parametrize("get", [ask, gather])
def test_a_response_carries_every_field_of_the_answer(
    provider: LocalProvider, client: openai.OpenAI, get: Any
) -> None:
    """Text, model, tier and ids reach the client, whole and streamed, and the log knows the ids."""
    provider.script(Answer("Paris", model="m-1-2026", service_tier="flex", request_id="req_7"))
    reply = get(client)
    assert (reply.output_text, reply.status, reply.error) == ("Paris", "completed", None)
    assert (reply.model, reply.service_tier) == ("m-1-2026", "flex")
    served = provider.requests[0]
    assert (served.path, served.status, served.finished) == ("/v1/responses", 200, True)
    assert served.request_id == "req_7"
    assert reply.id == getattr(served.answer, "response_id", None)
    assert reply.id.startswith("resp_")


@pytest.mark.parametrize("get", [ask, gather])
def test_usage_has_its_details(provider: LocalProvider, client: openai.OpenAI, get: Any) -> None:
    """Cached, written and reasoning tokens are reported within their totals."""
    provider.script(
        Answer(
            input_tokens=100,
            cached_tokens=60,
            cache_write_5m_tokens=20,
            output_tokens=50,
            reasoning_tokens=40,
        )
    )
    usage = get(client).usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (100, 50, 150)
    assert usage.input_tokens_details.cached_tokens == 60
    assert usage.input_tokens_details.cache_write_tokens == 20
    assert usage.output_tokens_details.reasoning_tokens == 40


def test_usage_can_be_left_out(provider: LocalProvider, client: openai.OpenAI) -> None:
    """A provider that reports no usage, or no details, can be played."""
    provider.script(Answer(usage=False), Answer(cached_tokens=None, reasoning_tokens=None))
    assert ask(client).usage is None
    assert set(ask(client).usage.to_dict()) == {"input_tokens", "output_tokens", "total_tokens"}


@pytest.mark.parametrize("get", [ask, gather])
def test_reasoning_text_and_calls_are_items_in_order(
    provider: LocalProvider, client: openai.OpenAI, get: Any
) -> None:
    """Reasoning comes first, then the message, then function calls with ids of their own."""
    calls = (ToolCall("look", '{"q": "Paris"}'), ToolCall("stop"))
    provider.script(Answer("I look.", reasoning="Let me think.", tool_calls=calls))
    reply = get(client)
    reasoning, message, *functions = reply.output
    assert [part.text for part in reasoning.summary] == ["Let me think."]
    assert [part.text for part in message.content] == ["I look."]
    assert [(call.name, call.arguments) for call in functions] == list(calls)
    assert len({call.call_id for call in functions}) == 2
    assert len({item.id for item in reply.output}) == 4


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
@pytest.mark.parametrize("get", [ask, gather])
def test_a_cut_answer_is_an_incomplete_response(
    provider: LocalProvider, client: openai.OpenAI, get: Any, finish_reason: str, reason: str
) -> None:
    """The finish reasons of chat that cut an answer make the response incomplete."""
    provider.script(Answer("Par", finish_reason=finish_reason))
    reply = get(client)
    assert (reply.status, reply.incomplete_details.reason) == ("incomplete", reason)
    assert (reply.output[0].status, reply.output_text) == ("incomplete", "Par")
    assert reply.usage.total_tokens == 21


def test_a_refusal_is_a_part_of_the_message(provider: LocalProvider, client: openai.OpenAI) -> None:
    """A refusal has its own kind of part and its own events, beside text or alone."""
    provider.script(Answer("Well.", refusal="I cannot."), Answer(refusal="I cannot."))
    parts = ask(client).output[0].content
    assert [part.type for part in parts] == ["output_text", "refusal"]
    events = list(ask(client, stream=True))
    deltas = [event.delta for event in events if event.type == "response.refusal.delta"]
    assert "".join(deltas) == events[-1].response.output[0].content[0].refusal == "I cannot."


@pytest.mark.parametrize("get", [ask, gather])
def test_function_calls_may_come_alone(
    provider: LocalProvider, client: openai.OpenAI, get: Any
) -> None:
    """Without a text there is no message."""
    provider.script(Answer(tool_calls=(ToolCall("look"),)))
    assert [item.type for item in get(client).output] == ["function_call"]


# Streams


def test_a_stream_has_the_events_of_the_api(provider: LocalProvider, client: openai.OpenAI) -> None:
    """Each item is announced, filled and closed, and the events are numbered."""
    answer = Answer("abcd", chunks=2, reasoning="xy", tool_calls=(ToolCall("look", "{}"),))
    provider.script(answer)
    events = list(ask(client, stream=True))
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        *["reasoning_summary_text.delta"] * 2,
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        *["output_text.delta"] * 2,
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        *["function_call_arguments.delta"] * 2,
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert {event.output_index for event in events[2:-1]} == {0, 1, 2}
    assert events[0].response.status == "in_progress"


def test_the_client_s_own_gathering_agrees(provider: LocalProvider, client: openai.OpenAI) -> None:
    """The client's snapshots of text and arguments, built from the deltas, are the answer."""
    provider.script(Answer("Paris", tool_calls=(ToolCall("look", '{"q": 1}'),)))
    with client.responses.stream(model="m-1", input=QUESTION) as stream:
        snapshots = {
            e.type: e.snapshot for e in stream if e.type.endswith(("text.delta", "s.delta"))
        }
        assert stream.get_final_response().output_text == "Paris"
    assert list(snapshots.values()) == ["Paris", '{"q": 1}']


def test_a_truncated_stream_has_no_last_event(
    provider: LocalProvider, client: openai.OpenAI
) -> None:
    """A truncated stream ends properly as HTTP, after as many pieces as told."""
    provider.script(Answer("abcdef", truncate_after=2))
    events = list(ask(client, stream=True))
    assert [event.delta for event in events if event.type.endswith("delta")] == ["ab", "cd"]
    assert events[-1].type == "response.output_text.delta"
    assert provider.requests[0].finished


def test_faults_are_those_of_chat(provider: LocalProvider, client: openai.OpenAI) -> None:
    """An HTTP error has the same body as that of chat, streamed or not."""
    provider.script(Fault(429), Fault(401))
    with pytest.raises(openai.RateLimitError) as limited:
        ask(client, stream=True)
    assert limited.value.code == "rate_limit_exceeded"
    with pytest.raises(openai.AuthenticationError):
        ask(client)


# LangChain


@pytest.mark.parametrize("stream", [False, True])
def test_langchain_reads_responses(provider: LocalProvider, *, stream: bool) -> None:
    """LangChain finds text, reasoning, tool calls, status and usage in both ways."""
    provider.script(
        Answer(
            "Paris", reasoning="Hm.", tool_calls=(ToolCall("look", '{"q": 1}'),), cached_tokens=4
        )
    )
    model: Any = ChatOpenAI(
        model="m-1",
        base_url=provider.base_url,
        api_key="none",
        use_responses_api=True,
        max_retries=0,
    )
    reply: Any
    if stream:
        first, *others = model.stream(QUESTION)
        reply = sum(others, start=first)
    else:
        reply = model.invoke(QUESTION)
    assert reply.text == "Paris"
    assert [b["reasoning"] for b in reply.content_blocks if b["type"] == "reasoning"] == ["Hm."]
    assert [(call["name"], call["args"]) for call in reply.tool_calls] == [("look", {"q": 1})]
    assert reply.response_metadata["status"] == "completed"
    assert reply.usage_metadata["input_tokens"] == 14
    assert reply.usage_metadata["input_token_details"]["cache_read"] == 4
