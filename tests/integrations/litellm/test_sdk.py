"""
What is particular to LiteLLM, through its real SDK.
"""

import asyncio
import copy
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import litellm
import openai
import pytest
from drivers.litellm import FAKE_KEY, WITH_USAGE, asked, at, wait_for_threads
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER
from modeltrail_litellm import TrailLogger, install, uninstall
from modeltrail_litellm.translate import request
from msgspec import structs
from scenarios import ANSWER, ANSWERED, ASKED, PROMPT, TEXT

import modeltrail
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider, capture_records
from modeltrail.trail import Trail
from tests.integrations.litellm.asking import (
    TOKENS,
    deployment,
    only,
    records,
    tokens,
    without_messages,
)

UNKNOWN = "openai/nobody-knows-it"


# --- Router -------------------------------------------------------------------------------------


def test_27_deployments_are_told_apart(captured: CapturedTrail, provider: LocalProvider) -> None:
    """The Router's choice is the deployment and, by its model_info, the variant."""
    arms = [deployment(provider, "chat", f"id-{v}", variant=v) for v in "AB"]
    router = litellm.Router(model_list=arms)
    for _ in range(12):
        router.completion(model="chat", messages=asked())
    found = {(each.deployment, each.variant, each.tags) for each in records(captured)}
    group = '{"model_group":"chat"}'
    assert found == {("id-A", "A", group), ("id-B", "B", group)}
    assert len(captured.records) == provider.count() == 12


def test_28_variant_of_the_application_wins(
    captured: CapturedTrail, provider: LocalProvider
) -> None:
    """What the application says of the variant, by metadata or context, goes before model_info."""
    router = litellm.Router(model_list=[deployment(provider, "chat", "x", variant="arm")])
    router.completion(model="chat", messages=asked(), metadata={"variant": "call"})
    with modeltrail.tag(variant="context"):
        router.completion(model="chat", messages=asked())
    router.completion(model="chat", messages=asked())
    found = sorted(each.variant or "" for each in records(captured))
    assert found == ["arm", "call", "context"]


@pytest.mark.parametrize("is_async", [False, True])
def test_23_router_retries_are_records_of_one_trace(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool
) -> None:
    """Each attempt has its own record and number; the trace is one, also within a session."""
    provider.script(Fault(500), Fault(500), Answer())
    router = litellm.Router(
        model_list=[deployment(provider, "chat", "x")], num_retries=2, retry_after=0
    )
    arguments: dict[str, Any] = {"model": "chat", "messages": asked(), "litellm_session_id": "s"}
    if is_async:
        asyncio.run(router.acompletion(**arguments))
    else:
        router.completion(**arguments)
    found = [(each.attempt, each.status, each.is_fallback) for each in records(captured)]
    assert found == [(1, "error", False), (2, "error", False), (3, "ok", False)]
    assert len({each.trace_id for each in captured.records}) == 1
    assert len({each.run_id for each in captured.records}) == 3
    assert {each.session_ref for each in captured.records} == {captured.recorder.ref("s")}


