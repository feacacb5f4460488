"""
LiteLLM's real proxy, called by the real `openai` client.

The numbers are those of the acceptance checklist.
"""

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import suppress
from time import sleep
from typing import Any

import httpx
import openai
import pytest
from scenarios import ANSWER, ANSWERED, ASKED, PROMPT, TEXT

from modeltrail.record import CallRecord
from modeltrail.testing import Answer, Fault, LocalProvider
from tests.integrations.litellm.proxy import (
    LIMITED_KEY,
    MASTER_KEY,
    SECRETS,
    WRONG_KEY,
    Proxy,
    Reader,
    deployment,
    served,
)

# The proxy needs long to start where others work, too; no test measures it.
pytestmark = pytest.mark.timeout(600)

MESSAGES: list[Any] = [{"role": "user", "content": PROMPT}]
TOKENS = (14, 7)


@pytest.fixture(scope="module")
def upstream() -> Iterator[LocalProvider]:
    """Start the provider behind the proxy."""
    with LocalProvider() as started:
        yield started


@pytest.fixture(scope="module")
def proxy(upstream: LocalProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Run one proxy for all tests of this module, and see that its trail holds no secret."""
    config = {
        "model_list": [
            deployment(upstream, "chat", "d-chat", variant="A"),
            deployment(upstream, "plain", "d-plain"),
            deployment(upstream, "retried", "d-retried"),
            deployment(upstream, "shaky", "d-shaky"),
            deployment(upstream, "mirrored", "d-mirrored", params={"silent_model": "silent"}),
            deployment(upstream, "silent", "d-silent"),
            deployment(upstream, "cooling", "d-cooling-1"),
            deployment(upstream, "cooling", "d-cooling-2"),
            deployment(upstream, "limited", "d-limited", params={"rpm": 1}),
            deployment(upstream, "bridged", "d-bridged", model=f"together_ai/{ASKED}"),
            deployment(upstream, "embedding", "d-emb", model="openai/text-embedding-3-small"),
            deployment(upstream, "claude", "d-claude", model="anthropic/claude-sonnet-4-5"),
        ],
        "router_settings": {
            "num_retries": 0,
            "retry_after": 0,
            "fallbacks": [{"shaky": ["chat"]}],
            "optional_pre_call_checks": ["enforce_model_rate_limits"],
        },
        "litellm_settings": {
            "callbacks": "modeltrail_litellm.proxy.logger",
            "cache": True,
            "cache_params": {"type": "local", "mode": "default_off"},
        },
    }
    with Proxy(tmp_path_factory.mktemp("proxy"), config) as running:
        yield running
        running.end(signal.SIGTERM)
        for secret in (*SECRETS, "Bearer", PROMPT, TEXT):
            assert secret.encode() not in running.stored_bytes


@pytest.fixture(scope="module")
def reader(proxy: Proxy) -> Iterator[Reader]:
    """Read the records of one test after the other; in the end none is left."""
    reader = Reader(proxy)
    yield reader
    proxy.end(signal.SIGTERM)
    reader.assert_all_read()


def ask(proxy: Proxy, model: str = "plain", **options: Any) -> Any:
    """Ask with the real client."""
    return proxy.client().chat.completions.create(model=model, messages=MESSAGES, **options)


def tokens(record: CallRecord) -> tuple[int | None, int | None]:
    """Return what a call used."""
    return record.input_tokens, record.output_tokens


# --- endpoints ----------------------------------------------------------------------------------


def test_52_logger_named_in_the_configuration_records(
    proxy: Proxy, reader: Reader, upstream: LocalProvider
) -> None:
    """`callbacks: modeltrail_litellm.proxy.logger` is all: one record per request upstream."""
    upstream.script(ANSWER)
    before = len(served(upstream))
    ask(proxy, "chat", temperature=0.5)
    (record,) = reader.records(1)
    last = served(upstream)[-1]
    assert len(served(upstream)) - before == 1
    assert (record.framework, record.operation, record.status) == ("litellm", "chat", "ok")
    assert (record.request_model, record.response_model) == (ASKED, ANSWERED)
    assert (record.deployment, record.variant) == ("d-chat", "A")
    assert (tokens(record), record.usage_source) == (TOKENS, "provider")
    assert record.provider_request_id == last.request_id
    assert record.parameters == '{"temperature":0.5}'
    assert (record.input_chars, record.output_chars) == (len(PROMPT), len(TEXT))
    assert record.cost_source == "genai-prices"
    assert (record.streaming, record.capture_mode) == (False, "digest")


def test_stream_is_one_record(proxy: Proxy, reader: Reader, upstream: LocalProvider) -> None:
    """A stream is one record, with the usage that the proxy asks for by itself."""
    before = len(served(upstream))
    pieces = list(ask(proxy, stream=True))
    (record,) = reader.records(1)
    assert len(pieces) > 1
    assert len(served(upstream)) - before == 1
    assert (record.status, record.streaming, tokens(record)) == ("ok", True, TOKENS)
    assert record.time_to_first_chunk_us


def test_asynchronous_clients_at_once(
    proxy: Proxy, reader: Reader, upstream: LocalProvider
) -> None:
    """Ten calls and ten streams at once are twenty records."""
    before = len(served(upstream))

    async def stream(client: openai.AsyncOpenAI) -> None:
        answer = await client.chat.completions.create(model="plain", messages=MESSAGES, stream=True)
        async for _ in answer:
            pass

    async def all_at_once() -> None:
        async with proxy.aclient() as client:
            create = client.chat.completions.create
            calls = [create(model="plain", messages=MESSAGES) for _ in range(10)]
            await asyncio.gather(*calls, *(stream(client) for _ in range(10)))

    asyncio.run(all_at_once())
    found = reader.records(20)
    assert len(served(upstream)) - before == 20
    assert [(each.status, tokens(each)) for each in found] == [("ok", TOKENS)] * 20
    assert sum(each.streaming for each in found) == 10


@pytest.mark.parametrize("streaming", [False, True])
def test_responses(
    proxy: Proxy, reader: Reader, upstream: LocalProvider, *, streaming: bool
) -> None:
    """`/v1/responses` is one record, and metadata of the request are tags."""
    before = len(served(upstream, "/v1/responses"))
    answer = proxy.client().responses.create(
        model="plain",
        input=PROMPT,
        stream=streaming,
        metadata={"feature": "answers"},
        extra_headers={"x-modeltrail-segment": "eu"},
    )
    _ = list(answer) if streaming else answer
    (record,) = reader.records(1)
    assert len(served(upstream, "/v1/responses")) - before == 1
    assert (record.operation, record.status, record.streaming) == ("chat", "ok", streaming)
    assert (record.feature, record.segment) == ("answers", "eu")
    assert tokens(record) == TOKENS


@pytest.mark.parametrize("streaming", [False, True])
def test_messages(
    proxy: Proxy, reader: Reader, upstream: LocalProvider, *, streaming: bool
) -> None:
    """`/v1/messages` is one record; Anthropic's user of a request is the tag `user`."""
    before = len(served(upstream, "/v1/messages"))
    body = {
        "model": "claude",
        "max_tokens": 9,
        "messages": MESSAGES,
        "stream": streaming,
        "metadata": {"user_id": "u-17"},
    }
    assert proxy.post("/v1/messages", json=body).is_success
    (record,) = reader.records(1)
    assert len(served(upstream, "/v1/messages")) - before == 1
    assert (record.operation, record.status, record.streaming) == ("chat", "ok", streaming)
    assert record.request_model == "claude-sonnet-4-5"
    assert record.user_ref == proxy.ref("u-17")
    assert tokens(record) == TOKENS


def test_embeddings(proxy: Proxy, reader: Reader, upstream: LocalProvider) -> None:
    """`/v1/embeddings` is one record."""
    before = len(served(upstream, "/v1/embeddings"))
    proxy.client().embeddings.create(model="embedding", input=PROMPT)
    (record,) = reader.records(1)
    assert len(served(upstream, "/v1/embeddings")) - before == 1
    assert (record.operation, record.status, record.input_tokens) == ("embeddings", "ok", 14)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_endpoint_that_the_provider_lacks_is_one_record(
    proxy: Proxy, reader: Reader, upstream: LocalProvider, path: str
) -> None:
    """What LiteLLM answers by a chat of another provider is one record, as the request is one."""
    before = len(served(upstream, "/v1/chat/completions"))
    body = {"model": "bridged", "input": PROMPT, "messages": MESSAGES, "max_tokens": 9}
    del body["messages" if path == "/v1/responses" else "input"]
    assert proxy.post(path, json=body).is_success
    (record,) = reader.records(1)
    assert len(served(upstream, "/v1/chat/completions")) - before == 1
    assert (record.operation, record.status, record.request_model) == ("chat", "ok", ASKED)
    assert tokens(record) == TOKENS


@pytest.mark.parametrize("streaming", [False, True])
def test_34_hit_of_the_proxys_cache_costs_nothing(
    proxy: Proxy, reader: Reader, upstream: LocalProvider, *, streaming: bool
) -> None:
    """The second of two equal requests is a record without cost; the provider saw one."""
    before = len(served(upstream))
    for _ in range(2):
        answer = ask(
            proxy, stream=streaming, seed=streaming, extra_body={"cache": {"use-cache": True}}
        )
        _ = list(answer) if streaming else answer
        sleep(0.5)  # LiteLLM fills its cache in a task of its own
    paid, hit = reader.records(2)
    assert len(served(upstream)) - before == 1
    assert (paid.cache_hit, paid.cost_source) == (None, "genai-prices")
    assert (hit.cache_hit, hit.cost_source, hit.cost_nanousd) == (True, "cache", 0)
    assert (hit.status, hit.response_id, tokens(hit)) == ("ok", paid.response_id, TOKENS)
    assert json.loads(hit.tags or "")["key_alias"] == "berlin-app"


# --- tags ---------------------------------------------------------------------------------------

# Where a tag may stand, the strongest first; each gives the variant that bears its own name.
SPEND_LOGS = {"x-litellm-spend-logs-metadata": json.dumps({"variant": "spend-logs"})}
PLACES: list[tuple[str, dict[str, Any]]] = [
    ("body", {"extra_body": {"metadata": {"variant": "body"}}}),
    ("spend-logs", {"extra_headers": SPEND_LOGS}),
    ("header", {"extra_headers": {"x-modeltrail-variant": "header"}}),
    ("A", {}),
    ("tag", {"extra_headers": {"x-litellm-tags": "variant:tag"}}),
]


@pytest.mark.parametrize("strongest", range(len(PLACES)), ids=[name for name, _ in PLACES])
def test_30_tags_have_a_precedence(proxy: Proxy, reader: Reader, strongest: int) -> None:
    """Body before spend logs before headers before the deployment's variant before tags."""
    options: dict[str, Any] = {"extra_headers": {}, "extra_body": {}}
    for _, given in PLACES[strongest:]:
        for name, values in given.items():
            options[name] |= values
    name = PLACES[strongest][0]
    ask(proxy, "plain" if name == "tag" else "chat", **options)
    (record,) = reader.records(1)
    assert record.variant == name


def test_30_identity_is_the_proxys_to_say(proxy: Proxy, reader: Reader) -> None:
    """Alias of the key and team are tags that no client can set; the end user is a reference."""
    claimed = {"modeltrail_key_alias": "other-app", "modeltrail_team": "paris", "feature": "zoo"}
    ask(proxy, user="u-17", extra_body={"metadata": claimed})
    (record,) = reader.records(1)
    assert record.tags == '{"key_alias":"berlin-app","model_group":"plain","team":"berlin"}'
    assert (record.feature, record.user_ref) == ("zoo", proxy.ref("u-17"))


def test_30_end_user_of_the_header_goes_before_that_of_the_body(
    proxy: Proxy, reader: Reader
) -> None:
    """As LiteLLM itself sees it; who is named to modeltrail goes before both."""
    end_user = {"x-litellm-end-user-id": "u-header"}
    ask(proxy, user="u-body", extra_headers=end_user)
    ask(proxy, user="u-body", extra_headers={**end_user, "x-modeltrail-user": "u-own"})
    found = [record.user_ref for record in reader.records(2)]
    assert found == [proxy.ref("u-header"), proxy.ref("u-own")]


def test_31_tags_that_nobody_gave_are_dropped(proxy: Proxy, reader: Reader) -> None:
    """LiteLLM's tags keep together, without `User-Agent: ...`; one like `feature:x` is a tag."""
    tags = {"x-litellm-tags": "feature:chat, job:7 ,nightly"}
    ask(proxy, extra_headers=tags)
    (record,) = reader.records(1)
    assert record.feature == "chat"
    assert json.loads(record.tags or "")["request_tags"] == "job:7,nightly"
    assert "User-Agent" not in (record.tags or "")


@pytest.mark.parametrize("hostile", ["[1]", '"text"', "{", '{"feature": {"a": [1]}}'])
def test_metadata_of_any_shape_hides_no_call(proxy: Proxy, reader: Reader, hostile: str) -> None:
    """Whoever calls a proxy may send anything, and is recorded all the same."""
    ask(proxy, extra_headers={"x-litellm-spend-logs-metadata": hostile})
    (record,) = reader.records(1)
    assert (record.status, record.feature) == ("ok", None)


# --- traces -------------------------------------------------------------------------------------

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_55_traces_of_the_client(proxy: Proxy, reader: Reader) -> None:
    """W3C's `traceparent` and LiteLLM's own header name the trace; only the latter a session."""
    ask(proxy, extra_headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
    ask(proxy, extra_headers={"x-litellm-trace-id": "trace-7"})
    ask(proxy)
    first, second, third = reader.records(3)
    assert (first.trace_id, first.session_ref) == (TRACE, None)
    assert (second.trace_id, second.session_ref) == ("trace-7", proxy.ref("trace-7"))
    assert third.trace_id not in (None, TRACE, "trace-7")
    assert third.session_ref is None


# --- failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("streaming", [False, True])
def test_53_failure_is_one_record(
    proxy: Proxy, reader: Reader, upstream: LocalProvider, *, streaming: bool
) -> None:
    """LiteLLM tells of a failed request through three hooks; it is one record, and no rejection."""
    upstream.script(Fault(400))
    before = len(served(upstream))
    with pytest.raises(openai.BadRequestError):
        ask(proxy, stream=streaming)
    (record,) = reader.records(1)
    assert len(served(upstream)) - before == 1
    assert (record.status, record.error_type, record.error_code) == (
        "error",
        "BadRequestError",
        "400",
    )
    assert record.provider_request_id == served(upstream)[-1].request_id
    assert record.deployment == "d-plain"
    assert reader.rejections(0) == []


def test_retries_are_numbered_records_of_one_trace(
    proxy: Proxy, reader: Reader, upstream: LocalProvider
) -> None:
    """Each attempt is a record, though LiteLLM tells of the first failure alone."""
    upstream.script(Fault(500), Fault(503), Answer())
    ask(proxy, "retried", extra_headers={"x-litellm-num-retries": "2"})
    found = reader.records(3)
    assert [(each.attempt, each.status, each.error_code) for each in found] == [
        (1, "error", "500"),
        (2, "error", "503"),
        (3, "ok", None),
    ]
    ids = [each.request_id for each in served(upstream)[-3:]]
    assert [each.provider_request_id for each in found] == ids
    assert len({each.trace_id for each in found}) == 1


def test_request_that_fails_for_good_is_one_record_per_attempt(
    proxy: Proxy, reader: Reader, upstream: LocalProvider
) -> None:
    """The last attempt fails like those before."""
    upstream.script(Fault(500), Fault(500), Fault(503))
    with pytest.raises(openai.APIStatusError):
        ask(proxy, "retried", extra_headers={"x-litellm-num-retries": "2"})
    found = [(each.attempt, each.status, each.error_code) for each in reader.records(3)]
    assert found == [(1, "error", "500"), (2, "error", "500"), (3, "error", "503")]


def test_fallback(proxy: Proxy, reader: Reader, upstream: LocalProvider) -> None:
    """A fallback is a record of its own, of another deployment, in the same trace."""
    upstream.script(Fault(429), Answer())
    ask(proxy, "shaky")
    first, second = reader.records(2)
    assert (first.deployment, first.status, first.error_code) == ("d-shaky", "error", "429")
    assert (second.deployment, second.status, second.is_fallback) == ("d-chat", "ok", True)
    assert first.trace_id == second.trace_id
    assert {first.run_id, second.run_id} == {first.run_id}


def test_broken_stream(proxy: Proxy, reader: Reader, upstream: LocalProvider) -> None:
    """A stream that breaks off is an error of unknown usage, of a second attempt, too."""
    upstream.script(Fault(500), Fault(drop_after=1))
    with suppress(openai.APIError, httpx.HTTPError):
        list(ask(proxy, "retried", stream=True, extra_headers={"x-litellm-num-retries": "1"}))
    first, second = reader.records(2)
    assert (first.attempt, first.status, first.error_code) == (1, "error", "500")
    assert (second.attempt, second.status, second.usage_source) == (2, "error", "missing")


def test_mirrored_call_is_a_shadow(proxy: Proxy, reader: Reader, upstream: LocalProvider) -> None:
    """What the proxy mirrors to a silent model is marked, in the same trace."""
    before = len(served(upstream))
    ask(proxy, "mirrored")
    found = reader.records(2)
    assert len(served(upstream)) - before == 2
    assert {(each.deployment, each.shadow) for each in found} == {
        ("d-mirrored", None),
        ("d-silent", True),
    }
    assert len({each.trace_id for each in found}) == 1


# --- clients that go away -----------------------------------------------------------------------


def test_20_client_that_leaves_a_stream_has_cancelled(
    proxy: Proxy, reader: Reader, upstream: LocalProvider
) -> None:
    """LiteLLM calls it a success, and makes up its usage and finish reason: neither is kept."""
    upstream.script(Answer(text="x" * 400, chunks=40, chunk_delay=0.1))
    pieces = ask(proxy, stream=True)
    next(iter(pieces))
    pieces.close()
    (record,) = reader.records(1)
    assert (record.status, record.streaming, record.finish_reasons) == ("cancelled", True, None)
    assert (tokens(record), record.usage_source, record.cost_nanousd) == (
        (None, None),
        "missing",
        None,
    )
    assert record.output_chars is not None
    assert record.output_chars < 400


def test_20_call_that_is_not_waited_for_ends_well(
    proxy: Proxy, reader: Reader, upstream: LocalProvider
) -> None:
    """The proxy asks on when a client that does not stream has gone, and is billed."""
    upstream.script(Answer(delay=1.5))
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{proxy.url}/v1/chat/completions",
            headers={"authorization": f"Bearer {MASTER_KEY}"},
            json={"model": "plain", "messages": MESSAGES},
            timeout=httpx.Timeout(30, read=0.5),
        )
    (record,) = reader.records(1)
    assert (record.status, tokens(record)) == ("ok", TOKENS)


# --- rejections ---------------------------------------------------------------------------------


def test_54_wrong_key(proxy: Proxy, reader: Reader, upstream: LocalProvider) -> None:
    """Who is not let in leaves an event, and no record of a call."""
    before = len(served(upstream))
    with pytest.raises(openai.AuthenticationError):
        proxy.client(WRONG_KEY).chat.completions.create(model="plain", messages=MESSAGES)
    (event,) = reader.rejections(1)
    assert event.pop("run_id")
    assert event == {
        "operation": "chat",
        "request_model": "plain",
        "error_type": "HTTPException",
        "error_code": "401",
        "route": "/v1/chat/completions",
    }
    assert reader.records(0) == []
    assert len(served(upstream)) == before


def test_54_body_that_is_no_json(proxy: Proxy, reader: Reader, upstream: LocalProvider) -> None:
    """Nor does a request that cannot be read become a call."""
    before = len(served(upstream))
    assert proxy.post("/v1/chat/completions", content=b"{no json").status_code == 400
    (event,) = reader.rejections(1)
    assert "request_model" not in event
    assert (event["error_code"], event["key_alias"], event["team"]) == (
        "400",
        "berlin-app",
        "berlin",
    )
    assert reader.records(0) == []
    assert len(served(upstream)) == before


def test_25_deployments_in_cooldown(proxy: Proxy, reader: Reader, upstream: LocalProvider) -> None:
    """Once all deployments have failed the proxy asks none of them for a while, and says so."""
    upstream.script(Fault(429), Fault(429))
    before = len(served(upstream))
    for _ in range(3):
        with pytest.raises(openai.RateLimitError):
            ask(proxy, "cooling")
    assert {each.deployment for each in reader.records(2)} == {"d-cooling-1", "d-cooling-2"}
    (event,) = reader.rejections(1)
    assert (event["error_type"], event["request_model"]) == ("RouterRateLimitError", "cooling")
    assert len(served(upstream)) - before == 2


def test_25_rate_limit_of_a_deployment(
    proxy: Proxy, reader: Reader, upstream: LocalProvider
) -> None:
    """A deployment that may be asked once a minute is asked once, and the next is rejected."""
    before = len(served(upstream))
    with pytest.raises(openai.RateLimitError):
        for _ in range(3):  # a minute may begin in between
            ask(proxy, "limited")
    (event,) = reader.rejections(1)
    assert (event["error_type"], event["error_code"]) == ("RateLimitError", "429")
    assert {each.status for each in reader.records(len(served(upstream)) - before)} == {"ok"}


@pytest.mark.parametrize("model", ["nobody-knows-it", 7, ["plain"]], ids=str)
def test_54_unknown_model(proxy: Proxy, reader: Reader, model: object) -> None:
    """The model that was asked for is told, if it is a name."""
    answer = proxy.post("/v1/chat/completions", json={"model": model, "messages": MESSAGES})
    assert not answer.is_success
    (event,) = reader.rejections(1)
    assert event.get("request_model") == (model if isinstance(model, str) else None)
    assert reader.records(0) == []


def test_54_rate_limit_of_a_key(proxy: Proxy, reader: Reader, upstream: LocalProvider) -> None:
    """The first request of a minute is a call, the next a rejection of that key."""
    before = len(served(upstream))
    client = proxy.client(LIMITED_KEY)
    with pytest.raises(openai.RateLimitError):
        for _ in range(3):  # a minute may begin in between
            client.chat.completions.create(model="plain", messages=MESSAGES)
    (event,) = reader.rejections(1)
    assert (event["error_code"], event["key_alias"], event["team"]) == ("429", "limited-app", "t-2")
    assert {each.status for each in reader.records(len(served(upstream)) - before)} == {"ok"}


def test_54_claimed_moment_hides_no_rejection(proxy: Proxy, reader: Reader) -> None:
    """A client cannot pretend that a provider was asked."""
    claim = {"first_api_call_start_time": "2026-01-01T00:00:00", "call_type": "none"}
    body = {"model": "nobody-knows-it", "messages": MESSAGES, **claim}
    assert not proxy.post("/v1/chat/completions", json=body).is_success
    assert len(reader.rejections(1)) == 1


def test_54_other_endpoints_are_left_out(proxy: Proxy, reader: Reader) -> None:
    """A wrong key at an endpoint that asks no model is no matter of a trail of model calls."""
    with pytest.raises(openai.AuthenticationError):
        proxy.client(WRONG_KEY).models.list()
    assert reader.rejections(0) == []


# --- content ------------------------------------------------------------------------------------


def test_42_no_log_in_the_body_stores_no_content(
    proxy: Proxy, reader: Reader, upstream: LocalProvider
) -> None:
    """A client that asks for no log finds no text of its own anywhere."""
    upstream.script(Answer(text="unlogged-answer"))
    secret: list[Any] = [{"role": "user", "content": "unlogged-question"}]
    create = proxy.client().chat.completions.create
    create(model="plain", messages=secret, extra_body={"no-log": True})
    (record,) = reader.records(1)
    assert record.request_model == ASKED
    assert b"unlogged" not in proxy.stored_bytes
