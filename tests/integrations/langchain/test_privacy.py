"""
What of LangChain's calls is never kept: searched for in every byte that a trail writes.
"""

import base64
import copy
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI
from mishaps import locked
from modeltrail_langchain import TrailCallbackHandler, translate
from structlog.testing import CapturingLogger

import modeltrail
from modeltrail.record import CaptureMode
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider, capture_records
from tests.integrations.langchain.clients import anthropic_model, openai_model

# In every secret of these tests; and what is not secret, to see that the search would find it.
HUSH = "hush"
MARK = "not-secret"
LARGE = 100_000


def bytes_below(folder: Path) -> bytes:
    """Return all that stands in the files of a folder."""
    files = [each for each in folder.rglob("*") if each.is_file()]
    return b"".join([each.read_bytes() for each in files])


def written_by(
    url: str, folder: Path, act: Callable[[TrailCallbackHandler], None], **options: Any
) -> tuple[bytes, bytes]:
    """Make calls; return the bytes of the spool in which they wait, and of all when stored."""
    with modeltrail.open(url, tags={"environment": MARK}, **options) as trail:
        with locked(url):
            act(TrailCallbackHandler(trail))
            spooled = bytes_below(Path(f"{folder}/calls.db.spool"))
        assert trail.flush(20)
        stored = bytes_below(folder)
    for found in (spooled, stored):
        assert MARK.encode() in found
    return spooled, stored


def secretive(provider: LocalProvider, **options: Any) -> ChatOpenAI:
    """Make a client that carries secrets wherever it can."""
    return openai_model(
        provider,
        api_key=f"sk-{HUSH}-key-0123456789",
        default_headers={"x-token": f"{HUSH}-header"},
        extra_body={"guard": f"{HUSH}-body"},
        metadata={"api_key": f"{HUSH}-metadata", "password": f"{HUSH}-password"},
        **options,
    )


def call_with_secrets(
    model: ChatOpenAI, provider: LocalProvider, handler: TrailCallbackHandler
) -> None:
    """Answer, stream, refuse and break, each with headers and metadata that are secret."""
    config: Any = {
        "callbacks": [handler],
        "metadata": {
            "authorization": f"Bearer {HUSH}-metadata",
            "secret": {"key": f"{HUSH}-deep"},
            "modeltrail_api_key": f"{HUSH}-tag",
            "modeltrail_note": f"used sk-{HUSH}-key-0123456789",
        },
    }
    told = f"Incorrect API key provided: sk-{HUSH}-key-0123456789"
    headers = {"x-debug": f"{HUSH}-answer-header"}
    provider.script(
        Answer(text=f"{HUSH}-answer"),
        Answer(text=f"{HUSH}-answer"),
        Fault(status=401, message=told, headers=headers),
        Fault(error_after=1, message=told, answer=Answer(text=f"{HUSH}-answer")),
    )
    more = {"extra_headers": {"x-more": f"{HUSH}-more"}}
    question = f"My key is sk-{HUSH}-key-0123456789"
    model.invoke(question, config, **more)
    list(model.stream(question, config, **more))
    with pytest.raises(Exception, match=HUSH):
        model.invoke(question, config, **more)
    with pytest.raises(Exception, match=HUSH):
        list(model.stream(question, config, **more))


