"""Anthropic's protocol of the local provider, through its real client and LangChain's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from langchain_anthropic import ChatAnthropic

from modeltrail.testing import Answer, Fault, LocalProvider, ToolCall

MESSAGES = "/v1/messages"
QUESTION: Any = [{"role": "user", "content": "What is the capital of France?"}]
CACHED: dict[str, Any] = {
    "input_tokens": 100,
    "cached_tokens": 60,
    "cache_write_5m_tokens": 20,
    "cache_write_1h_tokens": 5,
    "output_tokens": 30,
    "reasoning_tokens": 10,
}


@pytest.fixture
def client(provider: LocalProvider) -> Iterator[anthropic.Anthropic]:
    """Open a real client of that provider, which never retries."""
    with anthropic.Anthropic(
        base_url=provider.anthropic_url, api_key="sk-ant-none", max_retries=0
    ) as running:
        yield running


def ask(client: anthropic.Anthropic, **options: Any) -> Any:
    """Ask for a message."""
    return client.messages.create(model="claude-m", max_tokens=99, messages=QUESTION, **options)


def gather(client: anthropic.Anthropic) -> Any:
    """Stream a message and have the client put it together."""
    with client.messages.stream(model="claude-m", max_tokens=99, messages=QUESTION) as stream:
        return stream.get_final_message()


def chat_model(provider: LocalProvider) -> ChatAnthropic:
    """Point LangChain at the provider."""
    return ChatAnthropic(
        model="claude-m", base_url=provider.anthropic_url, api_key="sk-ant-none", max_retries=0
    )


# Messages


@pytest.mark.parametrize("get", [ask, gather])
def test_a_message_carries_every_field_of_the_answer(
    provider: LocalProvider, client: anthropic.Anthropic, get: Any
) -> None:
    """Text, model and ids reach the client, whole and streamed, and the log knows the ids."""
    provider.script(Answer("Paris", model="claude-m-2026", request_id="req_7"))
    reply = get(client)
    assert [(block.type, block.text) for block in reply.content] == [("text", "Paris")]
    assert (reply.model, reply.stop_reason) == ("claude-m-2026", "end_turn")
    served = provider.requests[0]
    assert (served.path, served.status, served.finished) == (MESSAGES, 200, True)
    assert served.request_id == "req_7"
    assert reply.id == getattr(served.answer, "response_id", None)
    assert reply.id.startswith("msg_")


def test_the_request_id_is_in_anthropic_s_own_header(
    provider: LocalProvider, client: anthropic.Anthropic
) -> None:
    """The client finds the request id where the API puts it."""
    assert ask(client)._request_id == provider.requests[0].request_id


@pytest.mark.parametrize("get", [ask, gather])
def test_thinking_text_and_tools_are_blocks_in_order(
    provider: LocalProvider, client: anthropic.Anthropic, get: Any
) -> None:
    """Thinking comes first and signed, then text, then tool calls with parsed input."""
    calls = (ToolCall("look", '{"q": "Paris"}'), ToolCall("stop"))
    provider.script(Answer("I look.", reasoning="Let me think.", tool_calls=calls))
    reply = get(client)
    thinking, text, *tools = reply.content
    assert (thinking.type, thinking.thinking) == ("thinking", "Let me think.")
    assert thinking.signature
    assert text.text == "I look."
    assert [(tool.name, tool.input) for tool in tools] == [("look", {"q": "Paris"}), ("stop", {})]
    assert len({tool.id for tool in tools}) == 2
    assert reply.stop_reason == "tool_use"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(finish_reason="length"), "max_tokens"),
        (Answer(finish_reason="pause_turn"), "pause_turn"),
        (Answer(refusal="I cannot."), "refusal"),
        (Answer(refusal="I cannot.", finish_reason="stop"), "end_turn"),
    ],
)
@pytest.mark.parametrize("get", [ask, gather])
def test_stop_reasons_are_anthropic_s_words(
    provider: LocalProvider, client: anthropic.Anthropic, get: Any, answer: Answer, reason: str
) -> None:
    """OpenAI's words are translated, others sent as they are; a refusal is text with its reason."""
    provider.script(answer)
    reply = get(client)
    assert reply.stop_reason == reason
    assert reply.content[0].text == (answer.refusal or answer.content)


def test_malformed_arguments_stay_as_they_are(
    provider: LocalProvider, client: anthropic.Anthropic
) -> None:
    """Arguments that are no JSON are sent as text, whole and in pieces."""
    answer = Answer(tool_calls=(ToolCall("look", '{"q": '),))
    provider.script(answer, answer)
    assert ask(client).content[0].input == '{"q": '
    deltas = [e.delta for e in ask(client, stream=True) if e.type == "content_block_delta"]
    assert "".join(delta.partial_json for delta in deltas) == '{"q": '


# Usage


@pytest.mark.parametrize("get", [ask, gather])
def test_input_tokens_exclude_the_cache(
    provider: LocalProvider, client: anthropic.Anthropic, get: Any
) -> None:
    """Tokens read from and written to a cache are told beside the input, by lifetime."""
    provider.script(Answer(**CACHED, service_tier="priority"))
    usage = get(client).usage
    assert (usage.input_tokens, usage.output_tokens) == (15, 30)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (60, 25)
    assert usage.cache_creation.ephemeral_5m_input_tokens == 20
    assert usage.cache_creation.ephemeral_1h_input_tokens == 5
    assert usage.output_tokens_details.thinking_tokens == 10
    assert usage.service_tier == "priority"


