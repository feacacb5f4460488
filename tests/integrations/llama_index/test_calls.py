"""
One record for each call, however it is made.
"""

import asyncio
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import pytest
from drivers.llama_index import asked, make_embedding, make_llm
from llama_index.core import PromptTemplate, VectorStoreIndex
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.generic_utils import completion_response_to_chat_response
from llama_index.core.llms import LLM, CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.schema import TextNode
from llama_index_instrumentation.dispatcher import instrument_tags
from openai import InternalServerError
from packaging.version import Version
from pydantic import BaseModel
from scenarios import ASKED, PROMPT, TEXT

import modeltrail
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from tests.integrations.llama_index.doings import only
from tests.integrations.llama_index.endpoints import (
    CLIENTS,
    completing_model,
    every_client,
    openai_model,
)

Ask = Callable[[LLM], object]


async def read(stream: Any) -> None:
    """
    Read an asynchronous stream to its end.
    """
    async for _ in await stream:
        pass


SYNCHRONOUS: dict[str, Ask] = {
    "chat": lambda llm: llm.chat(asked()),
    "complete": lambda llm: llm.complete(PROMPT),
    "stream_chat": lambda llm: list(llm.stream_chat(asked())),
    "stream_complete": lambda llm: list(llm.stream_complete(PROMPT)),
}
ASYNCHRONOUS: dict[str, Ask] = {
    "achat": lambda llm: asyncio.run(llm.achat(asked())),
    "acomplete": lambda llm: asyncio.run(llm.acomplete(PROMPT)),
    "astream_chat": lambda llm: asyncio.run(read(llm.astream_chat(asked()))),
    "astream_complete": lambda llm: asyncio.run(read(llm.astream_complete(PROMPT))),
}
WAYS = SYNCHRONOUS | ASYNCHRONOUS


def check_one_call(trail: CapturedTrail, provider: LocalProvider, way: str) -> None:
    """
    Expect one good record of the one request that was sent.
    """
    record = only(trail)
    found = (record.status, record.streaming, record.input_chars, record.output_chars)
    assert found == ("ok", "stream" in way, len(PROMPT), len(TEXT))
    assert provider.count() == 1


@every_client
@pytest.mark.parametrize("way", SYNCHRONOUS)
def test_01_02_one_record_for_each_call(
    records: CapturedTrail, provider: LocalProvider, client: str, way: str
) -> None:
    """A chat or a completion leaves one record, whichever client makes it."""
    provider.script(Answer(text=TEXT))
    WAYS[way](CLIENTS[client](provider))
    check_one_call(records, provider, way)
    assert only(records).operation == "chat"


@pytest.mark.parametrize("way", ["complete", "stream_complete", "chat", "stream_chat"])
def test_03_one_record_for_each_call_of_a_completion_model(
    records: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """So does a model that only completes, and a chat with it is a completion."""
    provider.script(Answer(text=TEXT))
    WAYS[way](completing_model(provider))
    record = only(records)
    assert (record.status, record.operation, record.output_chars) == (
        "ok",
        "text_completion",
        len(TEXT),
    )
    assert provider.count("/v1/completions") == provider.count() == 1


@every_client
@pytest.mark.parametrize("way", ASYNCHRONOUS)
def test_04_one_record_for_each_asynchronous_call(
    records: CapturedTrail, provider: LocalProvider, client: str, way: str
) -> None:
    """So does each asynchronous one."""
    provider.script(Answer(text=TEXT))
    WAYS[way](CLIENTS[client](provider))
    check_one_call(records, provider, way)


class OwnModel(CustomLLM):
    """
    A model of an application's own, as LlamaIndex's documentation shows it.

    Attributes:
        prompts: What it was asked.
    """

    prompts: list[str] = []

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="own")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        self.prompts.append(prompt)
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        return CompletionResponse(text="yes", raw={"usage": usage, "model": "served"})

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Iterator[Any]:
        self.prompts.append(prompt)
        for text in ("y", "ye", "yes"):
            yield CompletionResponse(text=text, delta=text[-1], raw={"usage": None})


