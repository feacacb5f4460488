"""
How LangChain is given the handler, and that nobody suffers by it.
"""

import asyncio
import copy
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import requires, version
from pathlib import Path
from threading import Barrier, Thread, get_ident
from typing import Any
from uuid import uuid4

import modeltrail_langchain
import openai
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.runnables.config import ContextThreadPoolExecutor
from langchain_core.tracers import context as tracers
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI
from mishaps import locked
from modeltrail_langchain import TrailCallbackHandler, install, translate, uninstall
from packaging.requirements import Requirement

import modeltrail
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider, capture_records
from modeltrail.trail import Trail
from tests.integrations.langchain.clients import anthropic_model, openai_model


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Trail]]:
    """Leave nothing installed and no trail open that `install` has opened; list these."""
    trails: list[Trail] = []
    real_open = modeltrail.open

    def note(*args: Any, **options: Any) -> Trail:
        trails.append(real_open(*args, **options))
        return trails[-1]

    monkeypatch.setattr(modeltrail, "open", note)
    try:
        yield trails
    finally:
        uninstall()
        for trail in trails:
            trail.close()


def hooks() -> int:
    """Count what LangChain asks at each call."""
    return len(tracers._configure_hooks)


def in_thread(act: Callable[[], Any]) -> None:
    """Do something in a bare thread, which inherits no context."""
    thread = Thread(target=act)
    thread.start()
    thread.join()


def in_pool(act: Callable[[], Any]) -> None:
    """Do something in a thread of a pool."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(act).result()


def in_context_pool(act: Callable[[], Any]) -> None:
    """Do something in a thread of LangChain's own pool."""
    with ContextThreadPoolExecutor(1) as pool:
        pool.submit(act).result()


def in_executor(act: Callable[[], Any]) -> None:
    """Do something in a thread of an event loop."""

    async def run() -> None:
        await asyncio.get_running_loop().run_in_executor(None, act)

    asyncio.run(run())


def in_task(act: Callable[[], Any]) -> None:
    """Do something in a task of a new loop in a new thread."""

    async def run() -> None:
        await asyncio.create_task(asyncio.to_thread(act))

    in_thread(lambda: asyncio.run(run()))


@pytest.mark.parametrize("place", [in_thread, in_pool, in_context_pool, in_executor, in_task])
def test_60_an_installed_handler_hears_of_every_thread(
    opened: list[Trail],
    captured: CapturedTrail,
    provider: LocalProvider,
    place: Callable[[Callable[[], Any]], None],
) -> None:
    """One call of `install` records the calls of all threads, old and new."""
    install(captured)
    model = openai_model(provider)
    place(lambda: model.invoke("hi"))
    assert [each.status for each in captured.records] == ["ok"]
    assert provider.count() == 1


def test_60_an_installed_handler_hears_of_every_event_loop(
    opened: list[Trail], captured: CapturedTrail, provider: LocalProvider
) -> None:
    """New loops in the main thread and in another one are recorded, streams included."""
    install(captured)

    async def ask() -> None:
        model = openai_model(provider)
        await model.ainvoke("hi")
        assert [_ async for _ in model.astream("hi")]

    asyncio.run(ask())
    assert [each.status for each in captured.records] == ["ok"] * 2
    assert provider.count() == 2


def test_60_installing_again_changes_nothing(
    opened: list[Trail], captured: CapturedTrail, provider: LocalProvider
) -> None:
    """However often it is installed, LangChain has one hook more, and calls are recorded once."""
    first = install(captured)
    before = hooks()
    for _ in range(3):
        assert install(captured) is first
        uninstall()
        assert install(captured) is first
    assert hooks() == before
    beside = TrailCallbackHandler(captured)
    model = openai_model(provider, callbacks=[first, beside])
    model.invoke("hi", {"callbacks": [beside]})
    assert [each.status for each in captured.records] == ["ok"]
    assert provider.count() == 1


