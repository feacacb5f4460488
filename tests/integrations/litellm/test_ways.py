"""
Every way of calling a model leaves one record: items 3 to 13 and 36 of the checklist.
"""

import asyncio
import inspect
from typing import Any

import litellm
import openai
import pytest
from drivers.litellm import FAKE_KEY, WITH_USAGE, at
from litellm.integrations.custom_logger import CustomLogger
from modeltrail_litellm import TrailLogger
from scenarios import ASKED, PROMPT

from modeltrail.testing import Answer, CapturedTrail, LocalProvider
from tests.integrations.litellm.asking import (
    TOKENS,
    aread,
    of_responses,
    only,
    records,
    tokens,
    without_messages,
)

CLAUDE = "anthropic/claude-sonnet-4-5"
EMBEDDER = "openai/text-embedding-3-small"


def test_03_hooks_have_litellms_own_names() -> None:
    """LiteLLM calls hooks by keyword: a name of ours in place of its own would lose every call."""
    hooks = {
        name: inspect.signature(hook)
        for name, hook in vars(TrailLogger).items()
        if not name.startswith("_")
    }
    assert len(hooks) > 5
    for name, ours in hooks.items():
        theirs = inspect.signature(getattr(CustomLogger, name))
        assert list(ours.parameters) == list(theirs.parameters), name


def test_04_completion(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A call is one record."""
    litellm.completion(**at(provider))
    record = only(captured)
    assert (record.status, record.streaming, tokens(record)) == ("ok", False, TOKENS)
    assert provider.count() == 1


async def test_05_asynchronous_completion(captured: CapturedTrail, provider: LocalProvider) -> None:
    """An asynchronous call is one record, at once."""
    await litellm.acompletion(**at(provider))
    await asyncio.sleep(0)
    (record,) = captured.records
    assert (record.status, record.streaming, tokens(record)) == ("ok", False, TOKENS)
    await captured.recorder.ahear_out(10)
    assert len(captured.records) == provider.count() == 1


def test_06_stream(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A stream that is read to its end is one record."""
    list(litellm.completion(**at(provider, stream=True, **WITH_USAGE)))
    record = only(captured)
    assert (record.status, record.streaming, tokens(record)) == ("ok", True, TOKENS)
    assert record.usage_source == "provider"


async def test_07_asynchronous_stream(captured: CapturedTrail, provider: LocalProvider) -> None:
    """So is an asynchronous one."""
    async for _ in await litellm.acompletion(**at(provider, stream=True, **WITH_USAGE)):
        pass
    await captured.recorder.ahear_out(10)
    record = only(captured)
    assert (record.status, record.streaming, tokens(record)) == ("ok", True, TOKENS)


@pytest.mark.parametrize("streaming", [False, True])
def test_08_responses(captured: CapturedTrail, provider: LocalProvider, *, streaming: bool) -> None:
    """OpenAI's responses are one record, though LiteLLM tells of their streams twice."""
    answer = litellm.responses(**of_responses(provider, stream=streaming))
    _ = list(answer) if streaming else answer
    asyncio.run(captured.recorder.ahear_out(10))
    record = only(captured)
    assert (record.operation, record.status, record.streaming) == ("chat", "ok", streaming)
    assert tokens(record) == TOKENS
    assert (record.input_chars, provider.requests[0].path) == (len(PROMPT), "/v1/responses")


@pytest.mark.parametrize("streaming", [False, True])
async def test_09_asynchronous_responses(
    captured: CapturedTrail, provider: LocalProvider, *, streaming: bool
) -> None:
    """So are asynchronous ones."""
    answer = await litellm.aresponses(**of_responses(provider, stream=streaming))
    await aread(captured, answer, is_streamed=streaming)
    record = only(captured)
    assert (record.operation, record.status, record.streaming) == ("chat", "ok", streaming)
    assert tokens(record) == TOKENS


@pytest.mark.parametrize("streaming", [False, True])
async def test_10_anthropic_messages(
    captured: CapturedTrail, provider: LocalProvider, *, streaming: bool
) -> None:
    """A call of Anthropic's messages is one record, streamed or not."""
    answer = await litellm.anthropic.messages.acreate(
        model=CLAUDE,
        max_tokens=100,
        messages=[{"role": "user", "content": PROMPT}],
        api_base=provider.anthropic_url,
        api_key=FAKE_KEY,
        stream=streaming,
    )
    await aread(captured, answer, is_streamed=streaming)
    record = only(captured)
    assert (record.operation, record.status, record.streaming) == ("chat", "ok", streaming)
    assert tokens(record) == TOKENS
    assert provider.count() == 1


@pytest.mark.parametrize("is_async", [False, True])
def test_11_embedding(captured: CapturedTrail, provider: LocalProvider, *, is_async: bool) -> None:
    """An embedding is one record of its operation."""
    arguments = without_messages(at(provider, model=EMBEDDER, input=[PROMPT]))
    if is_async:
        asyncio.run(litellm.aembedding(**arguments))
    else:
        litellm.embedding(**arguments)
    record = only(captured)
    assert (record.operation, record.status) == ("embeddings", "ok")
    assert tokens(record) == (14, None)


IMAGE = ({"model": "openai/gpt-image-1", "prompt": PROMPT}, "image_generation", (14, 7))
SPEECH = ({"model": "openai/tts-1", "voice": "alloy", "input": PROMPT}, "speech", (None, None))
FILE = ("question.mp3", b"sound", "audio/mpeg")
WHISPER = ({"model": "openai/whisper-1", "file": FILE}, "transcription", (None, None))
BY_TOKEN = ({"model": "openai/gpt-4o-transcribe", "file": FILE}, "transcription", (14, 7))
RERANK = (
    {"model": "cohere/rerank-v3.5", "query": PROMPT, "documents": ["ant", "spider"]},
    "rerank",
    (None, None),
)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("asked", "operation", "counted"),
    [IMAGE, SPEECH, WHISPER, BY_TOKEN, RERANK],
    ids=["image", "speech", "whisper", "by-token", "rerank"],
)
def test_11_what_is_no_text(
    captured: CapturedTrail,
    provider: LocalProvider,
    *,
    asked: dict[str, Any],
    operation: str,
    counted: tuple[int | None, int | None],
    is_async: bool,
) -> None:
    """Pictures, sound and ranks are one record each; what is not billed by token has no tokens."""
    url = provider.cohere_url if operation == "rerank" else provider.base_url
    arguments = {"api_base": url, "api_key": FAKE_KEY, "max_retries": 0, **asked}
    if is_async:
        asyncio.run(getattr(litellm, f"a{operation}")(**arguments))
        asyncio.run(captured.recorder.ahear_out(10))
    else:
        getattr(litellm, operation)(**arguments)
    record = only(captured)
    assert (record.operation, record.status, tokens(record)) == (operation, "ok", counted)
    # LiteLLM knows what they cost; of tokens alone nobody could say so.
    assert record.cost_reported_nanousd
    assert (record.cost_nanousd, record.cost_source) == (record.cost_reported_nanousd, "reported")
    heard = operation == "transcription"
    assert record.input_chars == (None if heard else len(PROMPT))
    assert record.output_chars is None
    assert provider.count() == 1


