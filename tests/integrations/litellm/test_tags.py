"""
What LiteLLM's calls are for: items 30, 58 and 60 of the checklist, in SDK and Router.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import litellm
import pytest
from drivers.litellm import FAKE_KEY, WITH_USAGE, asked, at
from modeltrail_litellm import install, uninstall
from scenarios import PROMPT

import modeltrail
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider, capture_records
from tests.integrations.litellm.asking import (
    deployment,
    of_responses,
    only,
    records,
    without_messages,
)

# The weakest first; each wins over all before it.
PLACES: list[tuple[str, dict[str, Any]]] = [
    ("litellms tag", {"metadata": {"tags": ["feature:litellms tag"]}}),
    ("context", {}),
    ("litellm_metadata", {"litellm_metadata": {"feature": "litellm_metadata"}}),
    ("metadata", {"metadata": {"feature": "metadata"}}),
    ("prefixed", {"metadata": {"modeltrail_feature": "prefixed"}}),
]


def given(count: int) -> dict[str, Any]:
    """Return the arguments that name the feature in the weakest places."""
    arguments: dict[str, Any] = {}
    for _, place in PLACES[:count]:
        for name, told in place.items():
            arguments[name] = {**arguments.get(name, {}), **told}
    return arguments


@pytest.mark.parametrize("is_routed", [False, True])
@pytest.mark.parametrize("count", range(len(PLACES) + 1))
def test_30_each_place_wins_over_the_one_before(
    provider: LocalProvider, count: int, *, is_routed: bool
) -> None:
    """Metadata of the call > `modeltrail.tag` > LiteLLM's own tags > the trail's defaults."""
    with capture_records(tags={"feature": "default"}) as trail:
        logger = install(trail)
        context = {"feature": "context"} if count > 1 else {}
        with modeltrail.tag(**context):
            if is_routed:
                router = litellm.Router(model_list=[deployment(provider, "chat", "x")])
                router.completion(model="chat", messages=asked(), **given(count))
            else:
                litellm.completion(**at(provider, **given(count)))
        record = only(trail)
        uninstall(logger)
    assert record.feature == (PLACES[count - 1][0] if count else "default")


def test_30_places_complete_each_other(captured: CapturedTrail, provider: LocalProvider) -> None:
    """Each tag is taken from the strongest place that names it."""
    with modeltrail.tag(feature="context", variant="context", user="context", session="context"):
        litellm.completion(
            **at(
                provider,
                metadata={"feature": "metadata"},
                litellm_metadata={"feature": "other", "variant": "other"},
                user="argument",
            )
        )
    record = only(captured)
    ref = captured.recorder.ref
    assert (record.feature, record.variant) == ("metadata", "other")
    assert (record.user_ref, record.session_ref) == (ref("argument"), ref("context"))


# --- every way of calling -----------------------------------------------------------------------

TAGS = {"feature": "support", "variant": "B", "user": "u-17", "team": "berlin"}

Start = Callable[[LocalProvider], Any]


def chat(provider: LocalProvider, **more: Any) -> dict[str, Any]:
    """Return the arguments of a streamed call."""
    return at(provider, stream=True, **WITH_USAGE, **more)


def embedding(provider: LocalProvider) -> dict[str, Any]:
    """Return the arguments of an embedding."""
    model = "openai/text-embedding-3-small"
    return without_messages(at(provider, model=model, input=[PROMPT]))


def text(provider: LocalProvider) -> dict[str, Any]:
    """Return the arguments of a text completion."""
    model = "text-completion-openai/gpt-3.5-turbo-instruct"
    return without_messages(at(provider, model=model, prompt=PROMPT))


def routed(provider: LocalProvider) -> litellm.Router:
    """Return a Router."""
    return litellm.Router(model_list=[deployment(provider, "chat", "x")], num_retries=0)


ROUTED: dict[str, Any] = {"model": "chat", "messages": asked()}
SPEECH = {"model": "openai/tts-1", "voice": "alloy", "input": PROMPT, "api_key": FAKE_KEY}
SYNC: dict[str, Start] = {
    "completion": lambda provider: litellm.completion(**at(provider)),
    "stream": lambda provider: litellm.completion(**chat(provider)),
    "responses": lambda provider: litellm.responses(**of_responses(provider)),
    "responses-stream": lambda provider: litellm.responses(**of_responses(provider, stream=True)),
    "text": lambda provider: litellm.text_completion(**text(provider)),
    "embedding": lambda provider: litellm.embedding(**embedding(provider)),
    "speech": lambda provider: litellm.speech(**SPEECH, api_base=provider.base_url),
    "router": lambda provider: routed(provider).completion(**ROUTED),
    "router-stream": lambda provider: routed(provider).completion(**ROUTED, stream=True),
}
ASYNC: dict[str, Start] = {
    "completion": lambda provider: litellm.acompletion(**at(provider)),
    "stream": lambda provider: litellm.acompletion(**chat(provider)),
    "responses": lambda provider: litellm.aresponses(**of_responses(provider)),
    "responses-stream": lambda provider: litellm.aresponses(**of_responses(provider, stream=True)),
    "text": lambda provider: litellm.atext_completion(**text(provider)),
    "embedding": lambda provider: litellm.aembedding(**embedding(provider)),
    "speech": lambda provider: litellm.aspeech(**SPEECH, api_base=provider.base_url),
    "router": lambda provider: routed(provider).acompletion(**ROUTED),
    "router-stream": lambda provider: routed(provider).acompletion(**ROUTED, stream=True),
    "messages": lambda provider: litellm.anthropic.messages.acreate(
        model="anthropic/claude-sonnet-4-5",
        max_tokens=100,
        messages=asked(),
        api_base=provider.anthropic_url,
        api_key=FAKE_KEY,
        stream=True,
    ),
}


def assert_tagged(captured: CapturedTrail) -> None:
    """Find one record with the tags of the context that it began in."""
    record = only(captured)
    found = (record.status, record.feature, record.variant, record.user_ref)
    assert found == ("ok", "support", "B", captured.recorder.ref("u-17"))
    assert '"team":"berlin"' in (record.tags or "")


@pytest.mark.parametrize("way", SYNC)
def test_58_context_is_that_of_the_call(
    captured: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """The tags are those of the place that calls, not of that which reads, or of LiteLLM's."""
    with modeltrail.tag(**TAGS):
        answer = SYNC[way](provider)
    with modeltrail.tag(feature="later", variant="later", user="later", team="later"):
        _ = list(answer) if "stream" in way else answer
        asyncio.run(captured.recorder.ahear_out(10))
        assert_tagged(captured)