@pytest.mark.parametrize(
    ("number", "way"),
    [
        ("05", "chat"),
        ("05", "complete"),
        ("06", "achat"),
        ("06", "acomplete"),
        ("07", "stream_chat"),
        ("07", "stream_complete"),
        ("08", "astream_chat"),
        ("08", "astream_complete"),
    ],
)
def test_05_to_08_own_model_is_one_call_however_it_is_asked(
    records: CapturedTrail, number: str, way: str
) -> None:
    """The up to three nested events of a custom model are one call: the inmost, and its usage."""
    del number
    llm = OwnModel()
    WAYS[way](llm)
    record = only(records)
    assert [record.input_chars] == [len(each) for each in llm.prompts]
    found = (record.status, record.request_model, record.output_chars, record.streaming)
    assert found == ("ok", "own", 3, "stream" in way)
    assert record.input_tokens == (None if "stream" in way else 3)


class Echo(OwnModel):
    """
    A model that streams back what it is asked, a character at a time.
    """

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Iterator[Any]:
        for end, delta in enumerate(prompt, 1):
            yield CompletionResponse(text=prompt[:end], delta=delta)


@pytest.mark.parametrize("way", ["astream_complete", "astream_chat"])
async def test_09_concurrent_streams_of_one_model(records: CapturedTrail, way: str) -> None:
    """Five streams at once of one object are five calls with their own texts."""
    llm, read_by = Echo(), list[int]()

    async def read_in_turn(number: int) -> int:
        prompt = "?" * number
        ask = {"astream_complete": prompt, "astream_chat": asked(prompt)}
        text = ""
        async for piece in await getattr(llm, way)(ask[way]):
            read_by.append(number)
            text += piece.delta
            await asyncio.sleep(0)
        return len(text)

    told = await asyncio.gather(*map(read_in_turn, range(1, 6)))
    assert read_by[:5] == [1, 2, 3, 4, 5]
    found = sorted((each.input_chars, each.output_chars) for each in records.records)
    assert found == [(chars, chars) for chars in told]


async def test_09_concurrent_streams_of_one_client(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """So are those of a client that shares its connections."""
    llm = openai_model(provider)
    provider.answers = lambda request: Answer(text=request.body["messages"][0]["content"])
    prompts = ["?" * n for n in range(1, 6)]
    await asyncio.gather(*(read(llm.astream_chat(asked(prompt))) for prompt in prompts))
    found = sorted((each.input_chars, each.output_chars) for each in records.records)
    assert found == [(n, n) for n in range(1, 6)]
    assert provider.count() == 5


class ForgetfulModel(CustomLLM):
    """
    A model whose author forgot the decorators: LlamaIndex sends no event of it.
    """

    broken: bool = False

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="forgetful")

    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        if self.broken:
            raise ConnectionError("away")
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        return CompletionResponse(text="yes", raw={"usage": usage, "model": "served"})

    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Iterator[Any]:
        for text in ("y", "ye", "yes"):
            yield CompletionResponse(text=text, delta=text[-1])


@pytest.mark.parametrize("way", ["complete", "chat", "acomplete", "achat"])
def test_11_call_of_a_forgetful_model(records: CapturedTrail, way: str) -> None:
    """A call that no event tells of leaves one record, made from its span."""
    with modeltrail.tag(feature="support"):
        WAYS[way](ForgetfulModel())
    record = only(records)
    assert (record.status, record.request_model, record.response_model) == (
        "ok",
        "forgetful",
        "served",
    )
    assert (record.input_tokens, record.output_tokens, record.output_chars) == (3, 1, 3)
    assert record.feature == "support"
    assert record.input_chars is not None and record.input_chars >= len(PROMPT)
    assert record.latency_us is not None


def test_11_error_of_a_forgetful_model(records: CapturedTrail) -> None:
    """So does one that fails."""
    with pytest.raises(ConnectionError):
        ForgetfulModel(broken=True).complete(PROMPT)
    assert (only(records).status, only(records).error_type) == ("error", "ConnectionError")


def test_11_stream_of_a_forgetful_model(records: CapturedTrail) -> None:
    """Of a stream nothing but its beginning is known."""
    list(ForgetfulModel().stream_complete(PROMPT))
    record = only(records)
    assert (record.status, record.streaming, record.output_chars) == ("incomplete", True, None)


class HalfForgetful(ForgetfulModel):
    """
    A model that decorates its chat and forgets the completion behind it.
    """

    @llm_chat_callback()
    def chat(self, messages: Any, **options: Any) -> Any:
        return completion_response_to_chat_response(self.complete(messages[0].content))


def test_11_half_forgetful_model(records: CapturedTrail) -> None:
    """A chat with events that asks a completion without is one call."""
    HalfForgetful().chat(asked())
    assert (only(records).status, only(records).input_tokens) == ("ok", 3)


