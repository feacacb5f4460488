"""
How LiteLLM's proxy may end, and what it has answered until then.
"""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from scenarios import PROMPT

import modeltrail
from modeltrail.record import CallRecord
from modeltrail.testing import LocalProvider
from tests.integrations.litellm.proxy import TRAIL_KEY, Proxy, deployment, served

pytestmark = [pytest.mark.slow, pytest.mark.fault, pytest.mark.timeout(600)]

MESSAGES: list[Any] = [{"role": "user", "content": PROMPT}]
CALLS = 200
# So many on the same few connections.
BATCH = 20


@pytest.fixture
def proxy(
    provider: LocalProvider, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Proxy]:
    """Run a proxy, with the options that the test is given."""
    config = {"model_list": [deployment(provider, "chat", "d-chat")]}
    with Proxy(tmp_path, config, *getattr(request, "param", ())) as running:
        yield running


def make_calls(proxy: Proxy, times: int, *, stream: bool = False) -> None:
    """Ask so often, eight at a time, and read each answer to its end."""
    client = proxy.client()

    def ask(_: int) -> None:
        answer = client.chat.completions.create(model="chat", messages=MESSAGES, stream=stream)
        _ = list(answer) if stream else answer

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(times)))


def records(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> list[CallRecord]:
    """Open the trail, which stores what an ended process has left, and read it."""
    monkeypatch.setenv("MODELTRAIL_KEY", TRAIL_KEY)
    modeltrail.open(f"sqlite:///{proxy.folder}/trail/calls.db").close()
    return proxy.records()


def origins(found: list[CallRecord]) -> set[str]:
    """Return the spools that records came through."""
    return {(each.origin or "").split(":")[0] for each in found}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_48_answered_calls_survive_the_end(
    proxy: Proxy, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    """Of two hundred answered calls none is lost, with their tokens, however the proxy ends."""
    make_calls(proxy, CALLS)
    proxy.end(how)
    found = records(proxy, monkeypatch)
    ended = [(each.status, each.input_tokens, each.output_tokens) for each in found]
    assert ended == [("ok", 14, 7)] * CALLS
    ids = {each.request_id for each in served(provider)}
    assert {each.provider_request_id for each in found} == ids
    assert len(ids) == CALLS


def test_48_answered_streams_survive_sigterm(
    proxy: Proxy, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteLLM tells of streams a moment later, and at SIGTERM of all that it has not told yet."""
    make_calls(proxy, CALLS, stream=True)
    proxy.end(signal.SIGTERM)
    found = records(proxy, monkeypatch)
    assert [(each.status, each.input_tokens) for each in found] == [("ok", 14)] * CALLS
    assert len(served(provider)) == CALLS


# A worker that does not answer within five seconds is killed, and busy machines need longer.
TWO_WORKERS = ("--num_workers", "2", "--timeout_worker_healthcheck", "300")


@pytest.mark.parametrize("proxy", [TWO_WORKERS], indirect=True, ids=["two"])
def test_59_each_worker_writes_for_itself(
    proxy: Proxy, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers share one trail, each with a spool and a writer of its own."""
    made = 0
    # Which worker takes a connection the system decides: until both have had one, there are more.
    while made < CALLS or len(origins(proxy.records())) < 2:
        make_calls(proxy, BATCH)
        made += BATCH
    proxy.end(signal.SIGTERM)
    found = records(proxy, monkeypatch)
    assert [each.status for each in found] == ["ok"] * made
    assert {each.provider_request_id for each in found} == {
        each.request_id for each in served(provider)
    }
    assert len(origins(found)) == 2
