"""Errors within a stream of the local provider, as the real clients of all protocols see them."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

from modeltrail.testing import Answer, Fault, LocalProvider

QUESTION: Any = [{"role": "user", "content": "What is the capital of France?"}]
HALF = Answer("abcdef", chunks=3)


@pytest.fixture
def openai_client(provider: LocalProvider) -> Iterator[openai.OpenAI]:
    """Open a real client of OpenAI's protocol, which never retries."""
    with openai.OpenAI(base_url=provider.base_url, api_key="none", max_retries=0) as running:
        yield running


@pytest.fixture
def anthropic_client(provider: LocalProvider) -> Iterator[anthropic.Anthropic]:
    """Open a real client of Anthropic's protocol, which never retries."""
    with anthropic.Anthropic(
        base_url=provider.anthropic_url, api_key="none", max_retries=0
    ) as running:
        yield running


def read_chat(client: openai.OpenAI) -> Iterator[str]:
    """Stream the pieces of a chat completion."""
    for chunk in client.chat.completions.create(model="m-1", messages=QUESTION, stream=True):
        yield chunk.choices[0].delta.content or ""


def read_completion(client: openai.OpenAI) -> Iterator[str]:
    """Stream the pieces of a text completion."""
    for chunk in client.completions.create(model="m-1", prompt="x", stream=True):
        yield chunk.choices[0].text


def ask_messages(client: anthropic.Anthropic) -> Any:
    """Begin to stream a message."""
    return client.messages.create(model="m-1", max_tokens=9, messages=QUESTION, stream=True)


def stream_responses(client: openai.OpenAI) -> list[Any]:
    """Stream the events of a response."""
    return list(client.responses.create(model="m-1", input="x", stream=True))


def assert_served(provider: LocalProvider, fault: Fault) -> None:
    """Look up that the log has the stream as it was: begun well, ended properly, failed."""
    assert provider.wait_idle()
    served = provider.requests[0]
    assert (served.status, served.finished, served.answer) == (200, True, fault)
    assert served.request_id


@pytest.mark.parametrize("read", [read_chat, read_completion])
def test_openai_s_client_raises_what_a_chunk_says(
    provider: LocalProvider, openai_client: openai.OpenAI, read: Any
) -> None:
    """After its pieces the stream carries an error body, which the client raises."""
    fault = Fault(429, message="Too much.", error_after=2, answer=HALF)
    provider.script(fault)
    seen: list[str] = []
    with pytest.raises(openai.APIError, match=r"Too much\.") as caught:
        seen.extend(read(openai_client))
    assert "".join(seen) == "abcd"
    assert caught.value.code == "rate_limit_exceeded"
    assert_served(provider, fault)


def test_anthropic_s_client_raises_what_an_event_says(
    provider: LocalProvider, anthropic_client: anthropic.Anthropic
) -> None:
    """After its pieces the stream carries an event `error`, which the client raises."""
    fault = Fault(529, error_after=2, answer=HALF)
    provider.script(fault)
    seen: list[str] = []
    with pytest.raises(anthropic.APIStatusError) as caught:
        seen.extend(
            event.delta.text
            for event in ask_messages(anthropic_client)
            if event.type == "content_block_delta"
        )
    assert seen == ["ab", "cd"]
    body: Any = caught.value.body
    assert body["error"]["type"] == "overloaded_error"
    assert body["request_id"] == caught.value.request_id == provider.requests[0].request_id
    assert_served(provider, fault)


def test_a_response_fails_within_its_stream(
    provider: LocalProvider, openai_client: openai.OpenAI
) -> None:
    """A server's fault ends the stream with the response as it failed."""
    fault = Fault(500, message="It broke.", error_after=2, answer=HALF)
    provider.script(fault)
    *events, last = stream_responses(openai_client)
    assert [event.delta for event in events if event.type.endswith("delta")] == ["ab", "cd"]
    assert (last.type, last.response.status) == ("response.failed", "failed")
    assert (last.response.error.code, last.response.error.message) == ("server_error", "It broke.")
    assert last.response.id == events[0].response.id
    assert last.sequence_number == len(events)
    assert_served(provider, fault)


def test_a_response_is_refused_within_its_stream(
    provider: LocalProvider, openai_client: openai.OpenAI
) -> None:
    """Another fault ends the stream with an event `error`, before any piece if told so."""
    fault = Fault(429, message="Too much.", error_after=0, answer=HALF)
    provider.script(fault)
    *events, last = stream_responses(openai_client)
    assert not [event for event in events if event.type.endswith("delta")]
    assert (last.type, last.code, last.message) == ("error", "rate_limit_exceeded", "Too much.")
    assert_served(provider, fault)


def test_the_pieces_before_an_error_keep_their_pace(
    provider: LocalProvider, openai_client: openai.OpenAI
) -> None:
    """The delays of the answer apply until the error."""
    answer = Answer("abcdef", delay=0.05, chunk_delay=0.05)
    provider.script(Fault(error_after=3, answer=answer))
    begun = time.monotonic()
    with pytest.raises(openai.APIError):
        list(read_chat(openai_client))
    assert time.monotonic() - begun >= 0.15


def test_a_request_without_a_stream_gets_an_http_error(
    provider: LocalProvider, openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic
) -> None:
    """Where nothing streams the fault is an ordinary one."""
    provider.script(*[Fault(429, error_after=2)] * 3)
    with pytest.raises(openai.RateLimitError):
        openai_client.chat.completions.create(model="m-1", messages=QUESTION)
    with pytest.raises(openai.RateLimitError):
        openai_client.embeddings.create(model="e-1", input="x")
    with pytest.raises(anthropic.RateLimitError):
        anthropic_client.messages.create(model="m-1", max_tokens=9, messages=QUESTION)
    assert provider.count(status=429) == 3


def test_the_connection_is_kept_after_an_error_in_a_stream(provider: LocalProvider) -> None:
    """The stream ends properly as HTTP, without the mark of a good end."""
    provider.script(Fault(error_after=1), Answer("next"))
    connection = http.client.HTTPConnection("127.0.0.1", provider.port)
    body = json.dumps({"model": "m-1", "messages": QUESTION, "stream": True})
    texts = []
    for _ in range(2):
        connection.request("POST", "/v1/chat/completions", body)
        texts.append(connection.getresponse().read().decode())
    connection.close()
    failed, good = texts
    assert "server_error" in failed
    assert "[DONE]" not in failed
    assert good.endswith("data: [DONE]\n\n")


def langchain_models(provider: LocalProvider) -> list[tuple[Any, str]]:
    """Point LangChain's models at the provider, each with the path that it asks."""
    common: dict[str, Any] = {"model": "m-1", "api_key": "none", "max_retries": 0}
    url = provider.base_url
    return [
        (ChatOpenAI(base_url=url, **common), "/v1/chat/completions"),
        (ChatOpenAI(base_url=url, use_responses_api=True, **common), "/v1/responses"),
        (ChatAnthropic(base_url=provider.anthropic_url, **common), "/v1/messages"),
    ]


def test_langchain_raises_after_the_pieces(provider: LocalProvider) -> None:
    """LangChain passes the pieces on and then raises, whatever the protocol."""
    for model, path in langchain_models(provider):
        provider.script(Fault(500, error_after=2, answer=HALF))
        seen: list[str] = []
        with pytest.raises(Exception, match="told to fail"):
            seen.extend(chunk.text for chunk in model.stream("Where?"))
        assert "".join(seen) == "abcd"
        assert provider.count(path, 200) == 1
