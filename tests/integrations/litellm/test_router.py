"""
What LiteLLM's Router does at a request, told from the trail: items 23 to 29 of the checklist.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, NamedTuple

import litellm
import pytest
from drivers.litellm import asked
from litellm.router_strategy import lowest_tpm_rpm_v2
from modeltrail_litellm import install, uninstall

from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider
from modeltrail.trail import Trail
from tests.integrations.litellm.asking import deployment, records

# What the local provider's answers cost at gpt-4o-mini's price, in nano-dollars.
COST = 14 * 150 + 7 * 600


class Request(NamedTuple):
    """One request of an application, summed up from its attempts."""

    attempts: int
    failed: int
    input_tokens: int | None
    output_tokens: int | None
    cost_nanousd: int | None


# As README has it.
REQUESTS = """
SELECT count(*), sum(status = 'error'), sum(input_tokens), sum(output_tokens), sum(cost_nanousd)
FROM calls WHERE trace_id = ?
"""
FINAL = """
SELECT deployment, attempt, is_fallback, status, error_code FROM calls WHERE trace_id = ?
ORDER BY started_at_us DESC, seq DESC LIMIT 1
"""


class Stored:
    """A trail, read as its readers do: by SQL."""

    def __init__(self, trail: Trail, url: str) -> None:
        self._trail = trail
        self._path = url.removeprefix("sqlite:///")

    def requests(self) -> dict[str, Request]:
        """Return all requests by their traces."""
        rows = self._read("SELECT DISTINCT trace_id FROM calls")
        return {trace: Request(*self._read(REQUESTS, trace)[0]) for (trace,) in rows}

    def final(self, trace: str) -> tuple[Any, ...]:
        """Return the final attempt at a request."""
        return self._read(FINAL, trace)[0]

    def _read(self, select: str, *values: str) -> list[tuple[Any, ...]]:
        assert self._trail.flush(20)
        with closing(sqlite3.connect(self._path)) as connection:
            return connection.execute(select, values).fetchall()


@pytest.fixture
def stored(trail: Trail, url: str) -> Iterator[Stored]:
    """Record LiteLLM's calls in a database."""
    logger = install(trail)
    yield Stored(trail, url)
    uninstall(logger)


def ask(router: litellm.Router, *, is_async: bool, model: str = "chat") -> None:
    """Ask a Router."""
    if is_async:
        asyncio.run(router.acompletion(model=model, messages=asked()))
    else:
        router.completion(model=model, messages=asked())


@pytest.mark.parametrize("is_async", [False, True])
def test_24_request_is_summed_up_by_its_trace(
    stored: Stored, provider: LocalProvider, *, is_async: bool
) -> None:
    """Retries and a fallback are one request; each attempt, its tokens and cost count once."""
    provider.script(Fault(500), Fault(500), Fault(500), Answer(), Answer())
    arms = [deployment(provider, "chat", "x"), deployment(provider, "other", "y")]
    router = litellm.Router(
        model_list=arms, fallbacks=[{"chat": ["other"]}], num_retries=1, retry_after=0
    )
    ask(router, is_async=is_async)
    ask(router, is_async=is_async)
    found = stored.requests()
    assert sorted(found.values()) == [Request(1, 0, 14, 7, COST), Request(4, 3, 14, 7, COST)]
    assert sum(each.attempts for each in found.values()) == provider.count() == 5
    (hard,) = (trace for trace, each in found.items() if each.attempts > 1)
    assert stored.final(hard) == ("y", 2, 1, "ok", None)


def test_24_request_that_fails_for_good(stored: Stored, provider: LocalProvider) -> None:
    """The final attempt is the one whose error the application gets."""
    provider.script(Fault(500), Fault(503))
    router = litellm.Router(
        model_list=[deployment(provider, "chat", "x")], num_retries=1, retry_after=0
    )
    with pytest.raises(litellm.ServiceUnavailableError):
        ask(router, is_async=False)
    ((trace, request),) = stored.requests().items()
    assert request == Request(2, 2, None, None, None)
    assert stored.final(trace) == ("x", 2, 0, "error", "503")
    assert provider.count() == 2