def test_56_secrets_are_in_no_record(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Keys, headers, bodies, metadata and the provider's words about an error stay outside."""
    call_with_secrets(secretive(provider), provider, handler)
    records = captured.records
    assert [each.status for each in records] == ["ok", "ok", "error", "error"]
    assert len(records) == provider.count()
    assert records[2].provider_request_id == provider.requests[2].request_id
    assert HUSH.encode() not in msgspec.json.encode(records)


def test_56_secrets_are_in_no_byte_of_a_trail(
    url: str, tmp_path: Path, own_home: Path, provider: LocalProvider
) -> None:
    """Neither the spool nor the database nor the logger of a trail sees a secret."""
    mirror = CapturingLogger()
    model = secretive(provider)
    written = written_by(
        url, tmp_path, lambda handler: call_with_secrets(model, provider, handler), mirror=mirror
    )
    for found in (*written, bytes_below(own_home), repr(mirror.calls).encode()):
        assert HUSH.encode() not in found
    assert [each.args for each in mirror.calls].count(("model_call",)) == provider.count()


@pytest.mark.parametrize("broken", ["request", "response", "partial_response"])
def test_56_secrets_are_in_no_log(
    handler: TrailCallbackHandler,
    captured: CapturedTrail,
    provider: LocalProvider,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    """What goes wrong inside is logged by its kind alone, whatever the error says."""

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError(f"{HUSH}-inside")

    monkeypatch.setattr(translate, broken, fail)
    with caplog.at_level(logging.DEBUG):
        call_with_secrets(secretive(provider), provider, handler)
        captured.recorder.settle()
        assert captured.problems.counts()
    # The clients' own loggers are the application's affair; LangChain's tells of handlers.
    ours = [each for each in caplog.records if each.name.startswith(("modeltrail", "langchain"))]
    assert {each.name for each in ours} == {"modeltrail"}
    assert all(HUSH not in logging.Formatter().format(each) for each in ours)
    assert HUSH.encode() not in msgspec.json.encode(captured.records)


def test_56_credentials_in_tags_are_replaced(
    url: str, provider: LocalProvider, captured: CapturedTrail
) -> None:
    """What looks like a credential in a free tag is not stored."""
    key = f"sk-{HUSH}-0123456789abcdef"
    metadata: Any = {"metadata": {"modeltrail_note": f"used {key}", "modeltrail_team": MARK}}
    openai_model(provider, callbacks=[TrailCallbackHandler(captured)]).invoke("hi", metadata)
    (record,) = captured.records
    assert record.tags == f'{{"note":"used [secret]","team":"{MARK}"}}'


PIXELS = base64.b64encode(bytes(range(256)) * 8).decode()
OTHERS = base64.b64encode(bytes(range(255, -1, -1)) * 8).decode()
# The ways to put a picture, a sound or a file into a message.
PARTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "image_url": lambda data: {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{data}"},
    },
    "image": lambda data: {"type": "image", "base64": data, "mime_type": "image/png"},
    "older image": lambda data: {
        "type": "image",
        "source_type": "base64",
        "data": data,
        "mime_type": "image/png",
    },
    "document": lambda data: {
        "type": "file",
        "base64": data,
        "mime_type": "application/pdf",
        "filename": "a.pdf",
    },
    "input_audio": lambda data: {
        "type": "input_audio",
        "input_audio": {"data": data, "format": "wav"},
    },
    "file": lambda data: {
        "type": "file",
        "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{data}"},
    },
}


def show(data: str, kind: str) -> list[HumanMessage]:
    """Ask about something inline."""
    return [HumanMessage([{"type": "text", "text": "What is it?"}, PARTS[kind](data)])]


@pytest.mark.parametrize("kind", PARTS)
def test_57_inline_media_are_told_apart_by_their_digest(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider, kind: str
) -> None:
    """The same picture has the same digest, another one another; neither counts as text."""
    for data in (PIXELS, PIXELS, OTHERS, PIXELS[:-4]):
        model.invoke(show(data, kind))
    same, again, other, shorter = captured.records
    assert same.input_digest is not None
    assert same.input_digest == again.input_digest
    assert len({same.input_digest, other.input_digest, shorter.input_digest}) == 3
    # The question, then the kind, the hash and the size.
    assert len("What is it?") + 64 < (same.input_chars or 0) < 150
    assert provider.count() == 4


