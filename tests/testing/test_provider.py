"""The local provider, seen through the real OpenAI client and through bare HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from modeltrail.testing.provider import (
    Answer,
    Fault,
    LocalProvider,
    ProviderRequest,
    ToolCall,
)

CHAT = "/v1/chat/completions"
QUESTION: Any = [{"role": "user", "content": "What is the capital of France?"}]
KEY = "sk-never-to-be-logged"


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    """Run a provider without a script."""
    with LocalProvider() as running:
        yield running


@pytest.fixture
def client(provider: LocalProvider) -> Iterator[openai.OpenAI]:
    """Open a real client of that provider, which never retries."""
    with openai.OpenAI(base_url=provider.base_url, api_key=KEY, max_retries=0) as running:
        yield running


def ask(client: openai.OpenAI, **options: Any) -> Any:
    """Ask for a chat completion."""
    return client.chat.completions.create(model="m-1", messages=QUESTION, **options)


def post(connection: http.client.HTTPConnection, path: str, body: bytes) -> tuple[int, Any]:
    """Post bytes without a client library."""
    connection.request("POST", path, body, {"authorization": f"Bearer {KEY}"})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def read(stream: Any) -> str:
    """Join the text of a stream."""
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


# Whole answers


def test_chat_carries_every_field_of_the_answer(
    provider: LocalProvider, client: openai.OpenAI
) -> None:
    """A scripted answer reaches the client field by field."""
    provider.script(
        Answer("Paris", model="m-1-2026", system_fingerprint="fp_1", service_tier="flex")
    )
    reply = ask(client)
    assert reply.choices[0].message.content == "Paris"
    assert reply.choices[0].finish_reason == "stop"
    assert (reply.model, reply.system_fingerprint) == ("m-1-2026", "fp_1")
    assert reply.service_tier == "flex"


def test_chat_reports_usage_with_its_details(
    provider: LocalProvider, client: openai.OpenAI
) -> None:
    """Cached and reasoning tokens are reported within their totals."""
    provider.script(
        Answer(input_tokens=100, cached_tokens=60, output_tokens=50, reasoning_tokens=40)
    )
    usage = ask(client).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (100, 50, 150)
    assert usage.prompt_tokens_details.cached_tokens == 60
    assert usage.completion_tokens_details.reasoning_tokens == 40


def test_chat_reports_cache_writes_if_told(provider: LocalProvider, client: openai.OpenAI) -> None:
    """OpenAI knows one figure for cache writes, whatever the cache's lifetime."""
    provider.script(Answer(cache_write_5m_tokens=3, cache_write_1h_tokens=4), Answer())
    assert ask(client).usage.prompt_tokens_details.cache_write_tokens == 7
    assert ask(client).usage.prompt_tokens_details.cache_write_tokens is None


def test_usage_can_be_left_out(provider: LocalProvider, client: openai.OpenAI) -> None:
    """A provider that reports no usage, or no details, can be played."""
    provider.script(Answer(usage=False), Answer(cached_tokens=None, reasoning_tokens=None))
    assert ask(client).usage is None
    usage = ask(client).usage
    assert usage.total_tokens == 21
    assert usage.prompt_tokens_details is None
    assert usage.completion_tokens_details is None


def test_the_log_knows_the_ids_that_were_sent(
    provider: LocalProvider, client: openai.OpenAI
) -> None:
    """Generated ids are unique and found in the log; given ones are sent as they are."""
    provider.script(Answer(), Answer(), Answer(response_id="chatcmpl-7", request_id="req_7"))
    replies = [ask(client) for _ in range(3)]
    sent = [
        (getattr(served.answer, "response_id", None), served.request_id)
        for served in provider.requests
    ]
    assert [(reply.id, reply._request_id) for reply in replies] == sent
    assert len(set(sent)) == 3
    assert sent[2] == ("chatcmpl-7", "req_7")


def test_n_choices_share_one_usage(client: openai.OpenAI) -> None:
    """Several choices are numbered and usage is reported once."""
    reply = ask(client, n=3)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert reply.usage.completion_tokens == 7


