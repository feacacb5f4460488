"""
Tags, and what belongs together.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from drivers.llama_index import asked, make_embedding, make_llm
from llama_index.core import VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.schema import TextNode
from llama_index.core.workflow import Context, Event, StartEvent, StopEvent, Workflow, step
from llama_index_instrumentation.dispatcher import instrument_tags
from scenarios import PROMPT

import modeltrail
from modeltrail.testing import Answer, CapturedTrail, LocalProvider


def test_37_stream_keeps_the_tags_of_its_start(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """A stream that is read elsewhere keeps what was said where it began."""
    with modeltrail.tag(feature="start"), instrument_tags({"variant": "A"}):
        pieces = make_llm(provider).stream_chat(asked())
    with modeltrail.tag(feature="end"), instrument_tags({"variant": "B"}):
        list(pieces)
    (record,) = records.records
    assert (record.feature, record.variant) == ("start", "A")


async def test_37_asynchronous_stream_keeps_the_tags_of_its_start(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """So does an asynchronous one that another task reads."""
    with modeltrail.tag(feature="start"), instrument_tags({"variant": "A"}):
        pieces = await make_llm(provider).astream_chat(asked())

    async def read() -> None:
        with modeltrail.tag(feature="end"), instrument_tags({"variant": "B"}):
            async for _ in pieces:
                pass

    await asyncio.create_task(read())
    (record,) = records.records
    assert (record.feature, record.variant) == ("start", "A")


def test_37_abandoned_stream_keeps_the_tags_of_its_start(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """So does one that is closed under somebody else's tags."""
    with instrument_tags({"variant": "A"}):
        pieces = make_llm(provider).stream_chat(asked())
        next(pieces)
    with instrument_tags({"variant": "B"}):
        pieces.close()
    assert [(each.status, each.variant) for each in records.records] == [("cancelled", "A")]


def echo(request: Any) -> Answer:
    """
    Answer with as many characters as were asked.
    """
    return Answer(text="y" * len(request.body["messages"][-1]["content"]), chunks=4)


async def ask(llm: Any, number: int) -> None:
    """
    Ask under tags that are this call's own, streamed or not.
    """
    with modeltrail.tag(feature=f"f{number}"), instrument_tags({"variant": f"v{number}"}):
        if number % 2:
            await llm.achat(asked("x" * number))
        else:
            async for _ in await llm.astream_chat(asked("x" * number)):
                pass


def assert_unmixed(records: CapturedTrail, calls: int) -> None:
    """
    Find that each call has its own tags, question and answer.
    """
    found = {each.input_chars: each for each in records.records}
    assert sorted(found) == list(range(1, calls + 1))
    for number, each in found.items():
        assert (each.feature, each.variant) == (f"f{number}", f"v{number}")
        assert (each.output_chars, each.status) == (number, "ok")
    assert len(records.records) == calls


async def test_38_variants_at_once(records: CapturedTrail, provider: LocalProvider) -> None:
    """Twenty calls at once on one model have each their own tags and answer."""
    provider.answers = echo
    llm = make_llm(provider)
    await asyncio.gather(*[ask(llm, number) for number in range(1, 21)])
    assert_unmixed(records, 20)
    assert provider.count() == 20


def test_39_threads_at_once(records: CapturedTrail, provider: LocalProvider) -> None:
    """Forty calls in threads on one model have each their own tags and answer."""
    provider.answers = echo
    llm, together = make_llm(provider), Barrier(8, timeout=30)

    def work(number: int) -> None:
        together.wait()
        with modeltrail.tag(feature=f"f{number}"), instrument_tags({"variant": f"v{number}"}):
            if number % 2:
                llm.chat(asked("x" * number))
            else:
                list(llm.stream_chat(asked("x" * number)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(1, 41)))
    assert_unmixed(records, 40)
    assert provider.count() == 40


class Part(Event):
    """
    A part of the work.
    """

    number: int


class Done(Event):
    """
    A part that is done.
    """


class Flow(Workflow):
    """
    A workflow that asks twice at once.
    """

    llm: Any = None

    @step
    async def split(self, context: Context, event: StartEvent) -> Part | None:
        for number in range(2):
            context.send_event(Part(number=number))
        return None

    @step(num_workers=2)
    async def work(self, event: Part) -> Done:
        await self.llm.achat(asked(f"part {event.number}"))
        return Done()

    @step
    async def join(self, context: Context, event: Done) -> StopEvent | None:
        done = context.collect_events(event, [Done, Done])
        return StopEvent(result="done") if done else None


