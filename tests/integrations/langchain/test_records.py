"""
What else a record of LangChain's calls must hold, or withstand.
"""

from contextlib import suppress
from itertools import islice
from uuid import uuid4

import pytest
from langchain_core.messages import ChatMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langchain_openai import ChatOpenAI
from modeltrail_langchain import TrailCallbackHandler, decisions, translate
from modeltrail_langchain.messages import chat_messages
from modeltrail_langchain.places import Place

import modeltrail
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from modeltrail.trail import Trail
from tests.integrations.langchain.clients import openai_model


def test_endpoint_of_the_environment_is_no_openai(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An endpoint that only the openai client knows of does not pass for OpenAI's own."""
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    openai_model(provider, base_url=None, callbacks=[handler]).invoke("hi")
    assert [each.provider for each in captured.records] == [None]
    assert provider.count() == 1


def test_own_endpoint_takes_the_word_of_the_client() -> None:
    """A client that was not pointed elsewhere speaks to the company it is made for."""
    metadata = {"ls_provider": "openai", "ls_model_name": "gpt-4o"}
    request = translate.request(
        "chat",
        [],
        {"metadata": metadata},
        run_id=uuid4(),
        place=Place(None, uuid4(), None),
        endpoint=None,
    )
    assert (request.provider, request.request_model) == ("openai", "gpt-4o")


def test_stream_without_finish_reason_is_incomplete(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A stream that just ends is no whole answer."""
    provider.script(Answer(text="abcdef", chunks=6, truncate_after=2))
    list(model.stream("hi"))
    assert [(each.status, each.output_chars) for each in captured.records] == [("incomplete", 2)]


def test_huge_prompt(model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider) -> None:
    """A prompt of 50 MB leaves a record like any other."""
    model.invoke("x" * 50_000_000)
    (record,) = captured.records
    assert (record.status, record.input_chars) == ("ok", 50_000_000)
    assert record.input_digest is not None
    assert provider.count() == 1


@pytest.mark.parametrize("prompt", ["a\0b", "a\ud800b"], ids=["nul", "surrogate"])
def test_unspeakable_prompts(model: ChatOpenAI, captured: CapturedTrail, prompt: str) -> None:
    """A prompt that no database takes leaves a record, whether the client sends it or not."""
    with suppress(UnicodeEncodeError):
        model.invoke(prompt)
    (record,) = captured.records
    assert record.status in {"ok", "error"}
    assert (record.input_chars, record.input_digest is not None) == (3, True)


def test_stored_in_a_real_trail(trail: Trail, provider: LocalProvider) -> None:
    """Streams, errors and tags reach the database."""
    model = openai_model(provider, callbacks=[TrailCallbackHandler(trail)])
    provider.script(Answer(), Fault(status=429))
    with modeltrail.tag(feature="support", user="u-1"):
        list(islice(model.stream("hi"), 3))
        with suppress(Exception):
            model.invoke("hi")
    assert trail.flush(10)
    stored = [each.record for each in trail.store.calls(limit=None)]
    assert sorted(each.status for each in stored) == ["cancelled", "error"]
    assert {each.user_ref for each in stored} == {trail.recorder.ref("u-1")}
    assert len(stored) == provider.count()


def test_messages_of_every_kind_are_read() -> None:
    """Roles of their own, texts among parts, and parts that are nobody's leave what they can."""
    pairs = chat_messages(
        [
            [
                ChatMessage("Listen.", role="critic"),
                HumanMessage(["Look:", {"type": "sculpture", "weight": 3}]),
                HumanMessage.model_construct(content=[5]),
            ]
        ]
    )
    assert pairs == [
        ("critic", "Listen."),
        ("user", "Look:"),
        ("user", "[sculpture]"),
        ("user", "[part]"),
    ]


def test_answer_of_another_role_has_no_tool_calls() -> None:
    """An answer that is no AIMessage is a text, without a finish reason."""
    message = ChatMessage("Done.", role="critic")
    result = LLMResult(generations=[[ChatGeneration(message=message)]])
    answer = translate.response(result, uuid4(), streaming=False)
    assert (answer.text, list(answer.tool_calls), list(answer.finish_reasons)) == ("Done.", [], [])


def test_text_without_any_finish_reason() -> None:
    """A completion that says nothing of its end is read all the same."""
    result = LLMResult(generations=[[Generation(text="Done.")]])
    assert list(translate.response(result, uuid4(), streaming=False).finish_reasons) == []


def test_decision_of_an_unknown_shape() -> None:
    """What a decision model answers beside LangChain's own type is kept as JSON."""
    assert decisions.response({"yes": 1}).text == '{"yes":1}'


def test_events_that_come_twice_or_late(
    handler: TrailCallbackHandler, captured: CapturedTrail
) -> None:
    """A second start of a text completion and a piece of a settled call change nothing."""
    run_id = uuid4()
    for _ in range(2):
        handler.on_llm_start(None, ["hi"], run_id=run_id)
    assert captured.recorder.settle() == 1
    handler.on_llm_new_token("a", run_id=run_id)
    assert [each.status for each in captured.records] == ["incomplete"]
    assert captured.problems.counts() == {}