def test_57_anthropic_pictures(
    handler: TrailCallbackHandler, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Pictures in Anthropic's own form are told apart as well."""
    model = anthropic_model(provider, callbacks=[handler])
    for data in (PIXELS, PIXELS, OTHERS):
        source = {"type": "base64", "media_type": "image/png", "data": data}
        model.invoke([HumanMessage([{"type": "image", "source": source}])])
    same, again, other = captured.records
    assert same.input_digest == again.input_digest != other.input_digest
    assert (same.input_chars or 0) < 150
    assert provider.count() == 3


def test_57_a_picture_is_in_no_byte_of_a_trail(
    url: str, tmp_path: Path, provider: LocalProvider
) -> None:
    """Of a picture of a megabyte neither the spool nor the database holds a piece."""
    data = base64.b64encode(b"picture-" * 131_072).decode()
    model = openai_model(provider)

    def ask(handler: TrailCallbackHandler) -> None:
        for kind in PARTS:
            model.invoke(show(data, kind), {"callbacks": [handler]})

    spooled, stored = written_by(url, tmp_path, ask)
    for found in (spooled, stored):
        assert data[:32].encode() not in found
        assert b"picture-" not in found
    assert provider.count() == len(PARTS)


def conversation() -> list[Any]:
    """Make messages of every kind."""
    call = {"name": "look", "args": {"at": "é"}, "id": "c1", "type": "tool_call"}
    return [
        SystemMessage("Be brief."),
        *show(PIXELS, "image_url"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("a dot", tool_call_id="c1"),
    ]


def test_58_messages_are_not_changed(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """The caller's messages are afterwards as they were, pictures and tool calls included."""
    messages, before = conversation(), copy.deepcopy(conversation())
    model.invoke(messages)
    (record,) = captured.records
    mark = len("[image_url sha256: 2754 bytes]") + 64
    arguments = r'{"name":"look","arguments":"{\"at\":\"é\"}"}'
    texts = ("Be brief.", "What is it?", arguments, "a dot")
    assert record.input_chars == sum(map(len, texts)) + mark
    assert record.prompt_digest is not None
    assert messages == before
    assert provider.count() == 1


@pytest.mark.parametrize("size", [10, LARGE], ids=["small", "large"])
def test_58_what_the_caller_changes_later_is_not_recorded(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider, size: int
) -> None:
    """A message that the application changes during and after the call is recorded as it was."""

    def asked() -> list[Any]:
        return [HumanMessage([{"type": "text", "text": "x" * size}]), HumanMessage("y" * size)]

    messages = asked()

    def change(_: Any) -> Answer:
        messages[0].content[0]["text"] = "other"
        messages[1].content = "other"
        messages.append(HumanMessage("more"))
        return Answer()

    provider.answers = change
    model.invoke(messages)
    messages[0].content.clear()
    provider.answers = lambda _: Answer()
    model.invoke(asked())
    changed, untouched = captured.records
    assert changed.input_digest is not None
    assert changed.input_digest == untouched.input_digest
    assert changed.input_chars == untouched.input_chars == 2 * size
    assert provider.count() == 2


def test_58_an_answer_that_the_caller_changes_is_recorded_as_it_was(
    model: ChatOpenAI, captured: CapturedTrail, provider: LocalProvider
) -> None:
    """So it is with the answer."""
    provider.script(Answer("y" * LARGE), Answer("y" * LARGE))
    model.invoke("hi").content = "other"
    model.invoke("hi")
    changed, untouched = captured.records
    assert changed.output_digest is not None
    assert changed.output_digest == untouched.output_digest
    assert changed.output_chars == LARGE


def call_with_content(
    model: ChatOpenAI, provider: LocalProvider, handler: TrailCallbackHandler
) -> None:
    """Ask, answer, call tools and fail, with content small and large."""
    tool_calls = ((f"{HUSH}-tool", f'{{"animal":"{HUSH}-argument"}}'),)
    provider.script(
        Answer(f"{HUSH}-answer"),
        Answer(f"{HUSH}-answer" * LARGE),
        Answer(tool_calls=tool_calls),
        Fault(status=400, message=f"{HUSH}-error"),
        Fault(drop_after=2, answer=Answer(f"{HUSH}-partial")),
    )
    config: Any = {"callbacks": [handler]}
    prompt = SystemMessage(f"{HUSH}-system")
    model.invoke([prompt, HumanMessage(f"{HUSH}-question")], config)
    model.invoke([prompt, HumanMessage(f"{HUSH}-question" * LARGE)], config)
    model.bind(tools=[TOOL]).invoke([prompt, *conversation()], config)
    with suppress(Exception):
        model.invoke([prompt], config)
    with suppress(Exception):
        list(model.stream([prompt], config))


TOOL = {
    "type": "function",
    "function": {"name": f"{HUSH}-tool", "parameters": {"type": "object", "properties": {}}},
}


@pytest.mark.parametrize("capture", ["metadata", "digest"])
def test_59_no_content_is_in_any_byte_of_a_trail(
    url: str, tmp_path: Path, provider: LocalProvider, capture: CaptureMode
) -> None:
    """No prompt, answer, argument or error text stands anywhere, as long as none is asked for."""
    model = openai_model(provider)
    spooled, stored = written_by(
        url, tmp_path, lambda handler: call_with_content(model, provider, handler), capture=capture
    )
    assert HUSH.encode() not in spooled + stored
    for name in (b"input_digest", b"output_digest", b"prompt_digest"):
        assert (name in spooled) == (capture == "digest")
    with modeltrail.open(url) as trail:
        records = [each.record for each in trail.store.calls(limit=None)]
    assert len(records) == provider.count() == 5
    has_digests = {each.input_digest is not None for each in records}
    assert has_digests == {capture == "digest"}


def test_59_metadata_alone_keeps_the_rest(provider: LocalProvider) -> None:
    """Sizes, formats, usage and tags are there all the same."""
    with capture_records(capture="metadata") as captured:
        model = openai_model(provider, callbacks=[TrailCallbackHandler(captured)])
        call_with_content(model, provider, TrailCallbackHandler(captured))
    records = captured.records
    assert HUSH.encode() not in msgspec.json.encode(records)
    assert [each.input_digest or each.output_digest or each.prompt_digest for each in records] == (
        [None] * provider.count()
    )
    found = [(each.status, each.output_format) for each in records[:3]]
    assert found == [("ok", "prose"), ("ok", None), ("ok", "tool_call")]
    assert (records[0].input_tokens, records[0].output_chars) == (14, len(f"{HUSH}-answer"))