def flow(provider: LocalProvider) -> Flow:
    """
    Make the workflow.
    """
    made = Flow(timeout=30)
    made.llm = make_llm(provider)
    return made


async def test_40_tags_reach_the_tasks_of_a_workflow(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """Tags around a workflow's run are those of the calls in its tasks."""
    with modeltrail.tag(feature="zoo"), instrument_tags({"modeltrail_variant": "B"}):
        await flow(provider).run()
    assert [(each.feature, each.variant) for each in records.records] == [("zoo", "B")] * 2
    assert provider.count() == 2


def count_legs(animal: str) -> int:
    """
    Count the legs of an animal.
    """
    return len(animal)


def script_agent(provider: LocalProvider) -> None:
    """
    Have an agent use its tool and answer.
    """
    use = Answer(tool_calls=(("count_legs", '{"animal":"spider"}'),))
    provider.script(use, Answer(text="Eight."))


def agent_workflow(provider: LocalProvider) -> Any:
    """
    Make a workflow of one agent.
    """
    return AgentWorkflow.from_tools_or_functions([count_legs], llm=make_llm(provider))


def agent(provider: LocalProvider) -> Any:
    """
    Make an agent.
    """
    return FunctionAgent(tools=[count_legs], llm=make_llm(provider))


@pytest.mark.parametrize("make", [agent, agent_workflow])
async def test_40_tags_reach_the_calls_of_an_agent(
    records: CapturedTrail, provider: LocalProvider, make: Callable[[LocalProvider], Any]
) -> None:
    """Tags around an agent's run are those of its calls, and nothing else becomes a tag."""
    script_agent(provider)
    with modeltrail.tag(feature="zoo"), instrument_tags({"modeltrail_variant": "B"}):
        await make(provider).run(PROMPT)
    found = [(each.feature, each.variant, each.tags) for each in records.records]
    assert found == [("zoo", "B", None)] * 2
    assert provider.count() == 2


@pytest.mark.parametrize("make", [agent, agent_workflow])
async def test_41_calls_of_an_agent_are_one_trace(
    records: CapturedTrail, provider: LocalProvider, make: Callable[[LocalProvider], Any]
) -> None:
    """The calls of one run of an agent share a trace, and two runs share none."""
    for _ in range(2):
        script_agent(provider)
        await make(provider).run(PROMPT)
    traces = [each.trace_id for each in records.records]
    assert traces[0] == traces[1] != traces[2] == traces[3]
    assert all(traces)
    assert provider.count() == 4


async def test_41_workflows_at_once_are_two_traces(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """The calls of two runs at once of one workflow are told apart."""
    one = flow(provider)
    await asyncio.gather(one.run(), one.run())
    traces = [each.trace_id for each in records.records]
    assert sorted(map(traces.count, set(traces))) == [2, 2]
    assert provider.count() == 4


def test_41_run_of_a_workflow_is_the_trace(records: CapturedTrail, provider: LocalProvider) -> None:
    """Of LlamaIndex's own tags the run is kept, as the trace; the rest is content."""
    own = {"llamaindex.run_id": "run-1", "llamaindex.step.input_summary": PROMPT}
    with instrument_tags({**own, "variant": "B", "unrelated": "x"}):
        make_llm(provider).chat(asked())
    (record,) = records.records
    assert (record.trace_id, record.variant, record.tags) == ("run-1", "B", None)


def test_41_calls_of_a_query_are_one_trace(records: CapturedTrail, provider: LocalProvider) -> None:
    """The embedding and the chat of one query have one trace, and parents of their own."""
    nodes = [TextNode(text="Spiders have eight legs."), TextNode(text="Ants have six.")]
    index = VectorStoreIndex(nodes, embed_model=make_embedding(provider))
    engine = index.as_query_engine(llm=make_llm(provider))
    engine.query(PROMPT)
    engine.query(PROMPT)
    _, *calls = records.records
    traces = [each.trace_id for each in calls]
    assert traces[0] == traces[1] != traces[2] == traces[3]
    assert all(each.parent_id and "OpenAILike" not in each.parent_id for each in calls)
    assert provider.count() == 5