def test_tool_calls_come_whole(provider: LocalProvider, client: openai.OpenAI) -> None:
    """Tool calls carry name, JSON arguments and distinct ids, and no text."""
    provider.script(Answer(tool_calls=(ToolCall("look", '{"q": 1}'), ("stop", "{}"))))
    choice = ask(client).choices[0]
    calls = choice.message.tool_calls
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("look", '{"q": 1}'),
        ("stop", "{}"),
    ]
    assert len({call.id for call in calls}) == 2
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)


def test_refusal_has_its_own_field(provider: LocalProvider, client: openai.OpenAI) -> None:
    """A refusal comes beside empty content, whole and streamed."""
    provider.script(Answer(refusal="I cannot."), Answer(refusal="I cannot."))
    message = ask(client).choices[0].message
    assert (message.refusal, message.content) == ("I cannot.", None)
    deltas = [chunk.choices[0].delta for chunk in ask(client, stream=True)]
    assert "".join(delta.refusal or "" for delta in deltas) == "I cannot."


def test_text_completion_whole_and_streamed(provider: LocalProvider, client: openai.OpenAI) -> None:
    """Text completions answer every prompt, whole and streamed."""
    provider.script(Answer("abc"), Answer("abcdef", finish_reason="length"))
    reply = client.completions.create(model="m-1", prompt=["x", "y"])
    assert [(choice.index, choice.text) for choice in reply.choices] == [(0, "abc"), (1, "abc")]
    stream = client.completions.create(model="m-1", prompt="x", stream=True)
    pieces = [(chunk.choices[0].text, chunk.choices[0].finish_reason) for chunk in stream]
    assert pieces == [("ab", None), ("cd", None), ("ef", None), ("", "length")]


def test_embeddings_agree_in_both_encodings(provider: LocalProvider, client: openai.OpenAI) -> None:
    """The client's base64 default and plain floats give the same vectors."""
    provider.script(Answer(embedding_dimension=5), Answer(embedding_dimension=5))
    packed = client.embeddings.create(model="e-1", input=["a", "b"])
    plain = client.embeddings.create(model="e-1", input=["a", "b"], encoding_format="float")
    assert provider.requests[0].body["encoding_format"] == "base64"
    assert [len(item.embedding) for item in packed.data] == [5, 5]
    assert [item.embedding for item in packed.data] == [item.embedding for item in plain.data]
    assert packed.data[0].embedding != packed.data[1].embedding
    assert packed.usage.prompt_tokens == 14


def test_embeddings_heed_the_dimension_asked_for(client: openai.OpenAI) -> None:
    """The request's own dimension wins, and a list of tokens is one input."""
    reply = client.embeddings.create(model="e-1", input=[1, 2, 3], dimensions=3)
    assert [len(item.embedding) for item in reply.data] == [3]


def test_models_are_listed_without_using_up_a_step(
    provider: LocalProvider, client: openai.OpenAI
) -> None:
    """Listing models is served and logged but takes nothing from the script."""
    provider.script(Answer("still here"))
    assert "gpt-4o-mini" in {model.id for model in client.models.list()}
    assert ask(client).choices[0].message.content == "still here"
    assert [served.path for served in provider.requests] == ["/v1/models", CHAT]


# Streams


def test_stream_is_cut_into_the_chunks_asked_for(
    provider: LocalProvider, client: openai.OpenAI
) -> None:
    """A stream gives the role, the pieces and the finish reason, and no usage unasked."""
    provider.script(Answer("abcdefgh", chunks=4))
    chunks = list(ask(client, stream=True))
    texts = [chunk.choices[0].delta.content for chunk in chunks]
    assert texts == ["", "ab", "cd", "ef", "gh", None]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert {chunk.usage for chunk in chunks} == {None}


def test_stream_reports_usage_if_asked(provider: LocalProvider, client: openai.OpenAI) -> None:
    """Usage comes in a last chunk without choices, unless the provider has none."""
    provider.script(Answer(cached_tokens=4), Answer(usage=False))
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *others, last = ask(client, **options)
    assert last.choices == []
    assert last.usage.prompt_tokens_details.cached_tokens == 4
    assert {chunk.usage for chunk in others} == {None}
    assert all(chunk.usage is None for chunk in ask(client, **options))