class Legs(BaseModel):
    """
    What a structured answer holds.
    """

    count: int


LEGS = Answer(tool_calls=(("Legs", '{"count":8}'),), input_tokens=3)


def test_12_predict_and_structured_predict_add_nothing(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """What only wraps a call leaves no record of its own."""
    provider.script(Answer(), LEGS, LEGS)
    llm = make_llm(provider)
    llm.predict(PromptTemplate("{q}"), q=PROMPT)
    llm.structured_predict(Legs, PromptTemplate("{q}"), q=PROMPT)
    list(llm.stream_structured_predict(Legs, PromptTemplate("{q}"), q=PROMPT))
    assert [each.status for each in records.records] == ["ok"] * 3
    assert provider.count() == 3


def test_12_structured_model_adds_nothing(records: CapturedTrail, provider: LocalProvider) -> None:
    """A structured model forwards to the one inside: one record, with its usage."""
    provider.script(LEGS)
    make_llm(provider).as_structured_llm(Legs).chat(asked())
    assert only(records).input_tokens == 3
    assert provider.count() == 1


def index_of(provider: LocalProvider) -> VectorStoreIndex:
    """
    Index two short texts in memory.
    """
    nodes = [TextNode(text="Spiders have eight legs."), TextNode(text="Ants have six.")]
    return VectorStoreIndex(nodes, embed_model=make_embedding(provider))


def test_13_query_engine_leaves_its_calls_alone(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """A query over an index leaves one record per request, embeddings included."""
    index_of(provider).as_query_engine(llm=make_llm(provider)).query(PROMPT)
    operations = [each.operation for each in records.records]
    assert operations == ["embeddings", "embeddings", "chat"]
    assert provider.count() == 3


async def test_13_asynchronous_query_engine(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """So does an asynchronous one."""
    await index_of(provider).as_query_engine(llm=make_llm(provider)).aquery(PROMPT)
    assert [each.operation for each in records.records] == ["embeddings", "embeddings", "chat"]
    assert provider.count() == 3


LAZY = Version(version("llama-index-core")) > Version("0.14.23")


def test_13_streaming_query_engine(records: CapturedTrail, provider: LocalProvider) -> None:
    """A streamed answer of a query engine is recorded when it has been read."""
    engine = index_of(provider).as_query_engine(llm=make_llm(provider), streaming=True)
    answer = engine.query(PROMPT)
    # The oldest LlamaIndex reads the answer before it hands it out.
    assert len(records.records) == (2 if LAZY else 3)
    assert "".join(answer.response_gen)
    assert [each.streaming for each in records.records] == [False, False, True]


def test_13_calls_of_a_query_share_their_trace(
    records: CapturedTrail, provider: LocalProvider
) -> None:
    """The embedding and the chat of one query have one trace, and parents of their own."""
    engine = index_of(provider).as_query_engine(llm=make_llm(provider))
    engine.query(PROMPT)
    engine.query(PROMPT)
    _, *calls = records.records
    traces = [each.trace_id for each in calls]
    assert traces[0] == traces[1] != traces[2] == traces[3]
    assert all(each.parent_id and "OpenAILike" not in each.parent_id for each in calls)


@pytest.mark.parametrize("streaming", [False, True])
def test_14_chat_engine(records: CapturedTrail, provider: LocalProvider, streaming: bool) -> None:
    """Each turn of a chat engine is one embedding and one chat, also if it is streamed."""
    engine = index_of(provider).as_chat_engine(
        chat_mode="context",
        llm=make_llm(provider),
        memory=ChatMemoryBuffer.from_defaults(token_limit=1500),
    )
    said = []
    for _ in range(2):
        if streaming:
            said.append("".join(engine.stream_chat(PROMPT).response_gen))
        else:
            said.append(engine.chat(PROMPT).response)
    _, *turns = records.records
    assert [(each.operation, each.streaming) for each in turns] == [
        ("embeddings", False),
        ("chat", streaming),
    ] * 2
    assert {each.status for each in turns} == {"ok"}
    chats = turns[1::2]
    assert [each.output_chars for each in chats] == [len(text) for text in said]
    assert [each.time_to_first_chunk_us is not None for each in chats] == [streaming] * 2
    assert provider.count() == len(records.records) == 5


def count_legs(animal: str) -> int:
    """
    Count the legs of an animal.
    """
    return 8 if animal == "spider" else 4


LOOK_UP = Answer(tool_calls=(("count_legs", '{"animal":"spider"}'),))


@pytest.mark.parametrize("streaming", [True, False])
async def test_15_function_agent(
    records: CapturedTrail, provider: LocalProvider, streaming: bool
) -> None:
    """An agent's two calls around its tool leave two records of one run, and no content."""
    provider.script(LOOK_UP, Answer(text="Eight."))
    agent = FunctionAgent(tools=[count_legs], llm=make_llm(provider), streaming=streaming)
    with instrument_tags({"modeltrail_feature": "zoo"}):
        await agent.run(PROMPT)
    first, second = records.records
    assert provider.count("/v1/chat/completions") == 2
    assert first.trace_id == second.trace_id is not None
    assert [each.feature for each in (first, second)] == ["zoo", "zoo"]
    assert [each.output_format for each in (first, second)] == ["tool_call", "prose"]
    assert first.tags is None


async def test_15_react_agent(records: CapturedTrail, provider: LocalProvider) -> None:
    """A ReAct agent leaves one record per request."""
    provider.script(
        Answer(text='Thought: I need a tool.\nAction: count_legs\nAction Input: {"animal": "ant"}'),
        Answer(text="Thought: I can answer without using any more tools.\nAnswer: Four."),
    )
    await ReActAgent(tools=[count_legs], llm=make_llm(provider)).run(PROMPT)
    assert len(records.records) == provider.count() == 2


@pytest.mark.parametrize("client", ["anthropic", "responses", "openai"])
async def test_15_agent_with_other_clients(
    records: CapturedTrail, provider: LocalProvider, client: str
) -> None:
    """So does an agent over another client."""
    provider.script(LOOK_UP, Answer(text="Eight."))
    await FunctionAgent(tools=[count_legs], llm=CLIENTS[client](provider)).run(PROMPT)
    assert [each.output_format for each in records.records] == ["tool_call", "prose"]
    assert provider.count() == 2


async def test_15_agent_workflow(records: CapturedTrail, provider: LocalProvider) -> None:
    """Two agents that hand over leave one record per request, all of one run."""
    hand_over = '{"to_agent":"counter","reason":"It counts."}'
    provider.script(Answer(tool_calls=(("handoff", hand_over),)), LOOK_UP, Answer(text="Eight."))
    llm = make_llm(provider)
    known: dict[str, Any] = {"llm": llm, "system_prompt": "Be short."}
    host = FunctionAgent(name="host", description="Greets.", can_handoff_to=["counter"], **known)
    counter = FunctionAgent(name="counter", description="Counts.", tools=[count_legs], **known)
    await AgentWorkflow(agents=[host, counter], root_agent="host").run(PROMPT)
    assert len(records.records) == provider.count() == 3
    assert len({each.trace_id for each in records.records}) == 1


class Router(OwnModel):
    """
    A model of an application's own that asks others in turn until one answers.
    """

    models: list[Any]

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        for model in self.models[:-1]:
            try:
                return model.complete(prompt)
            except InternalServerError:
                continue
        return self.models[-1].complete(prompt)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Iterator[Any]:
        yield from self.models[-1].stream_complete(prompt)


@pytest.mark.parametrize("way", WAYS)
def test_10_router_is_no_call_itself(
    records: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """A model that hands a call on to another leaves the record of that one alone."""
    provider.script(Answer(text=TEXT, input_tokens=11))
    WAYS[way](Router(models=[openai_model(provider)]))
    record = only(records)
    assert (record.request_model, record.input_tokens, record.output_chars) == (
        ASKED,
        None if "stream" in way else 11,
        len(TEXT),
    )
    assert provider.count() == 1


def test_10_router_that_falls_back(records: CapturedTrail, provider: LocalProvider) -> None:
    """Each model that a router tries leaves a record of its own."""
    provider.script(Fault(status=500), Answer(text=TEXT))
    Router(models=[openai_model(provider), make_llm(provider)]).complete(PROMPT)
    assert [each.status for each in records.records] == ["error", "ok"]
    assert provider.count() == 2


@pytest.mark.parametrize("way", ["complete", "acomplete", "chat"])
def test_10_router_that_answers_itself(records: CapturedTrail, way: str) -> None:
    """A model that has others at hand and asks none of them has made the call itself."""
    llm = OwnModel()
    WAYS[way](AnsweringRouter(other=llm))
    record = only(records)
    assert (record.status, record.request_model, record.input_tokens) == ("ok", "own", 3)


class AnsweringRouter(OwnModel):
    """
    A model of an application's own that could ask another.
    """

    other: Any
