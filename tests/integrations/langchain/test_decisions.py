"""
Decision models, which langchain-core has since 1.8 and tells of as chains of type `llm`.
"""

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import msgspec
import openai
import pytest
from langchain_core.runnables import RunnableLambda
from modeltrail_langchain import TrailCallbackHandler, install, uninstall

import modeltrail
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from tests.integrations.langchain.clients import KEY

USAGE = {"input_tokens": 14, "output_tokens": 7, "total_tokens": 21}


@pytest.fixture
def judge(provider: LocalProvider) -> Any:
    """Make a decision model that asks the local provider through OpenAI's client."""
    decisions = pytest.importorskip(
        "langchain_core.decisions", reason="langchain-core has decision models since 1.8"
    )

    class Judge(decisions.BaseDecisionModel):  # type: ignore[name-defined, misc]
        """Decides nothing: it answers yes."""

        @property
        def _provider(self) -> str:
            return "openai"

        def _classify(self, state: Any, questions: Any) -> Any:
            client = openai.OpenAI(base_url=provider.base_url, api_key=KEY, max_retries=0)
            with client:
                done = client.chat.completions.create(
                    model=self.model, messages=[{"role": "user", "content": str(state)}]
                )
            answers = {name: decisions.NoulAnswer(type="noul", noul=0.9) for name in questions}
            return decisions.ClassifierResponse(
                answers=answers, model=done.model, usage=USAGE, request_id=done._request_id
            )

    return Judge(model="gpt-4o-mini")


def asked() -> Any:
    """Return a state and a question."""
    from langchain_core.decisions import Noul

    return {"state": "Production is down.", "questions": {"urgent": Noul(instructions="Urgent?")}}


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "batch"])
async def test_66_a_decision_is_a_call(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    judge: Any,
    how: str,
) -> None:
    """A decision leaves one record with its models, usage, tags and answer's size."""
    provider.script(Answer(model="gpt-4o-mini-2024-07-18"))
    config: Any = {"callbacks": [handler], "metadata": {"variant": "A"}}
    with modeltrail.tag(feature="triage"):
        if how == "ainvoke":
            await judge.ainvoke(asked(), config)
        else:
            judge.invoke(asked(), config) if how == "invoke" else judge.batch([asked()], config)
    (record,) = captured.records
    assert (record.status, record.operation, record.provider) == ("ok", "chat", "openai")
    assert record.request_model == "gpt-4o-mini"
    assert record.response_model == "gpt-4o-mini-2024-07-18"
    assert record.provider_request_id == provider.requests[0].request_id
    assert (record.input_tokens, record.output_tokens) == (14, 7)
    assert record.cost_nanousd == 14 * 150 + 7 * 600
    assert (record.feature, record.variant, record.output_format) == ("triage", "A", "json")
    assert None not in (record.input_digest, record.output_digest)
    assert provider.count() == 1


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_66_a_decision_may_fail(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    judge: Any,
    how: str,
) -> None:
    """A decision that fails is an error with the provider's status, and nothing of its words."""
    provider.script(Fault(status=429, message="hush-error"))
    config: Any = {"callbacks": [handler]}
    with pytest.raises(openai.RateLimitError):
        if how == "invoke":
            judge.invoke(asked(), config)
        else:
            await judge.ainvoke(asked(), config)
    (record,) = captured.records
    found = (record.status, record.error_type, record.error_code, record.output_format)
    assert found == ("error", "RateLimitError", "429", None)
    assert b"hush" not in msgspec.json.encode(record)
    assert (provider.count(), captured.recorder.open_calls) == (1, 0)


def test_66_a_decision_in_a_chain(
    captured: CapturedTrail, provider: LocalProvider, judge: Any
) -> None:
    """An installed handler hears of decisions, once each, and of the chain around them."""
    install(captured)
    try:
        (RunnableLambda(lambda _: asked()) | judge).batch(["a", "b"])
    finally:
        uninstall()
    assert [each.status for each in captured.records] == ["ok", "ok"]
    assert all(each.parent_id == each.trace_id is not None for each in captured.records)
    assert provider.count() == 2


def test_66_the_events_of_a_decision(
    handler: TrailCallbackHandler, captured: CapturedTrail
) -> None:
    """The same by the events that langchain-core 1.8 tells (a recorded sequence, for 1.7)."""
    metadata = {"ls_provider": "openai", "ls_model_name": "gpt-4o-mini", "ls_model_type": "chat"}
    response = SimpleNamespace(model="gpt-4o-mini-2024-07-18", usage=USAGE, request_id="req-1")
    good, bad, chain = uuid4(), uuid4(), uuid4()
    state = {"state": "Production is down.", "questions": {}}
    handler.on_chain_start(None, state, run_id=chain, run_type=None)
    for run_id in (good, bad):
        handler.on_chain_start(
            None,
            state,
            run_id=run_id,
            parent_run_id=chain,
            run_type="llm",
            metadata=metadata,
            tags=["seq:step:1"],
            name="Judge",
        )
    handler.on_chain_end(response, run_id=good, tags=["seq:step:1"])
    handler.on_chain_error(ValueError("no"), run_id=bad, tags=["seq:step:1"])
    handler.on_chain_end({}, run_id=chain)
    found = [(each.status, each.error_type, each.input_tokens) for each in captured.records]
    assert found == [("ok", None, 14), ("error", "ValueError", None)]
    assert {each.parent_id for each in captured.records} == {str(chain)}
    assert {each.request_model for each in captured.records} == {"gpt-4o-mini"}
    assert captured.problems.counts() == {}