def test_stream_numbers_n_choices(client: openai.OpenAI) -> None:
    """Each choice of a stream is opened, filled and closed under its own index."""
    chunks = list(ask(client, stream=True, n=2))
    closed = [c.choices[0].index for c in chunks if c.choices[0].finish_reason]
    assert closed == [0, 1]
    assert len(chunks) == 2 * (1 + 3 + 1)
    texts = [read(c for c in chunks if c.choices[0].index == index) for index in (0, 1)]
    assert texts == ["The capital of France is Paris."] * 2


def test_stream_of_n_choices_reports_one_usage(
    provider: LocalProvider, client: openai.OpenAI
) -> None:
    """The tool calls of each choice come under its index, and usage once, at the end."""
    provider.script(Answer(tool_calls=(ToolCall("a", '{"x": 1}'),), chunk_delay=0.01))
    *chunks, last = ask(client, stream=True, n=2, stream_options={"include_usage": True})
    arguments = {0: "", 1: ""}
    for choice in (chunk.choices[0] for chunk in chunks):
        for call in choice.delta.tool_calls or ():
            arguments[choice.index] += call.function.arguments
    assert arguments == {0: '{"x": 1}', 1: '{"x": 1}'}
    assert (last.choices, last.usage.completion_tokens) == ([], 7)
    assert {chunk.usage for chunk in chunks} == {None}


def test_tool_calls_are_streamed_as_deltas(provider: LocalProvider, client: openai.OpenAI) -> None:
    """Name and id come once, then pieces of arguments joined by index."""
    provider.script(Answer(tool_calls=(ToolCall("a", '{"x": 1}'), ToolCall("b", '{"y": 2}'))))
    deltas = [chunk.choices[0].delta for chunk in ask(client, stream=True)]
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert [call.function.name for call in calls if call.id] == ["a", "b"]
    joined = ["".join(c.function.arguments for c in calls if c.index == i) for i in (0, 1)]
    assert [json.loads(text) for text in joined] == [{"x": 1}, {"y": 2}]


def test_truncated_stream_ends_without_a_finish_reason(
    provider: LocalProvider, client: openai.OpenAI
) -> None:
    """A truncated stream ends properly as HTTP, but says neither why nor how much."""
    provider.script(Answer("abcdef", chunks=3, truncate_after=2))
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert read(chunks) == "abcd"
    assert all(chunk.choices[0].finish_reason is None for chunk in chunks)
    assert provider.requests[0].finished


def test_stream_truncated_before_its_first_piece(provider: LocalProvider) -> None:
    """Nothing but the end of the stream may come."""
    provider.script(Answer(truncate_after=0))
    connection = http.client.HTTPConnection("127.0.0.1", provider.port)
    connection.request("POST", "/v1/completions", b'{"model": "m-1", "stream": true}')
    assert connection.getresponse().read() == b""
    connection.close()


def test_an_empty_text_streams_no_piece(provider: LocalProvider, client: openai.OpenAI) -> None:
    """An empty answer is a role and a finish reason."""
    provider.script(Answer(""))
    chunks = list(ask(client, stream=True))
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, "stop"]


# Faults


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (Fault(400), openai.BadRequestError, None),
        (Fault(401), openai.AuthenticationError, "invalid_api_key"),
        (Fault(404), openai.NotFoundError, "model_not_found"),
        (Fault(429), openai.RateLimitError, "rate_limit_exceeded"),
        (Fault(429, code="insufficient_quota"), openai.RateLimitError, "insufficient_quota"),
        (Fault(500), openai.InternalServerError, None),
        (Fault(529, type="overloaded"), openai.InternalServerError, None),
    ],
)
def test_faults_raise_the_client_s_own_errors(
    provider: LocalProvider,
    client: openai.OpenAI,
    fault: Fault,
    error: type[openai.APIStatusError],
    code: str | None,
) -> None:
    """Each status is the error that the real API would cause, with its usual code."""
    provider.script(fault)
    with pytest.raises(error, match="told to fail") as caught:
        ask(client)
    served = provider.requests[0]
    assert (caught.value.code, caught.value.request_id) == (code, served.request_id)
    assert (served.status, served.finished, served.answer) == (fault.status, True, fault)


