"""
What else a record of LangChain's calls must hold, or withstand.
"""

from contextlib import suppress
from itertools import islice
from uuid import uuid4

import pytest
from langchain_openai import ChatOpenAI
from modeltrail_langchain import TrailCallbackHandler, translate
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
        "chat", [], None, run_id=uuid4(), place=Place(None, uuid4(), None), metadata=metadata
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