def test_60_installing_for_another_trail_switches(
    opened: list[Trail], captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Calls go to the trail that was installed last, and nowhere after `uninstall`."""
    model = openai_model(provider)
    with capture_records() as other:
        install(captured)
        model.invoke("one")
        install(other)
        model.invoke("twenty-two")
        uninstall()
        model.invoke("and nobody hears")
        found = [[each.input_chars for each in trail.records] for trail in (captured, other)]
    assert found == [[3], [10]]
    assert provider.count() == 3


def test_60_after_uninstall_own_handlers_go_on(
    opened: list[Trail], captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A model that has a handler of its own is recorded as before."""
    install(captured)
    uninstall()
    openai_model(provider, callbacks=[TrailCallbackHandler(captured)]).invoke("hi")
    assert [each.status for each in captured.records] == ["ok"]


def test_60_an_installed_handler_knows_where_calls_are_made(
    opened: list[Trail], captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Calls of one chain belong to one trace, though no callback was handed to it."""
    install(captured)
    model = openai_model(provider)
    RunnableParallel(one=model, two=RunnableLambda(lambda _: model.invoke("hi"))).invoke("hi")
    one, two = captured.records
    assert one.trace_id == two.trace_id
    assert None not in (one.parent_id, two.parent_id)


def test_61_installing_without_a_trail_opens_one(
    opened: list[Trail], url: str, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`install()` opens the trail that the environment names, once and for all threads."""
    monkeypatch.setenv("MODELTRAIL_URL", url)
    together = Barrier(8, timeout=30)

    def install_together(_: int) -> TrailCallbackHandler:
        together.wait()
        return install()

    with ThreadPoolExecutor(8) as threads:
        handlers = list(threads.map(install_together, range(8)))
    assert {id(each) for each in handlers} == {id(install())}
    openai_model(provider).invoke("hi")
    (trail,) = opened
    assert trail.flush(10)
    assert len(trail.store.calls(limit=None)) == provider.count() == 1
    assert trail.store.url.database == url.removeprefix("sqlite:///")


def test_61_installing_without_a_trail_keeps_the_one_there_is(
    opened: list[Trail], captured: CapturedTrail, provider: LocalProvider
) -> None:
    """`install()` opens nothing where a trail was installed before."""
    assert install(captured) is install()
    openai_model(provider).invoke("hi")
    assert (len(captured.records), opened) == (1, [])


def copied_by_pickle(value: Any) -> Any:
    """Pickle and unpickle."""
    return pickle.loads(pickle.dumps(value))


COPIES = [copy.copy, copy.deepcopy, copied_by_pickle]


@pytest.mark.parametrize("copied", COPIES)
def test_62_a_copy_of_the_handler_is_the_handler(
    handler: TrailCallbackHandler, captured: CapturedTrail, copied: Callable[[Any], Any]
) -> None:
    """Copies record in the same trail, since they are the same."""
    other = TrailCallbackHandler(captured)
    assert copied(handler) is handler
    assert copied(handler) is handler
    assert copied(other) is other


@pytest.mark.parametrize("copied", COPIES)
def test_62_copies_of_configs_go_on_recording(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    copied: Callable[[Any], Any],
) -> None:
    """A copied config records each call once, even beside the original."""
    config: Any = {"callbacks": [handler], "metadata": {"feature": "f"}}
    model = openai_model(provider, callbacks=[handler])
    model.invoke("hi", copied(config))
    assert [each.feature for each in captured.records] == ["f"]
    assert provider.count() == 1


@pytest.mark.parametrize("copied", COPIES)
def test_62_copies_of_models_go_on_recording(
    handler: TrailCallbackHandler, captured: CapturedTrail, copied: Callable[[Any], Any]
) -> None:
    """A model that can be copied can be so with the handler; ChatOpenAI itself never can."""
    model = FakeListChatModel(responses=["hello"], callbacks=[handler])
    copied(model).invoke("hi")
    assert [each.status for each in captured.records] == ["ok"]


def test_62_pydantic_copies_and_derived_models_go_on_recording(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """So do the copies that the real client can make of itself."""
    model.model_copy().invoke("hi")
    model.model_copy(deep=False, update={"temperature": 0.5}).invoke("hi")
    model.bind(stop=["."]).with_config(tags=["t"]).invoke("hi")
    assert [each.status for each in captured.records] == ["ok"] * 3
    assert provider.count() == 3


ELSEWHERE = """
import pickle, sys
from langchain_core.language_models import FakeListChatModel
from modeltrail.testing import capture_records
config = pickle.loads(bytes.fromhex(sys.argv[1]))
model = FakeListChatModel(responses=["hello"])
with capture_records() as trail:
    model.invoke("before", config)
    assert trail.records == []
    from modeltrail_langchain import install
    handler = install(trail)
    assert config["callbacks"] == [handler]
    model.invoke("hi", config)
    (record,) = trail.records
    assert (record.feature, record.input_chars) == ("f", 2)
    print("recorded")
"""


def test_62_in_another_process_the_handler_is_the_installed_one(
    handler: TrailCallbackHandler, captured: CapturedTrail
) -> None:
    """A config sent to a worker records there in the worker's own trail, and not before."""
    pickled = pickle.dumps({"callbacks": [handler], "metadata": {"feature": "f"}})
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, pickled.hex()],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("recorded\n", "", 0)
    assert captured.records == []


def test_63_handlers_are_told_apart_by_identity(captured: CapturedTrail) -> None:
    """A handler equals itself alone and can be a member of a set."""
    one, two = TrailCallbackHandler(captured), TrailCallbackHandler(captured)
    assert one == copy.deepcopy(one)
    assert one != two
    assert {one, two, copy.copy(one)} == {one, two}
    assert [one, two].index(two) == 1
    assert hash(one) == hash(copied_by_pickle(one))


def spooled(folder: Path) -> bytes:
    """Return what stands in the spool of the trail in a folder."""
    files = [each for each in Path(folder, "calls.db.spool").rglob("*") if each.is_file()]
    return b"".join([each.read_bytes() for each in files])


async def test_64_a_call_ends_while_the_database_is_locked(
    url: str, trail: Trail, provider: LocalProvider, tmp_path: Path
) -> None:
    """An asynchronous call does not wait for the database: its record waits in the spool."""
    model = openai_model(provider, callbacks=[TrailCallbackHandler(trail)])
    with locked(url):
        answer = await model.ainvoke("hi", {"metadata": {"feature": "kept-in-the-spool"}})
        assert answer.content
        assert b"kept-in-the-spool" in spooled(tmp_path)
        assert trail.recorder.open_calls == 0
        assert trail.store.calls(limit=None) == []
    assert await trail.aflush(20)
    assert [each.record.status for each in trail.store.calls(limit=None)] == ["ok"]
    assert (provider.count(), trail.health().problems) == (1, {})


async def test_64_the_handler_runs_in_the_callers_thread(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """What is recorded is recorded by the caller's own thread, before the call returns."""
    threads: list[int] = []
    take = captured.recorder.sink

    def note(frame: Any) -> None:
        threads.append(get_ident())
        take(frame)

    captured.recorder.sink = note
    await model.ainvoke("hi")
    assert [_ async for _ in model.astream("hi")]
    assert threads == [get_ident()] * 4
    assert TrailCallbackHandler.run_inline
    assert provider.count() == 2


def refuse(_: object) -> None:
    """Take no frame."""
    raise OSError("disk full")


def test_65_a_broken_sink_never_breaks_a_call(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """What cannot be written is counted; the application gets its answer or its own error."""
    captured.recorder.sink = refuse
    provider.script(Answer(), Answer(), Fault(status=429))
    assert model.invoke("hi").content
    assert list(model.stream("hi"))
    with pytest.raises(openai.RateLimitError):
        model.invoke("hi")
    assert captured.problems.counts() == {"start-not-written": 3, "call-not-written": 3}
    assert captured.recorder.open_calls == 0


def test_65_health_tells_what_was_lost(url: str, provider: LocalProvider) -> None:
    """A trail that has no more room says how much it dropped; no call hears of it."""
    with modeltrail.open(url, spool_limit_bytes=4 * 1024 * 1024) as trail:
        model = FakeListChatModel(responses=["Eight."], callbacks=[TrailCallbackHandler(trail)])
        config: Any = {"metadata": {"modeltrail_note": "x" * 15_000}}
        with locked(url):
            made = 0
            while not trail.health().drops:
                assert made < 1000, "nothing is ever dropped"
                assert model.invoke("hi", config).content == "Eight."
                made += 1
        assert trail.flush(30)
        dropped = sum(n for what, n in trail.health().drops.items() if what.endswith(":call"))
        assert len(trail.store.calls(limit=None)) + dropped == made


def test_65_a_closed_trail_breaks_no_call(url: str, provider: LocalProvider) -> None:
    """Calls after the trail was closed are problems of the trail alone."""
    with modeltrail.open(url) as trail:
        model = openai_model(provider, callbacks=[TrailCallbackHandler(trail)])
    assert model.invoke("hi").content
    assert trail.health().problems == {"start-not-written": 1, "call-not-written": 1}


@pytest.mark.parametrize("broken", ["request", "response", "partial_response", "has_content"])
def test_65_what_cannot_be_translated_breaks_no_call(
    model: ChatOpenAI,
    captured: CapturedTrail,
    provider: LocalProvider,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    """Whatever of LangChain's cannot be read, the call goes on, and each problem is counted."""
    monkeypatch.setattr(translate, broken, lambda *_, **__: 1 / 0)
    provider.script(Answer(), Fault(status=429))
    assert list(model.stream("hi"))
    with pytest.raises(openai.RateLimitError):
        model.invoke("hi")
    statuses = {"request": [], "response": ["incomplete", "error"]}
    expected = statuses.get(broken, ["ok", "error"])
    assert [each.status for each in captured.records] == expected
    assert captured.problems.counts()
    assert (captured.recorder.open_calls, provider.count()) == (0, 2)
    assert not TrailCallbackHandler.raise_error


def test_66_only_what_a_record_needs_is_listened_to(handler: TrailCallbackHandler) -> None:
    """Chains, tools and retrievers are heard of, retries and custom events are not."""
    heard = ("ignore_llm", "ignore_chat_model", "ignore_chain", "ignore_agent", "ignore_retriever")
    assert not any(getattr(handler, name) for name in heard)
    assert handler.ignore_retry
    assert handler.ignore_custom_event


class Told(BaseCallbackHandler):
    """Keeps the pieces of an answer as LangChain tells of them."""

    def __init__(self) -> None:
        self.tokens: list[Any] = []

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.tokens.append(token)


LEGS = {"name": "count_legs", "description": "Count.", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    "answer",
    [
        Answer("Six legs."),
        Answer("Six legs.", reasoning="Let me see."),
        Answer(tool_calls=(("count_legs", '{"animal":"spider"}'),)),
    ],
    ids=["text", "thinking", "tool call"],
)
def test_67_pieces_may_be_lists_of_blocks(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider, answer: Answer
) -> None:
    """Anthropic's client streams blocks where tools are offered; they count as pieces."""
    provider.script(answer)
    told = Told()
    model = anthropic_model(provider, callbacks=[handler, told])
    list(model.bind_tools([LEGS]).stream("hi"))
    (record,) = captured.records
    assert any(isinstance(token, list) and token for token in told.tokens)
    assert (record.status, record.streaming) == ("ok", True)
    assert record.time_to_first_chunk_us is not None
    assert (captured.problems.counts(), provider.count()) == ({}, 1)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("", False),
        ("a", True),
        ([], False),
        ([{"type": "text", "text": "", "index": 0}], False),
        ([{"type": "text", "text": "a"}], True),
        (["a"], True),
        ([{"type": "thinking", "thinking": "hm"}], True),
    ],
)
def test_67_only_a_piece_with_content_is_the_first(token: Any, expected: bool) -> None:
    """Only a piece that holds something counts as the first chunk."""
    assert translate.has_content(token, None) is expected


def test_68_nothing_serialized(handler: TrailCallbackHandler, captured: CapturedTrail) -> None:
    """Models that cannot be described are recorded (a recorded event sequence: none is at hand)."""
    result = LLMResult(generations=[[ChatGeneration(message=AIMessage("yes"))]])
    known = {"ls_provider": "openai", "ls_model_name": "gpt-4o", "ls_model_type": "chat"}
    chain, chat, text, aid = uuid4(), uuid4(), uuid4(), uuid4()
    handler.on_chain_start(None, {}, run_id=chain)
    handler.on_chat_model_start(
        None, [[HumanMessage("hi")]], run_id=chat, parent_run_id=chain, metadata=known
    )
    handler.on_llm_end(result, run_id=chat, parent_run_id=chain)
    handler.on_llm_start(None, ["hi"], run_id=text, parent_run_id=chain)
    handler.on_llm_end(result, run_id=text, parent_run_id=chain)
    for begin, end in (
        (handler.on_tool_start, handler.on_tool_end),
        (handler.on_retriever_start, handler.on_retriever_end),
    ):
        begin(None, "hi", run_id=aid, parent_run_id=chain)
        end([], run_id=aid)
    handler.on_chain_end({}, run_id=chain)
    found = [(each.operation, each.request_model, each.parent_id) for each in captured.records]
    parent = str(chain)
    assert found == [("chat", "gpt-4o", parent), ("text_completion", None, parent)]
    assert (captured.problems.counts(), len(handler._places)) == ({}, 0)


def test_68_a_retriever_that_is_not_serialized(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A chain with a retriever, of which LangChain serializes nothing, is recorded."""
    store = InMemoryVectorStore.from_texts(["a spider"], DeterministicFakeEmbedding(size=4))
    found = RunnableLambda(lambda documents: documents[0].page_content)
    chain = store.as_retriever() | found | openai_model(provider)
    chain.invoke("hi", {"callbacks": [handler]})
    assert [(each.status, each.input_chars) for each in captured.records] == [("ok", 8)]
    assert captured.problems.counts() == {}
    assert (len(handler._places), provider.count()) == (0, 1)


def test_69_the_installed_core_is_within_the_range_that_is_promised() -> None:
    """The range that our distribution declares admits the core that these tests ran with."""
    declared = map(Requirement, requires("modeltrail-langchain") or ())
    (core,) = [each for each in declared if each.name == "langchain-core"]
    assert core.specifier.contains(version("langchain-core"), prereleases=True)
    assert core.specifier.contains("1.7.2")
    assert not core.specifier.contains("2.0.0")
    assert version("langchain-core") == translate.VERSION
    assert modeltrail_langchain.__version__ == version("modeltrail-langchain")
