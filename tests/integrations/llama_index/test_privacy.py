"""
What of LlamaIndex's calls is never kept, and what is kept of what changes.
"""

from pathlib import Path
from typing import Any

import openai
import pytest
from drivers.llama_index import FAKE_KEY, asked, make_embedding, make_llm
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index_instrumentation.dispatcher import instrument_tags
from modeltrail_llama_index import instrument

import modeltrail
from modeltrail.record import CaptureMode
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from modeltrail.trail import Trail


def stored_bytes(folder: Path) -> bytes:
    """
    Return all that a trail has written.
    """
    return b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())


def written(trail: Trail, folder: Path) -> bytes:
    """
    Return all that a trail writes, before and after it is stored.
    """
    waiting = stored_bytes(folder)
    assert trail.flush(10)
    return waiting + stored_bytes(folder)


def hush_legs(animal: str) -> str:
    """
    Count the legs of an animal.
    """
    return f"secret-result of {animal}"


@pytest.mark.parametrize("capture", ["metadata", "digest"])
async def test_42_nothing_of_an_agents_run_is_stored(
    url: str, provider: LocalProvider, tmp_path: Path, capture: CaptureMode
) -> None:
    """The prompt stands in tags of workflows' steps; with capture off nothing of it is stored."""
    use = Answer(tool_calls=(("hush_legs", '{"animal":"secret-animal"}'),))
    provider.script(use, Answer(text="secret-answer"))
    tool = FunctionTool.from_defaults(hush_legs)
    agent = FunctionAgent(tools=[tool], llm=make_llm(provider), system_prompt="secret-system")
    own = {"llamaindex.step.input_summary": "secret-summary", "start_event": "secret-event"}
    with modeltrail.open(url, capture=capture) as trail, instrument(trail):
        with instrument_tags({"variant": "B", **own}):
            await agent.run("secret-prompt")
        found = written(trail, tmp_path)
        calls = list(trail.store.calls())
    assert [each.record.variant for each in calls] == ["B", "B"]
    assert b"gpt-4o-mini" in found
    assert b"secret-" not in found
    assert provider.count() == 2


def test_43_no_secret_and_no_content_is_stored(
    trail: Trail, provider: LocalProvider, tmp_path: Path
) -> None:
    """No key, header, prompt or answer is in any file, before or after it is stored."""
    provider.script(
        Answer(text="secret-answer"),
        Fault(status=401, message="secret-error"),
        Fault(error_after=1, message="secret-error", answer=Answer(text="secret-answer")),
    )
    headers = {"Authorization": "Bearer secret-header", "X-Own": "secret-header"}
    llm = make_llm(provider, default_headers={"X-More": "secret-header"})
    with instrument(trail):
        llm.chat(asked("secret-prompt"), extra_headers=headers, extra_body={"a": "secret-body"})
        with pytest.raises(openai.AuthenticationError):
            llm.chat(asked("secret-prompt"))
        with pytest.raises(openai.APIError):
            list(llm.stream_chat(asked("secret-prompt"), extra_headers=headers))
        make_embedding(provider).get_text_embedding("secret-prompt")
    found = written(trail, tmp_path)
    assert b"gpt-4o-mini" in found
    assert FAKE_KEY.encode() not in found
    assert b"secret-" not in found
    assert len(list(trail.store.calls())) == provider.count() == 4


@pytest.mark.parametrize("streaming", [True, False])
def test_43_no_secret_is_shown(trail: Trail, provider: LocalProvider, streaming: bool) -> None:
    """Neither what is remembered of a call while it is served nor the handlers show a secret."""
    shown: list[str] = []

    def look(_: Any) -> Answer:
        calls: Any = instrumentation._calls
        shown.append(f"{calls._calls} {calls._spans} {vars(calls)}")
        return Answer()

    provider.answers = look
    llm = make_llm(provider, default_headers={"X-More": "secret-header"})
    given = {"extra_headers": {"Authorization": "Bearer secret-header"}}
    with instrument(trail) as instrumentation:
        if streaming:
            pieces = llm.stream_chat(asked("secret-prompt"), **given)
            next(pieces)
            look(None)
            list(pieces)
        else:
            llm.chat(asked("secret-prompt"), **given)
    assert len(shown) == 1 + streaming
    assert all("OpenAILike" in each for each in shown)
    assert FAKE_KEY not in "".join(shown)
    assert "secret-" not in "".join(shown)


@pytest.mark.parametrize("streaming", [True, False])
def test_44_messages_are_as_they_were_asked(
    records: CapturedTrail, provider: LocalProvider, streaming: bool
) -> None:
    """What the application does to its messages while it waits changes nothing of the record."""
    messages = [ChatMessage(role="system", content="Be brief."), *asked("hi")]
    make_llm(provider).chat(list(messages))

    def change(_: Any) -> Answer:
        messages[1].content = "something else"
        messages.append(ChatMessage(role="user", content="more"))
        return Answer()

    provider.answers = change
    llm = make_llm(provider)
    pieces = llm.stream_chat(messages) if streaming else [llm.chat(messages)]
    list(pieces)
    asked_before, record = records.records
    assert len(messages) == 3
    assert record.input_chars == asked_before.input_chars
    assert record.input_digest == asked_before.input_digest is not None
    assert record.prompt_digest == asked_before.prompt_digest is not None