def test_fault_headers_reach_the_client(provider: LocalProvider, client: openai.OpenAI) -> None:
    """Headers such as retry-after are sent, also when a stream was asked for."""
    provider.script(Fault(429, headers={"retry-after": "2", "X-Request-Id": "req_own"}))
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client, stream=True)
    assert caught.value.response.headers["retry-after"] == "2"
    assert caught.value.request_id == provider.requests[0].request_id == "req_own"


def test_hanging_request_times_out(provider: LocalProvider, client: openai.OpenAI) -> None:
    """A hanging provider drives the client into its time-out and notices that it left."""
    provider.script(Fault(hang=60))
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=0.2))
    assert provider.wait_idle(5)
    assert (provider.requests[0].status, provider.requests[0].finished) == (None, False)


def test_hanging_ends_in_a_closed_connection(
    provider: LocalProvider, client: openai.OpenAI
) -> None:
    """After its seconds a hanging request is closed without an answer."""
    provider.script(Fault(hang=0.05))
    with pytest.raises(openai.APIConnectionError) as caught:
        ask(client)
    assert not isinstance(caught.value, openai.APITimeoutError)


def test_connection_dropped_within_a_stream(provider: LocalProvider, client: openai.OpenAI) -> None:
    """The client gets the pieces before the reset, then an error."""
    provider.script(Fault(drop_after=2, answer=Answer("abcdef", chunks=3, chunk_delay=0.05)))
    stream = ask(client, stream=True)
    seen: list[str] = []
    with pytest.raises(Exception, match="reset by peer"):
        seen.extend(chunk.choices[0].delta.content for chunk in stream)
    assert seen == ["", "ab", "cd"]
    assert provider.wait_idle(5)
    assert (provider.requests[0].status, provider.requests[0].finished) == (200, False)


def test_connection_dropped_before_a_whole_answer(
    provider: LocalProvider, client: openai.OpenAI
) -> None:
    """Without a stream the connection is reset before the first byte."""
    provider.script(Fault(drop_after=1))
    with pytest.raises(openai.APIConnectionError):
        ask(client)
    assert provider.wait_idle(5)
    assert provider.requests[0].status is None


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"model": 7}'])
def test_bad_requests_are_refused_and_logged(provider: LocalProvider, body: bytes) -> None:
    """A body that the real API would refuse is refused, not answered."""
    connection = http.client.HTTPConnection("127.0.0.1", provider.port)
    status, reply = post(connection, CHAT, body)
    connection.close()
    assert (status, reply["error"]["type"]) == (400, "invalid_request_error")
    assert provider.count(CHAT, 400) == 1


def test_a_body_in_chunks_is_read(provider: LocalProvider) -> None:
    """A client may send its body in chunks, and the connection is kept."""
    connection = http.client.HTTPConnection("127.0.0.1", provider.port)
    for _ in range(2):
        connection.request("POST", CHAT, iter([b'{"model":', b' "m-1"}']))
        response = connection.getresponse()
        assert (response.status, response.getheader("connection")) == (200, None)
        response.read()
    connection.close()
    assert [served.model for served in provider.requests] == ["m-1", "m-1"]


@pytest.mark.parametrize("length", ["long", "-1"])
def test_a_body_of_unknown_length_is_refused(provider: LocalProvider, length: str) -> None:
    """A request that does not say how long it is is refused and the connection closed."""
    connection = http.client.HTTPConnection("127.0.0.1", provider.port)
    connection.request("POST", CHAT, headers={"content-length": length})
    response = connection.getresponse()
    assert (response.status, response.getheader("connection")) == (400, "close")
    response.read()
    connection.close()


def test_unknown_paths_are_not_found(provider: LocalProvider) -> None:
    """Another path gives an error of the API's shape and uses up no step."""
    provider.script(Answer("kept"))
    connection = http.client.HTTPConnection("127.0.0.1", provider.port)
    status, reply = post(connection, "/v1/nothing?x=1", b"{}")
    assert (status, reply["error"]["code"]) == (404, "unknown_url")
    assert "kept" in str(post(connection, CHAT, b'{"model": "m-1"}'))
    connection.close()
    assert (provider.count(), provider.count(status=404)) == (2, 1)


# Who decides