@pytest.mark.parametrize("way", ASYNC)
async def test_58_context_of_asynchronous_calls(
    captured: CapturedTrail, provider: LocalProvider, way: str
) -> None:
    """The same asynchronously, in the loop that the tags were set in."""
    with modeltrail.tag(**TAGS):
        answer = await ASYNC[way](provider)
    with modeltrail.tag(feature="later", variant="later", user="later", team="later"):
        if hasattr(answer, "__aiter__"):
            async for _ in answer:
                pass
        await captured.recorder.ahear_out(10)
        assert_tagged(captured)


@pytest.mark.parametrize("is_async", [False, True])
def test_58_context_of_failures(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool
) -> None:
    """A call that fails has its tags, too."""
    provider.script(Fault(500))
    with modeltrail.tag(**TAGS), pytest.raises(litellm.InternalServerError):
        asyncio.run(litellm.acompletion(**at(provider))) if is_async else litellm.completion(
            **at(provider)
        )
    record = only(captured)
    assert (record.status, record.feature, record.variant) == ("error", "support", "B")


async def test_58_tasks_keep_their_own_contexts(
    captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Of tasks at once each call has the tags of its own."""
    provider.answers = lambda request: Answer(text=request.body["messages"][0]["content"])

    async def ask(number: int) -> None:
        with modeltrail.tag(feature=f"f-{number}"):
            await litellm.acompletion(**at(provider, messages=asked("x" * number)))

    await asyncio.gather(*(ask(number) for number in range(1, 9)))
    await captured.recorder.ahear_out(10)
    found = {each.feature: (each.input_chars, each.output_chars) for each in records(captured)}
    assert found == {f"f-{number}": (number, number) for number in range(1, 9)}


# --- times --------------------------------------------------------------------------------------


@pytest.fixture(params=["Asia/Tokyo", "America/Caracas"])
def abroad(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be in another time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("way", ["completion", "stream"])
@pytest.mark.parametrize("is_async", [False, True])
def test_60_time_zone_does_not_matter(
    captured: CapturedTrail, provider: LocalProvider, abroad: None, way: str, *, is_async: bool
) -> None:
    """The times of a record are of UTC wherever LiteLLM runs: the provider's lies within."""
    provider.script(Answer(delay=0.02, chunk_delay=0.01))

    async def ask() -> None:
        answer = await ASYNC[way](provider)
        if way == "stream":
            async for _ in answer:
                pass
        await captured.recorder.ahear_out(10)

    if is_async:
        asyncio.run(ask())
    else:
        list(SYNC[way](provider))
    record = only(captured)
    arrived = provider.requests[0].arrived_at_us
    assert record.latency_us is not None
    assert record.started_at_us <= arrived <= record.started_at_us + record.latency_us
    if way == "stream":
        assert record.time_to_first_chunk_us is not None
        first = record.started_at_us + record.time_to_first_chunk_us
        assert arrived < first < record.started_at_us + record.latency_us