@pytest.mark.parametrize("is_async", [False, True])
def test_11_text_completion(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool
) -> None:
    """A text completion is one record of its operation."""
    arguments = without_messages(
        at(provider, model="text-completion-openai/gpt-3.5-turbo-instruct", prompt=PROMPT)
    )
    if is_async:
        asyncio.run(litellm.atext_completion(**arguments))
    else:
        litellm.text_completion(**arguments)
    record = only(captured)
    assert (record.operation, record.status, tokens(record)) == ("text_completion", "ok", TOKENS)


def test_12_files_and_batches_are_no_model_calls(
    captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Neither a file nor a batch is recorded as a call of a model that cost nothing."""
    at_provider = {"api_base": provider.base_url, "api_key": FAKE_KEY, "max_retries": 0}
    with pytest.raises(openai.APIStatusError):
        litellm.create_file(
            file=("calls.jsonl", b"{}"),
            purpose="batch",
            custom_llm_provider="openai",
            **at_provider,
        )
    with pytest.raises(openai.APIStatusError):
        litellm.create_batch(
            completion_window="24h",
            endpoint="/v1/chat/completions",
            input_file_id="file-1",
            custom_llm_provider="openai",
            **at_provider,
        )
    assert records(captured) == []


@pytest.mark.parametrize("kind", ["create_file", "acreate_batch", "retrieve_batch", "moderation"])
def test_12_other_kinds_begin_nothing(captured: CapturedTrail, kind: str) -> None:
    """Nor would it be if LiteLLM told of its beginning."""
    (logger,) = (each for each in litellm.callbacks if isinstance(each, TrailLogger))
    details = {"call_type": kind, "litellm_call_id": "1", "model": "m", "litellm_params": {}}
    logger.log_pre_api_call(model="m", messages=[], kwargs=details)
    assert captured.recorder.open_calls == 0
    assert details.keys() == {"call_type", "litellm_call_id", "model", "litellm_params"}


def test_13_moderation_is_not_told_of(captured: CapturedTrail, provider: LocalProvider) -> None:
    """LiteLLM tells nobody of moderations: the documentation says so, as long as it is true."""
    with pytest.raises(openai.APIStatusError):
        litellm.moderation(input="x", api_base=provider.base_url, api_key=FAKE_KEY)
    assert records(captured) == []


@pytest.mark.parametrize("streaming", [False, True])
def test_36_first_chunk_is_of_streams_alone(
    captured: CapturedTrail, provider: LocalProvider, *, streaming: bool
) -> None:
    """LiteLLM repeats the end as the first chunk of what was not streamed; the record does not."""
    provider.script(Answer(text="A long answer.", chunks=4, chunk_delay=0.01))
    answer = litellm.completion(**at(provider, stream=streaming))
    _ = list(answer) if streaming else answer
    record = only(captured)
    assert (record.time_to_first_chunk_us is not None) is streaming
    if record.time_to_first_chunk_us is not None:
        assert record.latency_us is not None
        assert 0 < record.time_to_first_chunk_us < record.latency_us


def test_60_times_are_of_utc(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A record starts before the provider has its request and ends after it, on the same clock."""
    provider.script(Answer(delay=0.05))
    litellm.completion(**at(provider, model=f"openai/{ASKED}"))
    record = only(captured)
    arrived = provider.requests[0].arrived_at_us
    assert record.latency_us is not None
    assert record.started_at_us <= arrived <= record.started_at_us + record.latency_us