def test_script_comes_first_and_in_order() -> None:
    """Scripted steps are used first in, first out; then the callable is asked."""
    with LocalProvider(lambda request: Answer(f"call {request.number}")) as provider:
        provider.script(Answer("one"), Fault(500))
        provider.script(Answer("three"))
        client = openai.OpenAI(base_url=provider.base_url, api_key=KEY, max_retries=0)
        assert ask(client).choices[0].message.content == "one"
        with pytest.raises(openai.InternalServerError):
            ask(client)
        assert ask(client).choices[0].message.content == "three"
        assert ask(client).choices[0].message.content == "call 4"
        client.close()


def test_the_callable_sees_the_request() -> None:
    """The callable is given path, model, body, stream and lower-cased headers."""
    seen: list[ProviderRequest] = []

    def answers(request: ProviderRequest) -> Answer:
        seen.append(request)
        return Answer()

    with LocalProvider(answers) as provider:
        client = openai.OpenAI(base_url=provider.base_url, api_key=KEY, max_retries=0)
        assert read(ask(client, stream=True)) == "The capital of France is Paris."
        client.close()
    assert (seen[0].number, seen[0].path, seen[0].model, seen[0].stream) == (1, CHAT, "m-1", True)
    assert seen[0].body["messages"] == QUESTION
    assert seen[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("answers", [lambda _: 1 / 0, lambda _: None])
def test_a_broken_callable_is_told_to_the_client(answers: Any) -> None:
    """A callable that raises or returns something else is a fault that says so."""
    with LocalProvider(answers) as provider:
        client = openai.OpenAI(base_url=provider.base_url, api_key=KEY, max_retries=0)
        with pytest.raises(openai.InternalServerError, match=r"answers (raised|returned)"):
            ask(client)
        client.close()
        assert getattr(provider.requests[0].answer, "type", None) == "local_provider_error"


@pytest.mark.parametrize(
    "wrong",
    [
        {"cached_tokens": 15, "input_tokens": 14},
        {"cached_tokens": 5, "cache_write_5m_tokens": 5, "cache_write_1h_tokens": 5},
        {"reasoning_tokens": 8, "output_tokens": 7},
        {"chunks": 0},
        {"stream_input_usage": "middle"},
    ],
)
def test_impossible_answers_are_refused(wrong: dict[str, Any]) -> None:
    """An answer that no provider could give cannot be built."""
    with pytest.raises(ValueError, match=r"cannot exceed|at least|one of"):
        Answer(**wrong)


# The log, the connections, the end


def test_credentials_are_never_logged(provider: LocalProvider, client: openai.OpenAI) -> None:
    """The log keeps that a key was sent, never the key; nor does a request show it."""
    ask(client, extra_headers={"x-api-key": KEY, "X-Trace": "t-1"})
    assert KEY not in repr(provider.requests)
    assert provider.requests[0].headers["authorization"] == "[removed]"
    assert provider.requests[0].headers["x-trace"] == "t-1"
    shown = repr(ProviderRequest(1, CHAT, "m-1", {}, {"authorization": KEY}))
    assert KEY not in shown


def test_client_abort_is_logged_and_not_printed(
    provider: LocalProvider, client: openai.OpenAI, capfd: pytest.CaptureFixture[str]
) -> None:
    """A client that closes a stream half-way leaves an unfinished entry and no traceback."""
    provider.script(Answer("x" * 1000, chunks=1000, chunk_delay=0.02))
    stream = ask(client, stream=True)
    next(stream)
    stream.close()
    assert provider.wait_idle(5)
    assert (provider.requests[0].status, provider.requests[0].finished) == (200, False)
    assert capfd.readouterr().err == ""


def test_client_abort_while_it_waits(
    provider: LocalProvider, client: openai.OpenAI, capfd: pytest.CaptureFixture[str]
) -> None:
    """A client that leaves before the first byte is noticed long before the delay is over."""
    provider.script(Answer(delay=60))
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=0.2))
    assert provider.wait_idle(5)
    assert not provider.requests[0].finished
    assert capfd.readouterr().err == ""