def test_what_is_not_reported_is_left_out(
    provider: LocalProvider, client: anthropic.Anthropic
) -> None:
    """A gateway that knows of no cache, or of no usage, can be played."""
    provider.script(Answer(cached_tokens=None, reasoning_tokens=None), *[Answer(usage=False)] * 2)
    assert ask(client).usage.to_dict() == {"input_tokens": 14, "output_tokens": 7}
    assert "usage" not in ask(client).to_dict()
    events = [event.to_dict() for event in ask(client, stream=True)]
    assert "usage" not in events[0]["message"]
    assert "usage" not in events[-2]


@pytest.mark.parametrize(
    ("place", "at_start", "at_end"),
    [("both", 15, 15), ("start", 15, None), ("end", 0, 15), ("nowhere", 0, None)],
)
def test_a_stream_reports_the_input_where_it_is_told_to(
    provider: LocalProvider,
    client: anthropic.Anthropic,
    place: Any,
    at_start: int,
    at_end: int | None,
) -> None:
    """The API's present and former ways and those of gateways can be played."""
    provider.script(Answer(**CACHED, stream_input_usage=place))
    events = list(ask(client, stream=True))
    first, last = events[0].message.usage, events[-2].usage
    assert (first.input_tokens, last.input_tokens) == (at_start, at_end)
    assert (first.cache_read_input_tokens == 60) is (at_start > 0)
    assert (last.cache_read_input_tokens == 60) is (at_end is not None)
    assert last.output_tokens == 30


# Streams


def test_a_stream_has_the_events_of_the_api(
    provider: LocalProvider, client: anthropic.Anthropic
) -> None:
    """Each event is named as its type, the client's ping included."""
    provider.script(Answer("abcd", chunks=2, reasoning="why", chunk_delay=0.01))
    with client.messages.with_streaming_response.create(
        model="claude-m", max_tokens=99, messages=QUESTION, stream=True
    ) as response:
        lines = list(response.iter_lines())
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    thinking = ["content_block_start", *["content_block_delta"] * 3, "content_block_stop"]
    text = ["content_block_start", *["content_block_delta"] * 2, "content_block_stop"]
    ends = ["message_delta", "message_stop"]
    assert names == ["message_start", "ping", *thinking, *text, *ends]


def test_a_truncated_stream_has_no_stop_reason(
    provider: LocalProvider, client: anthropic.Anthropic
) -> None:
    """A truncated stream ends properly as HTTP, after as many pieces as told."""
    provider.script(Answer("abcdef", truncate_after=2, tool_calls=(ToolCall("look"),)))
    events = list(ask(client, stream=True))
    deltas = [event for event in events if event.type == "content_block_delta"]
    assert "".join(event.delta.text for event in deltas) == "abcd"
    assert events[-1] is deltas[-1]
    assert provider.requests[0].finished


# Faults


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.APIStatusError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.APIStatusError, "overloaded_error"),
    ],
)
def test_faults_raise_the_client_s_own_errors(
    provider: LocalProvider,
    client: anthropic.Anthropic,
    status: int,
    error: type[anthropic.APIStatusError],
    kind: str,
) -> None:
    """Each status has its usual type, and the request id stands in header and body."""
    provider.script(Fault(status))
    with pytest.raises(error, match="told to fail") as caught:
        ask(client)
    request_id = provider.requests[0].request_id
    assert caught.value.status_code == status
    assert (caught.value.request_id, caught.value.type) == (request_id, kind)
    body: Any = caught.value.body
    assert body == {
        "type": "error",
        "error": {"type": kind, "message": "The local provider was told to fail."},
        "request_id": request_id,
    }


def test_a_fault_may_name_its_type_and_code(
    provider: LocalProvider, client: anthropic.Anthropic
) -> None:
    """Type and code are sent where the client looks for them."""
    provider.script(Fault(400, type="billing_error", code="credit_balance_too_low"))
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(client)
    body: Any = caught.value.body
    assert caught.value.type == "billing_error"
    # Newer clients have it as an attribute.
    assert body["error"]["details"] == {"error_code": "credit_balance_too_low"}


def test_a_request_without_a_model_is_refused(
    provider: LocalProvider, client: anthropic.Anthropic
) -> None:
    """What the provider itself refuses has the protocol's shape, too."""
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model="", max_tokens=9, messages=QUESTION)
    assert caught.value.type == "invalid_request_error"


# LangChain


@pytest.mark.parametrize("stream", [False, True])
def test_langchain_reads_messages(provider: LocalProvider, *, stream: bool) -> None:
    """LangChain finds text, tool calls, stop reason and all of the input in both ways."""
    calls = (ToolCall("look", '{"q": 1}'),)
    provider.script(Answer("Paris", reasoning="Hm.", tool_calls=calls, **CACHED))
    model = chat_model(provider)
    reply: Any
    if stream:
        first, *others = model.stream("Where?")
        reply = sum(others, start=first)
    else:
        reply = model.invoke("Where?")
    assert reply.text == "Paris"
    assert [(call["name"], call["args"]) for call in reply.tool_calls] == [("look", {"q": 1})]
    assert [b["reasoning"] for b in reply.content_blocks if b["type"] == "reasoning"] == ["Hm."]
    assert reply.response_metadata["stop_reason"] == "tool_use"
    assert (reply.usage_metadata["input_tokens"], reply.usage_metadata["output_tokens"]) == (
        100,
        30,
    )
    assert reply.usage_metadata["input_token_details"]["cache_read"] == 60
