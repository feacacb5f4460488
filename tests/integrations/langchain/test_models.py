"""
Which model was asked and which one answered, how its answer came, and how a call failed.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any
from uuid import UUID, uuid4

import httpx
import litellm
import pytest
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, Runnable
from langchain_openai import ChatOpenAI, OpenAI
from modeltrail_langchain import TrailCallbackHandler, translate

from modeltrail.record import CallRecord
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from tests.integrations.langchain.clients import (
    CLIENTS,
    KEY,
    anthropic_model,
    litellm_model,
    openai_model,
)

# LiteLLM 1.106 keeps the headers of an answer that failed to itself.
TELLS_REQUEST_ID = tuple(map(int, version("litellm").split(".")[:2])) >= (1, 110)

each_client = pytest.mark.parametrize("client", CLIENTS)


# 40: the model asked for, and the one that answered


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("client", ["chat", "responses", "anthropic"])
def test_40_model_asked_for_and_model_that_answered(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    client: str,
    streamed: bool,
) -> None:
    """The record names the model asked for and the one that answered."""
    provider.script(Answer(model="served-by-someone"))
    model = CLIENTS[client](provider, model="asked-for", callbacks=[handler])
    list(model.stream("hi")) if streamed else model.invoke("hi")
    (record,) = captured.records
    assert (record.request_model, record.response_model) == ("asked-for", "served-by-someone")
    assert [each.model for each in provider.requests] == ["asked-for"]


def test_40_litellm_alone_does_not_say_which_model_answered(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """ChatLiteLLM names the model asked for as the one that answered: that is not believed."""
    provider.script(Answer(model="served-by-someone"))
    litellm_model(provider, callbacks=[handler]).invoke("hi")
    (record,) = captured.records
    assert (record.request_model, record.response_model) == ("openai/gpt-4o-mini", None)


@pytest.mark.parametrize(
    ("output", "told", "model"),
    [
        ({"model_name": None}, {"model_name": "served"}, "served"),
        ({"model": "served"}, {"model_name": "asked"}, "served"),
        ({"model": "asked", "model_name": "served"}, {}, "served"),
        (None, {"model": "served"}, "served"),
    ],
)
def test_40_model_is_found_where_it_stands(
    output: dict[str, Any] | None, told: dict[str, Any], model: str
) -> None:
    """
    What the whole answer says wins over its message, and an unknown over nothing.

    Of the clients at hand none tells it in all of these places.
    """
    message = AIMessage("yes", response_metadata=told)
    result = LLMResult(generations=[[ChatGeneration(message=message)]], llm_output=output)
    assert translate.response(result, uuid4(), streaming=False).response_model == model


def alternatives(model: ChatOpenAI, provider: LocalProvider) -> Runnable[Any, Any]:
    """
    Make a model that can be exchanged for another client's.
    """
    other = anthropic_model(provider)
    return model.configurable_alternatives(ConfigurableField("which"), claude=other)


CHOICES: dict[str, tuple[Callable[[ChatOpenAI, LocalProvider], Runnable[Any, Any]], str]] = {
    "bind": (lambda model, _: model.bind(model="gpt-4o"), "gpt-4o"),
    "invoke": (lambda model, _: model, "gpt-4o-mini"),
    "fields": (
        lambda model, _: model.configurable_fields(
            model_name=ConfigurableField("model")
        ).with_config(configurable={"model": "gpt-4o"}),
        "gpt-4o",
    ),
    "alternatives": (
        lambda model, provider: alternatives(model, provider).with_config(
            configurable={"which": "claude"}
        ),
        "claude-sonnet-4-5",
    ),
    "default": (alternatives, "gpt-4o-mini"),
    "init_chat_model": (
        lambda _, provider: init_chat_model(
            "gpt-4o-mini",
            model_provider="openai",
            configurable_fields=("model",),
            base_url=provider.base_url,
            api_key=KEY,
            max_retries=0,
        ).with_config(configurable={"model": "gpt-4o"}),
        "gpt-4o",
    ),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_40_model_of_this_very_call(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, choice: str
) -> None:
    """However the model is chosen at the call, the record names what the provider was asked."""
    choose, expected = CHOICES[choice]
    choose(openai_model(provider), provider).invoke("hi", config={"callbacks": [handler]})
    assert [each.request_model for each in captured.records] == [expected]
    assert [each.model for each in provider.requests] == [expected]


# 41: finish reasons


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("client", "told", "expected"),
    [
        ("chat", "length", '["length"]'),
        ("litellm", "length", '["length"]'),
        ("anthropic", "length", '["max_tokens"]'),
        ("responses", "length", '["incomplete"]'),
        ("responses", None, '["completed"]'),
    ],
)
def test_41_finish_reason_of_each_provider(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    client: str,
    told: str | None,
    expected: str,
    streamed: bool,
) -> None:
    """Why an answer ended is found under each provider's own name for it."""
    provider.script(Answer(finish_reason=told))
    model = CLIENTS[client](provider, callbacks=[handler])
    list(model.stream("hi")) if streamed else model.invoke("hi")
    assert [(each.status, each.finish_reasons) for each in captured.records] == [("ok", expected)]