def test_two_requests_use_one_connection(provider: LocalProvider) -> None:
    """The connection is kept after whole answers, streams and errors."""
    provider.script(Answer(), Fault(500), Answer())
    connection = http.client.HTTPConnection("127.0.0.1", provider.port)
    connection.connect()
    own_port = connection.sock.getsockname()
    body = b'{"model": "m-1", "stream": true}'
    for expected in (200, 500, 200):
        connection.request("POST", CHAT, body)
        response = connection.getresponse()
        response.read()
        assert response.status == expected
        assert connection.sock.getsockname() == own_port
    connection.close()


@pytest.mark.parametrize("stream", [False, True])
def test_a_hundred_calls_at_once_are_all_logged(provider: LocalProvider, *, stream: bool) -> None:
    """A hundred simultaneous calls are answered at once and logged once each."""
    provider.script(*[Answer(f"answer {i}", delay=0.3) for i in range(100)])

    async def call(client: openai.AsyncOpenAI) -> str:
        reply: Any = await client.chat.completions.create(
            model="m-1", messages=QUESTION, stream=stream
        )
        if stream:
            return read([chunk async for chunk in reply])
        return str(reply.choices[0].message.content)

    async def call_all() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=provider.base_url, api_key=KEY, max_retries=0
        ) as client:
            return await asyncio.gather(*(call(client) for _ in range(100)))

    assert set(asyncio.run(call_all())) == {f"answer {i}" for i in range(100)}
    assert [served.number for served in provider.requests] == list(range(1, 101))
    assert all(served.finished for served in provider.requests)
    assert provider.count(CHAT, 200) == 100


def test_two_hundred_connections_are_held_at_once(provider: LocalProvider) -> None:
    """Two hundred hanging connections do not keep the next call waiting."""
    provider.script(*[Fault(hang=60)] * 200)
    connections = [http.client.HTTPConnection("127.0.0.1", provider.port) for _ in range(200)]
    for connection in connections:
        connection.request("POST", CHAT, b'{"model": "m-1"}')
    while provider.count() < 200:
        time.sleep(0.01)
    extra = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=10)
    assert post(extra, CHAT, b'{"model": "m-1"}')[0] == 200
    for connection in (*connections, extra):
        connection.close()
    assert provider.wait_idle(10)


def test_async_client_cancelled_within_a_stream(provider: LocalProvider) -> None:
    """A cancelled task of an async client is seen as a client that left."""
    provider.script(Answer("x" * 1000, chunks=1000, chunk_delay=0.02))

    async def leave() -> None:
        async with openai.AsyncOpenAI(
            base_url=provider.base_url, api_key=KEY, max_retries=0
        ) as client:
            stream = await client.chat.completions.create(
                model="m-1", messages=QUESTION, stream=True
            )
            async with asyncio.timeout(0.2):
                async for _ in stream:
                    pass

    with pytest.raises(TimeoutError):
        asyncio.run(leave())
    assert provider.wait_idle(5)
    assert not provider.requests[0].finished


def test_stop_ends_what_hangs() -> None:
    """Stopping ends hanging, delayed and idle connections, and every thread, promptly."""
    before = set(threading.enumerate())
    provider = LocalProvider().start()
    provider.script(Fault(hang=60), Answer(delay=60), Answer())
    connections = [http.client.HTTPConnection("127.0.0.1", provider.port) for _ in range(3)]
    for number, connection in enumerate(connections, 1):
        connection.request("POST", CHAT, b'{"model": "m-1"}')
        while provider.count() < number:
            time.sleep(0.01)
    begun = time.monotonic()
    provider.stop()
    assert time.monotonic() - begun < 2
    assert set(threading.enumerate()) == before
    assert [served.finished for served in provider.requests] == [False, False, True]
    for connection in connections:
        connection.close()


def test_start_and_stop_have_rules(provider: LocalProvider) -> None:
    """Starting twice is an error, stopping twice is not, and a stopped provider has no port."""
    with pytest.raises(RuntimeError, match="already running"):
        provider.start()
    provider.stop()
    provider.stop()
    with pytest.raises(RuntimeError, match="not running"):
        _ = provider.base_url
    provider.start()
    assert provider.base_url == f"http://127.0.0.1:{provider.port}/v1"


def test_it_loads_no_client_library() -> None:
    """The provider brings no client library along."""
    code = (
        "import sys; import modeltrail.testing.provider; "
        "assert not {'openai', 'httpx', 'httpx2', 'langchain_core', 'litellm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
