"""
To whom a call belongs: its parent and its trace.
"""

from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID, uuid4

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langchain_core.outputs import LLMResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from modeltrail_langchain import TrailCallbackHandler

from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from tests.integrations.langchain.calling import ASKED, QUESTION
from tests.integrations.langchain.clients import openai_model


def places(captured: CapturedTrail) -> list[tuple[str | None, str | None]]:
    """
    Return the parent and the trace of each call.
    """
    return [(each.parent_id, each.trace_id) for each in captured.records]


def test_17_parent_that_is_never_announced(model: ChatOpenAI, captured: CapturedTrail) -> None:
    """A handler of the model alone hears of no chain, and keeps its id all the same."""
    run_id = uuid4()
    (ASKED | model).invoke(QUESTION, config={"run_id": run_id})
    assert places(captured) == [(str(run_id), str(run_id))]


def test_17_parent_that_is_announced_later(
    handler: TrailCallbackHandler, captured: CapturedTrail
) -> None:
    """A call may come before its parent (a recorded sequence: no client does it)."""
    chain, run = uuid4(), uuid4()
    handler.on_chat_model_start({}, [[HumanMessage("hi")]], run_id=run, parent_run_id=chain)
    handler.on_chain_start({}, {}, run_id=chain)
    handler.on_chain_end({}, run_id=chain)
    handler.on_llm_end(LLMResult(generations=[]), run_id=run)
    assert places(captured) == [(str(chain), str(chain))]
    assert captured.problems.counts() == {}


def fallbacks(provider: LocalProvider, *, is_in_chain: bool) -> Runnable[str, Any]:
    """
    Make a model that fails and one that answers in its place.
    """
    provider.script(Fault(status=429), Answer())
    first, second = openai_model(provider), openai_model(provider, model="gpt-4o")
    attempts = first.with_fallbacks([second])
    return RunnableLambda(str) | attempts if is_in_chain else attempts


def check_one_family(captured: CapturedTrail, run_id: UUID) -> None:
    """
    Expect two attempts of one parent and of the trace of the outermost run.
    """
    first, second = captured.records
    assert [(each.request_model, each.status) for each in (first, second)] == [
        ("gpt-4o-mini", "error"),
        ("gpt-4o", "ok"),
    ]
    assert first.trace_id == second.trace_id == str(run_id)
    assert first.parent_id is not None
    assert first.parent_id == second.parent_id


every_place = pytest.mark.parametrize("is_in_chain", [False, True], ids=["root", "chain"])


@every_place
@pytest.mark.parametrize(
    "call",
    [
        lambda model, config: model.invoke("hi", config=config),
        lambda model, config: list(model.stream("hi", config=config)),
        lambda model, config: model.batch(["hi"], config=config),
    ],
    ids=["invoke", "stream", "batch"],
)
def test_18_attempts_of_fallbacks_are_one_family(
    call: Callable[[Runnable[str, Any], Any], object],
    is_in_chain: bool,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """LangChain may name no parent of a fallback's attempts; they share one, and the trace."""
    config = {"callbacks": [handler], "run_id": (run_id := uuid4())}
    call(fallbacks(provider, is_in_chain=is_in_chain), config)
    check_one_family(captured, run_id)
    assert (provider.count(), len(handler._places)) == (2, 0)


async def read(model: Runnable[str, Any], config: Any) -> None:
    """
    Read an asynchronous stream.
    """
    async for _ in model.astream("hi", config=config):
        pass


@every_place
@pytest.mark.parametrize(
    "call",
    [
        lambda model, config: model.ainvoke("hi", config=config),
        read,
        lambda model, config: model.abatch(["hi"], config=config),
    ],
    ids=["ainvoke", "astream", "abatch"],
)
async def test_18_awaited_attempts_of_fallbacks_are_one_family(
    call: Callable[[Runnable[str, Any], Any], Coroutine[Any, Any, object]],
    is_in_chain: bool,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """So do those that are awaited."""
    config = {"callbacks": [handler], "run_id": (run_id := uuid4())}
    await call(fallbacks(provider, is_in_chain=is_in_chain), config)
    check_one_family(captured, run_id)
    assert (provider.count(), len(handler._places)) == (2, 0)


def test_18_call_in_a_tool_is_of_the_outermost_trace(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A model that a tool of an agent asks is of the agent's trace, and the tool its parent."""
    model = openai_model(provider)

    @tool
    def ask_another(question: str) -> str:
        """Ask another model."""
        return str(model.invoke(question).text)

    provider.script(Answer(tool_calls=(("ask_another", '{"question":"why?"}'),)))
    config = {"callbacks": [handler], "run_id": (run_id := uuid4())}
    agent = create_agent(model, [ask_another])
    agent.invoke({"messages": [HumanMessage("hi")]}, config=config)
    found = places(captured)
    assert {trace for _, trace in found} == {str(run_id)}
    assert len({parent for parent, _ in found} - {str(run_id), None}) == 3
    assert (len(found), provider.count(), len(handler._places)) == (3, 3, 0)


class Rephrasing(BaseRetriever):
    """
    A retriever that asks a model what to look for.
    """

    model: ChatOpenAI

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        answer = self.model.invoke(query, config={"callbacks": run_manager.get_child()})
        return [Document(str(answer.text))]


@pytest.mark.parametrize("is_in_chain", [False, True])
def test_18_call_in_a_retriever_is_of_the_outermost_trace(
    is_in_chain: bool,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """A model that a retriever asks is of the trace of the chain, or the retriever's own."""
    retriever = Rephrasing(model=openai_model(provider))
    chain = RunnableLambda(str) | retriever if is_in_chain else retriever
    chain.invoke("hi", config={"callbacks": [handler], "run_id": (run_id := uuid4())})
    ((parent, trace),) = places(captured)
    # A retriever chooses its own id when it is the outermost run.
    assert (trace == str(run_id), trace == parent) == (is_in_chain, not is_in_chain)
    assert parent not in {None, captured.records[0].run_id}
    assert (provider.count(), len(handler._places)) == (1, 0)