@pytest.mark.parametrize("is_async", [False, True])
def test_24_attempts_are_numbered_within_a_model_group(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool
) -> None:
    """A fallback begins to count anew: number and fallback together tell the attempts apart."""
    provider.script(Fault(500), Fault(500), Fault(500), Answer())
    arms = [deployment(provider, "chat", "x"), deployment(provider, "other", "y")]
    router = litellm.Router(
        model_list=arms, fallbacks=[{"chat": ["other"]}], num_retries=1, retry_after=0
    )
    ask(router, is_async=is_async)
    found = [(each.deployment, each.is_fallback, each.attempt) for each in records(captured)]
    assert found == [("x", False, 1), ("x", False, 2), ("y", True, 1), ("y", True, 2)]


def refuse(router: litellm.Router, *, is_async: bool, model: str = "chat") -> None:
    """Be refused by a Router."""
    with pytest.raises((litellm.BadRequestError, litellm.RateLimitError, ValueError)):
        ask(router, is_async=is_async, model=model)


@pytest.mark.parametrize("is_async", [False, True])
def test_25_model_group_that_does_not_exist(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool
) -> None:
    """A request for no model group calls no model and leaves no record."""
    router = litellm.Router(model_list=[deployment(provider, "chat", "x")], num_retries=0)
    refuse(router, is_async=is_async, model="nobody")
    assert records(captured) == []
    assert provider.count() == 0


@pytest.mark.parametrize("is_async", [False, True])
def test_25_deployments_in_cooldown(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool
) -> None:
    """While all deployments cool down no model is called; the calls before are recorded."""
    provider.script(Fault(401), Fault(401))
    arms = [deployment(provider, "chat", id) for id in "xy"]
    router = litellm.Router(model_list=arms, num_retries=0, allowed_fails=0, cooldown_time=60)
    for _ in range(4):
        with pytest.raises(Exception):  # noqa: B017, PT011 - by LiteLLM's version
            ask(router, is_async=is_async)
    found = {(each.deployment, each.status, each.error_code) for each in records(captured)}
    assert found == {("x", "error", "401"), ("y", "error", "401")}
    assert len(captured.records) == provider.count() == 2


@pytest.mark.parametrize("is_async", [False, True])
def test_25_rate_limit_of_a_deployment(
    captured: CapturedTrail,
    provider: LocalProvider,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_async: bool,
) -> None:
    """Beyond the requests per minute that a deployment may take none is made or recorded."""
    # One minute for the whole test; and LiteLLM counts per deployment, whatever the Router.
    now = datetime.now(UTC)
    monkeypatch.setattr(lowest_tpm_rpm_v2, "get_utc_datetime", lambda: now)
    arm = deployment(provider, "chat", f"limited-{is_async}")
    arm["litellm_params"]["rpm"] = 1
    router = litellm.Router(
        model_list=[arm], num_retries=0, routing_strategy="usage-based-routing-v2"
    )
    ask(router, is_async=is_async)
    records(captured)  # LiteLLM counts when it tells of the end
    refuse(router, is_async=is_async)
    assert [each.status for each in records(captured)] == ["ok"]
    assert provider.count() == 1


@pytest.mark.parametrize("is_async", [False, True])
def test_27_failure_names_deployment_and_model_group(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool
) -> None:
    """Of a failure, too, one sees which deployment it was, of which group, and its variant."""
    provider.script(Fault(500))
    router = litellm.Router(
        model_list=[deployment(provider, "chat", "x", variant="A")], num_retries=0
    )
    with pytest.raises(litellm.InternalServerError):
        ask(router, is_async=is_async)
    (record,) = records(captured)
    assert (record.status, record.deployment, record.variant) == ("error", "x", "A")
    assert record.tags == '{"model_group":"chat"}'


@pytest.mark.parametrize("is_async", [False, True])
def test_27_stream_names_its_deployment(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool
) -> None:
    """So does a stream, one that breaks included."""
    provider.script(Answer(), Fault(drop_after=1))
    router = litellm.Router(model_list=[deployment(provider, "chat", "x")], num_retries=0)
    arguments: dict[str, Any] = {"model": "chat", "messages": asked(), "stream": True}

    async def read() -> None:
        async for _ in await router.acompletion(**arguments):
            pass

    async def both() -> None:
        await read()
        with pytest.raises(Exception):  # noqa: B017, PT011
            await read()
        await captured.recorder.ahear_out(10)

    if is_async:
        asyncio.run(both())
    else:
        list(router.completion(**arguments))
        with pytest.raises(Exception):  # noqa: B017, PT011
            list(router.completion(**arguments))
    found = sorted((each.status, each.deployment, each.tags) for each in records(captured))
    assert found == [
        ("error", "x", '{"model_group":"chat"}'),
        ("ok", "x", '{"model_group":"chat"}'),
    ]