def test_41_text_completion(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A legacy text model is a text completion, with its finish reason."""
    provider.script(Answer(finish_reason="length"))
    model = OpenAI(
        model="gpt-3.5-turbo-instruct", base_url=provider.base_url, api_key=KEY, max_retries=0
    )
    model.invoke("hi", config={"callbacks": [handler]})
    (record,) = captured.records
    assert (record.operation, record.input_tokens) == ("text_completion", 14)
    assert (record.request_model, record.input_chars) == ("gpt-3.5-turbo-instruct", 2)
    assert record.finish_reasons == '["length"]'
    assert provider.count() == 1


# 42: streams


@pytest.mark.parametrize("text", ["abc", ""], ids=["text", "empty"])
def test_42_streaming_inside_invoke(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, text: str
) -> None:
    """A call that streams although it was invoked is a stream, be its answer empty."""
    provider.script(Answer(text))
    openai_model(provider, streaming=True, callbacks=[handler]).invoke("hi")
    assert [(each.streaming, each.output_chars) for each in captured.records] == [(True, len(text))]
    assert [each.stream for each in provider.requests] == [True]


@pytest.mark.parametrize("mode", ["messages", "values"])
def test_42_graph_that_streams(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider, mode: Any
) -> None:
    """A graph in `messages` mode turns the calls inside into streams, in another it does not."""
    question = {"messages": [HumanMessage("hi")]}
    list(create_agent(model, []).stream(question, stream_mode=mode))
    is_stream = mode == "messages"
    assert [(each.status, each.streaming) for each in captured.records] == [("ok", is_stream)]
    assert [each.stream for each in provider.requests] == [is_stream]


# 43: the first chunk


@pytest.mark.parametrize(("pieces", "has_begun"), [(1, False), (2, True)])
def test_43_empty_piece_is_no_first_chunk(
    model: ChatOpenAI, captured: CapturedTrail, pieces: int, has_begun: bool
) -> None:
    """An answer begins with the first piece that holds something."""
    stream = model.stream("hi")
    texts = [next(stream).text for _ in range(pieces)]
    stream.close()
    (record,) = captured.records
    assert (texts[0], record.streaming) == ("", True)
    assert (record.time_to_first_chunk_us is not None) is has_begun


def test_43_answer_in_one_piece_has_no_first_chunk(
    model: ChatOpenAI, captured: CapturedTrail
) -> None:
    """Of an answer that is no stream there is no time to the first chunk."""
    model.invoke("hi")
    assert [each.time_to_first_chunk_us for each in captured.records] == [None]


def test_43_streamed_tool_call_has_a_first_chunk(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A streamed answer without text still has a first chunk."""
    provider.script(Answer(tool_calls=(("look", '{"at":"x"}'),)))
    list(model.stream("hi"))
    (record,) = captured.records
    assert (record.streaming, record.output_format) == (True, "tool_call")
    assert record.time_to_first_chunk_us is not None


def test_43_first_chunk_is_noted_once(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """In a stream of events (v3) each piece is announced twice; the first one is noted once."""
    provider.script(Answer("abcdef", chunks=6))
    run_id = uuid4()
    noted: set[int | None] = set()
    for _ in model.stream_events("hi", version="v3", config={"run_id": run_id}):
        noted.add(first_chunk_of(captured, run_id))
    (record,) = captured.records
    assert (record.status, record.streaming, record.output_chars) == ("ok", True, 6)
    assert noted - {None} == {record.time_to_first_chunk_us}
    assert provider.count() == 1


def first_chunk_of(captured: CapturedTrail, run_id: UUID) -> int | None:
    """
    Return what is known of the first chunk of a call in flight.
    """
    call = captured.recorder.find("langchain", run_id)
    return None if call is None else call._first_chunk_us


# 44, 45: attempts


def test_44_retries_are_numbered(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Each attempt of with_retry leaves a record; LangChain numbers them from the second on."""
    provider.script(Fault(status=500), Fault(status=429), Answer())
    model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False).invoke("hi")
    found = [(each.attempt, each.status, each.error_code) for each in captured.records]
    assert found == [(None, "error", "500"), (2, "error", "429"), (3, "ok", None)]
    assert len(found) == provider.count()


def test_44_retries_of_a_chain_are_numbered(
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """What is repeated may be a chain: its calls bear the number, and share one trace."""
    provider.script(Fault(status=500), Fault(status=429), Answer())
    chain = ChatPromptTemplate.from_template("{question}") | model
    patient = chain.with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
    patient.invoke({"question": "hi"}, config={"callbacks": [handler]})
    found = [(each.attempt, each.status, each.error_code) for each in captured.records]
    assert found == [(None, "error", "500"), (2, "error", "429"), (3, "ok", None)]
    assert len({each.trace_id for each in captured.records}) == 1
    assert len(found) == provider.count()


def test_44_fallbacks_keep_their_own_model_and_error(
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """A fallback is a call of its own, with its own model, client and error."""
    provider.script(Fault(status=429), Fault(status=401), Answer())
    second = anthropic_model(provider, callbacks=[handler])
    third = openai_model(provider, model="gpt-4o", callbacks=[handler])
    model.with_fallbacks([second, third]).invoke("hi")
    found = [(each.request_model, own_name(each), each.error_code) for each in captured.records]
    assert found == [
        ("gpt-4o-mini", "RateLimitError", "429"),
        ("claude-sonnet-4-5", "AuthenticationError", "401"),
        ("gpt-4o", None, None),
    ]
    assert len(found) == provider.count()


def own_name(record: CallRecord) -> str | None:
    """
    Return an error's name without its provider's, which LangChain's newer clients put first.
    """
    name = record.error_type
    return name and name.removeprefix("OpenAI").removeprefix("Anthropic")


def retrying(client: str, provider: LocalProvider, **options: Any) -> BaseChatModel:
    """
    Make a client that tries again once by itself.
    """
    name = "retries" if client == "litellm" else "max_retries"
    return CLIENTS[client](provider, **{name: 1}, **options)


@each_client
def test_45_retries_of_the_client_are_one_record(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """Retries of the client itself are within one call: LangChain does not tell of them."""
    failing = Fault(status=500, headers={"retry-after-ms": "1"})
    provider.script(failing, Answer(), failing, failing)
    model = retrying(client, provider, callbacks=[handler])
    model.invoke("hi")
    with pytest.raises(Exception, match="told to fail"):
        model.invoke("hi")
    found = [(each.status, each.attempt, each.error_code) for each in captured.records]
    assert found == [("ok", None, None), ("error", None, "500")]
    assert provider.count() == 4


# 46: errors


@pytest.mark.parametrize("client", ["chat", "responses", "anthropic"])
@pytest.mark.parametrize(
    ("status", "name"), [(401, "AuthenticationError"), (429, "RateLimitError")]
)
def test_46_error_has_type_status_and_request(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    client: str,
    status: int,
    name: str,
) -> None:
    """A refused call tells the error's type, its HTTP status and the provider's request id."""
    provider.script(Fault(status=status))
    with pytest.raises(Exception, match="told to fail") as raised:
        CLIENTS[client](provider, callbacks=[handler]).invoke("hi")
    (record,) = captured.records
    assert record.error_type == type(raised.value).__name__
    assert own_name(record) == name
    assert (record.status, record.error_code) == ("error", str(status))
    assert record.provider_request_id == provider.requests[0].request_id
    assert_nothing_is_claimed(record)
    assert provider.count() == 1


def test_46_error_of_litellm_has_type_and_status(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A call refused through LiteLLM tells LiteLLM's type of the error and the HTTP status."""
    provider.script(Fault(status=429))
    with pytest.raises(litellm.RateLimitError):
        litellm_model(provider, callbacks=[handler]).invoke("hi")
    (record,) = captured.records
    assert (record.status, record.error_type) == ("error", "RateLimitError")
    assert record.error_code == "429"
    if TELLS_REQUEST_ID:
        assert record.provider_request_id == provider.requests[0].request_id
    assert_nothing_is_claimed(record)
    assert provider.count() == 1


def assert_nothing_is_claimed(record: CallRecord) -> None:
    """
    Find that nothing is known of what a call cost, not even that it was nothing.
    """
    assert (record.input_tokens, record.output_tokens, record.usage_source) == (
        None,
        None,
        "missing",
    )
    assert (record.cost_nanousd, record.cost_source) == (None, "none")


@each_client
@pytest.mark.parametrize("fault", ["drop_after", "error_after"])
def test_46_broken_stream_keeps_what_had_arrived(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    client: str,
    fault: str,
) -> None:
    """A stream that breaks is an error with the text so far, and its cost is unknown, not 0."""
    provider.script(Fault(**{fault: 2}, answer=Answer("abcdef", chunks=6)))
    with pytest.raises(Exception, match="reset|told to fail") as raised:
        list(CLIENTS[client](provider, callbacks=[handler]).stream("hi"))
    (record,) = captured.records
    assert (record.status, record.streaming, record.output_chars) == ("error", True, 2)
    assert record.error_type == type(raised.value).__name__
    assert record.finish_reasons is None
    assert_nothing_is_claimed(record)
    assert provider.count() == 1


def test_46_error_within_a_stream_has_no_status_of_success(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """The 200 that a stream began with is not the code of the error that it ends in."""
    provider.script(Fault(status=529, error_after=2))
    with pytest.raises(Exception, match="overloaded"):
        list(anthropic_model(provider, callbacks=[handler]).stream("hi"))
    (record,) = captured.records
    assert (record.status, record.error_code) == ("error", None)
    assert record.provider_request_id == provider.requests[0].request_id


def test_46_litellm_keeps_its_own_code_of_a_broken_stream(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """What LiteLLM makes of a broken stream is kept as it says it."""
    provider.script(Fault(drop_after=1))
    with pytest.raises(litellm.exceptions.MidStreamFallbackError):
        list(litellm_model(provider, callbacks=[handler]).stream("hi"))
    assert [each.error_code for each in captured.records] == ["500"]


class Broken(httpx.SyncByteStream):
    """
    A stream that tells its usage on the way, as some gateways do, and breaks.
    """

    def __iter__(self) -> Iterator[bytes]:
        yield (
            b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini",'
            b'"choices":[{"index":0,"delta":{"role":"assistant","content":"ab"}}],'
            b'"usage":{"prompt_tokens":14,"completion_tokens":2,"total_tokens":16}}\n\n'
        )
        raise httpx.ReadError("gone")


def test_46_broken_stream_keeps_usage_as_partial(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Usage that was told on the way is kept, is called partial, and is not priced."""
    told = {"headers": {"content-type": "text/event-stream"}, "stream": Broken()}
    line = httpx.MockTransport(lambda _: httpx.Response(200, **told))
    model = openai_model(provider, http_client=httpx.Client(transport=line), callbacks=[handler])
    with pytest.raises(httpx.ReadError):
        list(model.stream("hi", stream_usage=True))
    (record,) = captured.records
    assert (record.status, record.output_chars) == ("error", 2)
    assert (record.input_tokens, record.output_tokens, record.usage_source) == (14, 2, "partial")
    assert (record.cost_nanousd, record.cost_source) == (None, "none")