def test_24_router_fallback(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A fallback is a record of its own, and says so."""
    provider.script(Fault(429), Answer())
    arms = [deployment(provider, "first", "x"), deployment(provider, "second", "y")]
    router = litellm.Router(model_list=arms, fallbacks=[{"first": ["second"]}], num_retries=0)
    router.completion(model="first", messages=asked())
    found = [(each.deployment, each.status, each.is_fallback) for each in records(captured)]
    assert found == [("x", "error", False), ("y", "ok", True)]
    assert len({each.trace_id for each in captured.records}) == 1
    assert provider.count() == 2


def test_29_mirrored_call_is_a_shadow(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A call that the Router mirrors to a silent model is marked as one."""
    first = deployment(provider, "chat", "x")
    first["litellm_params"]["silent_model"] = "new"
    router = litellm.Router(model_list=[first, deployment(provider, "new", "y")])

    async def mirrored() -> None:
        await router.acompletion(model="chat", messages=asked())
        while len(captured.records) < 2:  # noqa: ASYNC110 - LiteLLM sets no event
            await asyncio.sleep(0.01)

    asyncio.run(mirrored())
    assert {(each.deployment, each.shadow) for each in records(captured)} == {
        ("x", None),
        ("y", True),
    }
    assert len({each.trace_id for each in captured.records}) == 1


# --- fallbacks and retries of the SDK -----------------------------------------------------------


def test_26_retries_of_the_client_are_one_record(
    captured: CapturedTrail, provider: LocalProvider
) -> None:
    """`num_retries` is the client's own matter: LiteLLM tells of the last attempt alone."""
    provider.script(Fault(500, headers={"retry-after-ms": "1"}), Answer())
    arguments = at(provider, num_retries=1)
    del arguments["max_retries"]
    litellm.completion(**arguments)
    assert [each.status for each in records(captured)] == ["ok"]
    assert provider.count() == 2


# --- asynchronous calls -------------------------------------------------------------------------


def test_46_hundred_at_once(captured: CapturedTrail, provider: LocalProvider) -> None:
    """Of a hundred calls in a loop that ends with them, none is lost."""

    async def hundred() -> None:
        await asyncio.gather(*(litellm.acompletion(**at(provider)) for _ in range(100)))

    asyncio.run(hundred())
    found = [(each.input_tokens, each.output_tokens, each.status) for each in captured.records]
    assert found == [(*TOKENS, "ok")] * 100
    assert provider.count() == 100


def test_49_short_loops(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A loop of its own for each call, or for each stream, loses nothing either."""

    async def stream() -> None:
        async for _ in await litellm.acompletion(**at(provider, stream=True, **WITH_USAGE)):
            pass

    for _ in range(3):
        asyncio.run(litellm.acompletion(**at(provider)))
        asyncio.run(stream())
    found = [(each.status, each.streaming, each.input_tokens) for each in captured.records]
    assert found == [("ok", False, 14), ("ok", True, 14)] * 3


def test_33_prompt_end_knows_what_the_event_knows(
    captured: CapturedTrail, provider: LocalProvider
) -> None:
    """An asynchronous call leaves the same record as a synchronous one."""
    # LiteLLM keeps a price that it was given: of a model that no other test asks for.
    price = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    asked = at(provider, model="openai/priced-in-two-ways", **price)
    answer = replace(ANSWER, request_id="req_1", tool_calls=(("look", "{}"),))
    provider.script(answer, answer)
    litellm.completion(**asked)
    asyncio.run(litellm.acompletion(**asked))
    one, other = (structs.asdict(each) for each in records(captured))
    assert one["cost_reported_nanousd"] == 14 * 1000 + 7 * 2000
    assert one["provider_request_id"] == "req_1"
    differing = {name for name in one if one[name] != other[name]}
    assert differing <= {"id", "run_id", "trace_id", "started_at_us", "latency_us"}


def test_46_exit_tells_what_is_queued(
    provider: LocalProvider, tmp_path: Path, own_home: Path, cache: None
) -> None:
    """What LiteLLM still has in its queue at exit, such as a hit of the cache, is recorded."""
    program = f"""
import asyncio, litellm, modeltrail, modeltrail_litellm
modeltrail_litellm.install(modeltrail.open("sqlite:///{tmp_path}/calls.db"))
litellm.enable_cache()
call = dict(model="openai/gpt-4o-mini", api_base="{provider.base_url}", api_key="x")
for _ in range(2):
    asyncio.run(litellm.acompletion(messages=[dict(role="user", content="hi")], **call))
"""
    environ = {**os.environ, "HOME": str(own_home)}
    ran = subprocess.run([sys.executable, "-c", program], env=environ, timeout=60, check=False)
    assert ran.returncode == 0
    with modeltrail.open(f"sqlite:///{tmp_path}/calls.db") as trail:
        found = [(each.record.status, each.record.cache_hit) for each in trail.store.calls()]
    assert sorted(found, key=str) == [("ok", None), ("ok", True)]
    assert provider.count() == 1


def test_14_failing_async_call(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A failing asynchronous call leaves one record, with the provider's id of the request."""
    provider.script(Fault(429))
    with pytest.raises(litellm.RateLimitError):
        asyncio.run(litellm.acompletion(**at(provider)))
    record = only(captured)
    assert (record.status, record.error_type, record.error_code) == (
        "error",
        "RateLimitError",
        "429",
    )


# --- registration -------------------------------------------------------------------------------


def test_51_installing_twice_makes_one_record(
    captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Doing it twice, or adding a second logger of the same trail by hand, changes nothing."""
    assert install(captured) is install(captured)
    second = TrailLogger(captured)
    litellm.callbacks.append(second)
    litellm.completion(**at(provider))
    uninstall(second)
    assert len(records(captured)) == provider.count() == 1


def test_51_second_logger_of_a_trail_does_not_double_cache_hits(
    captured: CapturedTrail, provider: LocalProvider, cache: None
) -> None:
    """LiteLLM takes two loggers of one trail for one, also where only the end is told."""
    second = TrailLogger(captured)
    litellm.callbacks.append(second)
    litellm.completion(**at(provider))
    wait_for_threads()
    litellm.completion(**at(provider))
    assert len(records(captured)) == 2
    uninstall(second)


def test_51_uninstalling_ends_recording(provider: LocalProvider) -> None:
    """After `uninstall`, also twice, nothing is recorded and nothing is left in LiteLLM's lists."""
    with capture_records() as trail:
        logger = install(trail)
        litellm.completion(**at(provider))
        wait_for_threads()
        uninstall(logger)
        uninstall(logger)
        litellm.completion(**at(provider))
    assert len(records(trail)) == 1
    lists = (litellm.callbacks, litellm.input_callback, litellm.success_callback)
    lists += (litellm.failure_callback, litellm._async_success_callback)
    assert not any(isinstance(each, TrailLogger) for known in lists for each in known)


def test_51_uninstalling_from_lists_that_litellm_forgets(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteLLM 1.106 leaves a logger in the list of those that hear of beginnings."""

    def remove(logger: Any) -> None:
        known = (litellm.callbacks, litellm.success_callback, litellm.failure_callback)
        for each in (*known, litellm._async_success_callback, litellm._async_failure_callback):
            while logger in each:
                each.remove(logger)

    manager = litellm.logging_callback_manager
    monkeypatch.setattr(manager, "remove_callback_from_all_lists", remove)
    with capture_records() as trail:
        logger = install(trail)
        litellm.completion(**at(provider))
        wait_for_threads()
        assert logger in litellm.input_callback
        uninstall(logger)
        assert logger not in litellm.input_callback
        litellm.completion(**at(provider))
        assert len(records(trail)) == 1
    assert trail.recorder.open_calls == 0
    assert provider.count() == 2


def test_50_two_trails_record_side_by_side(provider: LocalProvider) -> None:
    """Each of two trails gets its own record."""
    with capture_records() as one, capture_records() as two:
        loggers = install(one), install(two)
        litellm.completion(**at(provider))
        assert only(one).response_id == only(two).response_id
        for logger in loggers:
            uninstall(logger)


def test_45_broken_neighbour_does_not_matter(
    captured: CapturedTrail, provider: LocalProvider
) -> None:
    """A logger of somebody else that fails does not keep ours from recording."""

    class Broken(CustomLogger):
        def log_success_event(self, *_: Any, **__: Any) -> None:
            raise OSError

        log_pre_api_call = log_success_event

    neighbour = Broken()
    litellm.callbacks.insert(0, neighbour)
    litellm.completion(**at(provider))
    assert only(captured).status == "ok"
    uninstall(neighbour)  # type: ignore[arg-type]


# --- cost and cache -----------------------------------------------------------------------------


def test_32_unknown_price_is_null(captured: CapturedTrail, provider: LocalProvider) -> None:
    """LiteLLM says 0.0 of what it cannot price; the record says nothing."""
    litellm.completion(**at(provider, model=UNKNOWN))
    record = only(captured)
    assert (record.request_model, record.input_tokens) == ("nobody-knows-it", 14)
    assert (record.cost_reported_nanousd, record.cost_nanousd) == (None, None)
    assert record.cost_source == "none"


def test_33_custom_price_is_reported(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A price that the application gave LiteLLM is the cost where no other is known."""
    price = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    litellm.completion(**at(provider, model="openai/priced-by-us", **price))
    record = only(captured)
    assert record.cost_nanousd == record.cost_reported_nanousd == 14 * 1000 + 7 * 2000
    assert record.cost_source == "reported"


def test_33_price_of_zero_is_a_price(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A model that was said to be free costs nothing, which is known."""
    price = {"input_cost_per_token": 0, "output_cost_per_token": 0}
    litellm.completion(**at(provider, model="openai/free-of-charge", **price))
    assert only(captured).cost_nanousd == 0


def test_32_answer_without_usage(captured: CapturedTrail, provider: LocalProvider) -> None:
    """LiteLLM writes 0 tokens and 0.0 dollars where a provider reports nothing."""
    provider.script(Answer(usage=False))
    litellm.completion(**at(provider))
    record = only(captured)
    assert (record.input_tokens, record.output_tokens) == (None, None)
    assert (record.usage_source, record.cost_reported_nanousd) == ("missing", None)


@pytest.mark.parametrize("streaming", [False, True])
def test_34_cache_hit(
    captured: CapturedTrail, provider: LocalProvider, cache: None, *, streaming: bool
) -> None:
    """A hit of LiteLLM's cache is a record that costs nothing."""
    provider.script(ANSWER)
    with modeltrail.tag(feature="twice"):
        for _ in range(2):
            answer = litellm.completion(**at(provider, stream=streaming, **WITH_USAGE))
            _ = list(answer) if streaming else answer
            wait_for_threads()
    paid, hit = records(captured)
    assert (paid.cache_hit, paid.cost_nanousd) == (None, 14 * 150 + 7 * 600)
    assert (hit.cache_hit, hit.cost_nanousd, hit.cost_source) == (True, 0, "cache")
    assert (hit.usage_source, hit.input_tokens, hit.request_model) == ("cache", 14, ASKED)
    assert (hit.response_id, hit.streaming) == (paid.response_id, streaming)
    assert hit.latency_us is not None
    assert provider.count() == 1


def test_34_cache_hit_of_an_async_call(
    captured: CapturedTrail, provider: LocalProvider, cache: None
) -> None:
    """An asynchronous hit is one record, too."""

    async def twice() -> None:
        await litellm.acompletion(**at(provider))
        await asyncio.sleep(0.1)  # LiteLLM fills its cache in a task of its own
        await litellm.acompletion(**at(provider))
        await GLOBAL_LOGGING_WORKER.flush()

    asyncio.run(twice())
    assert [each.cache_hit for each in records(captured)] == [None, True]
    assert provider.count() == 1


@pytest.mark.parametrize("is_async", [False, True])
def test_34_cache_hit_of_an_embedding(
    captured: CapturedTrail, provider: LocalProvider, cache: None, *, is_async: bool
) -> None:
    """A hit of the cache is one, too, where vectors are asked for."""
    model = "openai/text-embedding-3-small"
    asked = without_messages(at(provider, model=model, input=[PROMPT]))

    async def embed() -> None:
        await litellm.aembedding(**asked)
        await asyncio.sleep(0.1)  # LiteLLM fills its cache in a task of its own
        await captured.recorder.ahear_out(10)

    for _ in range(2):
        asyncio.run(embed()) if is_async else litellm.embedding(**asked)
        wait_for_threads()
    paid, hit = records(captured)
    assert (paid.cache_hit, paid.usage_source, tokens(paid)) == (None, "provider", (14, None))
    assert (hit.cache_hit, hit.usage_source, tokens(hit)) == (True, "cache", (14, None))
    assert (hit.cost_nanousd, hit.cost_source) == (0, "cache")
    assert provider.count() == 1


# --- streams ------------------------------------------------------------------------------------


def test_35_usage_without_details_may_be_an_estimate(
    captured: CapturedTrail, provider: LocalProvider
) -> None:
    """Bare totals of a stream are marked: LiteLLM counts by itself if none are sent."""
    bare = Answer(text=TEXT, cached_tokens=None, reasoning_tokens=None)
    provider.script(bare, Answer(text=TEXT, usage=False))
    for _ in range(2):
        list(litellm.completion(**at(provider, stream=True, **WITH_USAGE)))
        wait_for_threads()
    reported, counted = records(captured)
    assert reported.usage_source == counted.usage_source == "estimated"
    assert (reported.input_tokens, reported.output_tokens) == TOKENS
    assert reported.reasoning_output_tokens is None


def test_16_broken_stream(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A stream that breaks off is an error, and LiteLLM's estimate of its usage is left out."""
    provider.script(Fault(drop_after=1))
    with pytest.raises(litellm.exceptions.MidStreamFallbackError):
        list(litellm.completion(**at(provider, stream=True)))
    record = only(captured)
    assert (record.status, record.streaming, record.usage_source) == ("error", True, "missing")
    assert record.time_to_first_chunk_us


def test_streamed_tool_call(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A tool call that came in pieces is whole in the record."""
    provider.script(Answer(tool_calls=(("look", '{"at":"x"}'),)))
    list(litellm.completion(**at(provider, stream=True)))
    record = only(captured)
    assert (record.output_format, record.finish_reasons) == ("tool_call", '["tool_calls"]')
    assert record.time_to_first_chunk_us


# --- what was asked and answered ----------------------------------------------------------------


def test_parts_of_messages(captured: CapturedTrail, provider: LocalProvider) -> None:
    """Texts and tool calls of the input count; pictures leave a mark, and nothing is changed."""
    provider.script(Answer(tool_calls=(("look", '{"at":"é"}'),)))
    message = litellm.completion(**at(provider)).choices[0].message
    wait_for_threads()
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]},
        message,
        {"role": "tool", "content": "a dot", "tool_call_id": message.tool_calls[0].id},
    ]
    before = copy.deepcopy(messages)
    litellm.completion(**at(provider, messages=messages))
    _, record = records(captured)
    arguments = r'{"name":"look","arguments":"{\"at\":\"é\"}"}'
    texts = ("Be brief.", "What is it?", "[image_url]", arguments, "a dot")
    assert record.input_chars == sum(map(len, texts))
    assert record.prompt_digest
    assert messages == before


@pytest.mark.parametrize(
    ("messages", "chars"),
    [
        ("a text", len("a text")),
        (("a", "bc"), len("abc")),
        ([{"role": "user", "content": ["a", "bc"]}], len("abc")),
        ([{"role": "user", "content": [7]}], len("[part]")),
        (None, 0),
    ],
    ids=["text", "texts", "plain-parts", "no-part", "nothing"],
)
def test_shapes_of_messages(messages: Any, chars: int) -> None:
    """Whatever shape LiteLLM hands on what was asked in, its texts are found."""
    told = request(
        {
            "call_type": "completion",
            "litellm_call_id": "1",
            "model": "m",
            "messages": messages,
            "litellm_params": {},
        }
    )
    assert told is not None
    assert sum(len(text) for _, text in told.messages) == chars


def test_parameters_are_picked(captured: CapturedTrail, provider: LocalProvider) -> None:
    """Parameters that shape the answer are kept, and no others."""
    litellm.completion(**at(provider, temperature=0.2, max_tokens=9, extra_body={"a": "b"}))
    assert only(captured).parameters == '{"max_tokens":9,"temperature":0.2}'


def test_several_choices(captured: CapturedTrail, provider: LocalProvider) -> None:
    """With n=2 the answer holds both, the usage is that of the one request."""
    provider.script(Answer(text="yes"))
    litellm.completion(**at(provider, n=2))
    record = only(captured)
    assert (record.finish_reasons, record.output_chars) == ('["stop","stop"]', len("yes\nyes"))
    assert record.output_tokens == 7


def test_refusal(captured: CapturedTrail, provider: LocalProvider) -> None:
    """A refusal that the provider marks is one in the record."""
    provider.script(Answer(refusal="I won't."))
    litellm.completion(**at(provider))
    record = only(captured)
    assert (record.output_format, record.output_chars) == ("refusal", len("I won't."))


@pytest.mark.parametrize("is_async", [False, True])
def test_text_completion(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool
) -> None:
    """A legacy text completion is one, and keeps the tags of the context."""
    arguments = at(provider, model="text-completion-openai/gpt-3.5-turbo-instruct", prompt=PROMPT)
    del arguments["messages"], arguments["max_retries"]
    with modeltrail.tag(feature="legacy"):
        if is_async:
            asyncio.run(litellm.atext_completion(**arguments))
        else:
            litellm.text_completion(**arguments)
    record = only(captured)
    assert (record.operation, record.request_model) == ("text_completion", "gpt-3.5-turbo-instruct")
    assert (record.input_tokens, record.output_tokens) == TOKENS
    assert (record.input_chars, record.feature) == (len(PROMPT), "legacy")
    assert record.output_chars


def test_embedding_of_tokens(captured: CapturedTrail, provider: LocalProvider) -> None:
    """An embedding may be asked for texts or tokens, also asynchronously."""
    arguments = at(provider, model="openai/text-embedding-3-small", input=[[1, 2], [3]])
    del arguments["messages"]
    asyncio.run(litellm.aembedding(**arguments))
    record = only(captured)
    assert (record.operation, record.input_tokens) == ("embeddings", 14)
    assert record.input_chars == 2 * len("[tokens]")


@pytest.mark.parametrize("streaming", [False, True])
def test_responses_over_chat(
    captured: CapturedTrail, provider: LocalProvider, *, streaming: bool
) -> None:
    """`responses` of a provider that only knows chat is one record, as the request is one."""
    pytest.importorskip("mcp")
    provider.script(ANSWER)
    arguments = {"model": f"together_ai/{ASKED}", "input": PROMPT, "api_base": provider.base_url}
    answer = litellm.responses(**arguments, api_key=FAKE_KEY, stream=streaming)
    _ = list(answer) if streaming else answer
    record = only(captured)
    assert (record.operation, record.status, record.streaming) == ("chat", "ok", streaming)
    assert (record.input_chars, record.output_chars) == (len(PROMPT), len(TEXT))
    assert record.response_model == ANSWERED
    assert provider.count() == 1


def test_user_session_and_trace(captured: CapturedTrail, provider: LocalProvider) -> None:
    """LiteLLM's own arguments for a user, a session and a trace are understood."""
    own = {"user": "u-1", "litellm_session_id": "s-1", "litellm_trace_id": "t-1"}
    litellm.completion(**at(provider, **own))
    record = only(captured)
    ref = captured.recorder.ref
    assert (record.user_ref, record.session_ref) == (ref("u-1"), ref("s-1"))
    assert record.trace_id == "t-1"


@pytest.mark.parametrize(
    ("model", "word", "api_base", "expected"),
    [
        ("gpt-4o", "openai", "https://api.openai.com/v1/", ("openai", "gpt-4o")),
        ("openai/gpt-4o", "openai", "https://llm.example.com/v1", (None, "gpt-4o")),
        ("azure/mine", "azure", "https://mine.openai.azure.com", ("azure", "mine")),
        ("anthropic.claude-x", "bedrock", "https://b.amazonaws.com", ("aws", "anthropic.claude-x")),
    ],
)
def test_provider_and_model(
    model: str, word: str, api_base: str, expected: tuple[str | None, str]
) -> None:
    """The endpoint tells the provider, the word only of clouds; the model has no prefix."""
    told = request(
        {
            "call_type": "completion",
            "litellm_call_id": "1",
            "model": model,
            "custom_llm_provider": word,
            "litellm_params": {"api_base": api_base, "metadata": None},
        }
    )
    assert told is not None
    assert (told.provider, told.request_model) == expected


# --- what is not recorded -----------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
def test_rejected_call_is_none(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool
) -> None:
    """What LiteLLM rejects before it asks any provider is no model call."""
    arguments = at(provider, model="nobody-knows-its-provider")
    with pytest.raises(litellm.BadRequestError):
        asyncio.run(litellm.acompletion(**arguments)) if is_async else litellm.completion(
            **arguments
        )
    assert records(captured) == []
    assert provider.count() == 0


# --- safety -------------------------------------------------------------------------------------


def test_43_redacted_answer_is_unknown(
    captured: CapturedTrail, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where LiteLLM is told not to log texts its stand-in does not pass for the answer."""
    monkeypatch.setattr(litellm, "turn_off_message_logging", True)
    litellm.completion(**at(provider))
    asyncio.run(litellm.acompletion(**at(provider)))
    for record in records(captured):
        assert (record.output_chars, record.output_digest) == (None, None)
        assert (record.finish_reasons, record.input_tokens) == ('["stop"]', 14)


def stored_bytes(folder: Path) -> bytes:
    """Return all that a trail has written."""
    return b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())


def test_39_no_secret_and_no_content_is_stored(
    trail: Trail, provider: LocalProvider, tmp_path: Path
) -> None:
    """No key, header, prompt or answer is in any file, before or after it is stored."""
    provider.script(Answer(text="secret-answer"), Fault(401, message="secret-error"))
    logger = install(trail)
    hidden = {
        "messages": asked("secret-prompt"),
        "extra_headers": {"Authorization": "Bearer secret-header", "X-Own": "secret-header"},
        "extra_body": {"a": "secret-body"},
    }
    litellm.completion(**at(provider, **hidden))
    with pytest.raises(openai.APIStatusError):
        asyncio.run(litellm.acompletion(**at(provider, **hidden)))
    wait_for_threads()
    uninstall(logger)
    waiting = stored_bytes(tmp_path)
    assert trail.flush(10)
    found = waiting + stored_bytes(tmp_path)
    assert b"gpt-4o-mini" in found
    assert FAKE_KEY.encode() not in found
    assert b"secret-" not in found


def test_45_nonsense_is_counted() -> None:
    """Whatever LiteLLM hands on, no hook of ours raises; what it cannot read it counts."""
    told: dict[str, Any] = {"kwargs": {}, "response_obj": None, "start_time": 0, "end_time": 0}

    async def tell() -> None:
        await logger.async_log_success_event(**told)
        await logger.async_log_failure_event(**told)
        await logger.async_logging_hook({}, None, "")
        await logger.async_post_call_success_deployment_hook({}, None, None)
        await asyncio.sleep(0)

    with capture_records() as trail:
        logger = TrailLogger(trail)
        logger.log_pre_api_call(model="", messages=None, kwargs={})
        logger.log_success_event(**told)
        logger.log_failure_event(**told)
        logger.logging_hook({}, None, "")
        asyncio.run(tell())
    counted = trail.problems.counts()
    assert sum(counted.values()) == 7  # an answer that is none is told of by the event
    assert trail.recorder.open_calls == 0


def test_45_broken_sink_never_breaks_a_call(trail: Trail, provider: LocalProvider) -> None:
    """A trail that cannot write is counted; the application gets its answer."""

    def refuse(_: Any) -> None:
        raise OSError

    trail.recorder.sink = refuse
    logger = install(trail)
    assert litellm.completion(**at(provider)).choices[0].message.content
    asyncio.run(litellm.acompletion(**at(provider)))
    wait_for_threads()
    uninstall(logger)
    assert trail.health().problems == {"start-not-written": 2, "call-not-written": 2}


@pytest.mark.parametrize(
    ("step", "status"), [(Answer(), "incomplete"), (Fault(429), "error")], ids=["ok", "error"]
)
def test_45_unreadable_payload_is_counted(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch, step: Answer | Fault, status: str
) -> None:
    """A failure of ours is counted and never leaves a call open or half told."""
    monkeypatch.setattr("modeltrail_litellm.answers._times", lambda *_: 1 / 0)
    provider.script(step)
    with capture_records() as trail:
        logger = install(trail)
        with suppress(litellm.RateLimitError):
            litellm.completion(**at(provider))
        wait_for_threads()
        uninstall(logger)
    record = only(trail)
    assert record.status == status
    assert record.latency_us is not None  # it ended then, and was not just let go
    assert sum(trail.problems.counts().values()) == 1
