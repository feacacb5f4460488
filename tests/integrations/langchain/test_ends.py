"""
Ends that come late, without a start or never.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult
from langchain_openai import ChatOpenAI
from modeltrail_langchain import TrailCallbackHandler, install, uninstall

import modeltrail
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from tests.integrations.langchain.calling import ASKED, PATIENCE_S, QUESTION, until
from tests.integrations.langchain.clients import openai_model


class RudeError(Exception):
    """
    What a neighbour raises.
    """


class Rude(BaseCallbackHandler):
    """
    A handler that lets no other hear of the end of a call.
    """

    raise_error = True
    run_inline = True

    def on_llm_end(self, *_: object, **__: Any) -> None:
        raise RudeError


class Listener(BaseCallbackHandler):
    """
    A handler that notes in what order things end.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_chain_end(self, *_: object, parent_run_id: UUID | None = None, **__: Any) -> None:
        if parent_run_id is None:
            self.heard.append("chain")

    def on_llm_error(self, *_: object, **__: Any) -> None:
        self.heard.append("model")


# Ends that are not told, or not in order


@pytest.mark.parametrize(
    "call",
    [lambda model: model.invoke("hi"), lambda model: list(model.stream("hi"))],
    ids=["invoke", "stream"],
)
def test_12_rude_neighbour_costs_no_record(
    call: Callable[[ChatOpenAI], object],
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """A handler that raises keeps the end from us; the call is recorded all the same."""
    with pytest.raises(RudeError):
        call(openai_model(provider, callbacks=[Rude(), handler]))
    assert captured.recorder.settle() == 1
    assert [each.status for each in captured.records] == ["incomplete"]
    assert provider.count() == 1


async def test_12_rude_neighbour_in_a_task(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """In a task the call is closed without anybody's help, when the task ends."""
    model = openai_model(provider, callbacks=[Rude(), handler])
    with pytest.raises(RudeError):
        await asyncio.create_task(model.ainvoke("hi"))
    await asyncio.sleep(0)  # whoever waits for a task may hear of its end before we do
    assert (captured.recorder.open_calls, len(handler._calls)) == (0, 0)
    assert [each.status for each in captured.records] == ["cancelled"]
    assert provider.count() == 1


def test_13_end_of_the_chain_before_that_of_the_call(
    model: ChatOpenAI,
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
) -> None:
    """A chain's stream that is closed ends before its call, which keeps text, parent and trace."""
    provider.script(Answer(text="abcdef", chunks=6))
    listener, run_id = Listener(), uuid4()
    chain = (ASKED | model).with_config(callbacks=[listener, handler])
    stream = chain.stream(QUESTION, config={"run_id": run_id})
    while not next(stream).content:
        pass
    stream.close()
    assert listener.heard == ["chain", "model"]
    (record,) = captured.records
    assert (record.status, record.output_chars) == ("cancelled", 1)
    assert record.parent_id == record.trace_id == str(run_id)
    assert (len(handler._places), len(handler._calls)) == (0, 0)


def test_14_recorded_from_the_middle_of_a_call(
    captured: CapturedTrail, provider: LocalProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a call whose start was not recorded the rest is passed over in silence."""
    install(captured)
    try:
        uninstall()
        stream = openai_model(provider).stream("hi")
        next(stream)
        install(captured)
        assert "".join(str(each.text) for each in stream)
    finally:
        uninstall()
    assert (captured.records, captured.problems.counts(), caplog.records) == ([], {}, [])
    assert provider.count() == 1


@pytest.mark.parametrize(
    ("event", "given"),
    [
        ("on_llm_new_token", ["a"]),
        ("on_llm_end", [LLMResult(generations=[])]),
        ("on_llm_error", [ValueError()]),
        ("on_chain_end", [{}]),
        ("on_chain_error", [ValueError()]),
        ("on_tool_end", ["a"]),
        ("on_tool_error", [ValueError()]),
        ("on_retriever_end", [[]]),
        ("on_retriever_error", [ValueError()]),
    ],
)
def test_14_events_of_unknown_runs(
    event: str,
    given: list[Any],
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Events of a run whose start was never seen are passed over in silence."""
    getattr(handler, event)(*given, run_id=uuid4())
    assert (captured.records, captured.problems.counts(), caplog.records) == ([], {}, [])


# A program that is killed

PROGRAM = """
import os, sys, threading
from langchain_openai import ChatOpenAI
from modeltrail_langchain import TrailCallbackHandler
import modeltrail

url, base_url = sys.argv[1:]
model = ChatOpenAI(model="gpt-4o-mini", base_url=base_url, api_key="x", max_retries=0)
config = {"callbacks": [TrailCallbackHandler(modeltrail.open(url))], "metadata": {"user": "u-1"}}
threading.Thread(target=lambda: sys.stdin.read(1) and os._exit(3)).start()
with modeltrail.tag(feature="support"):
    model.invoke("hi", config=config)
"""


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run the program; it ends at once when it is told anything.
    """
    command = [sys.executable, "-c", PROGRAM, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.fault
async def test_16_crash_within_a_call_leaves_a_record(url: str, provider: LocalProvider) -> None:
    """A call that was in flight when its program died is found when the trail is opened again."""
    provider.script(Fault(hang=60))
    with running(url, provider.base_url) as process:
        await until(provider.count, patience_s=60)
        process.communicate(b"!")
        assert process.returncode == 3
    with modeltrail.open(url) as trail:
        assert trail.flush(PATIENCE_S)
        (record,) = [each.record for each in trail.store.calls(limit=None)]
        assert (record.status, record.latency_us) == ("incomplete", None)
        assert (record.request_model, record.feature) == ("gpt-4o-mini", "support")
        assert record.user_ref == trail.recorder.ref("u-1")
    assert provider.count() == 1
