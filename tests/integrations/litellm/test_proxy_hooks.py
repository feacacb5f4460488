"""
The hooks that only LiteLLM's proxy calls, without the proxy.
"""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import litellm
import pytest
from drivers.litellm import WITH_USAGE, at, wait_for_threads
from litellm.integrations.custom_logger import CustomLogger
from modeltrail_litellm import answers, proxy
from modeltrail_litellm.handler import TrailLogger, uninstall
from modeltrail_litellm.proxy import ProxyLogger

from modeltrail.testing import Fault, LocalProvider
from modeltrail.trail import Trail, close_all

KEY = SimpleNamespace(
    request_route="/v1/chat/completions", key_alias=None, team_alias=None, team_id="t-1"
)
REQUEST = {"call_type": "acompletion", "litellm_call_id": "c-1", "model": "gpt-4o-mini"}


@pytest.fixture
def logger(trail: Trail) -> Iterator[ProxyLogger]:
    """Let the SDK call the hooks that it shares with the proxy."""
    logger = ProxyLogger(trail)
    litellm.callbacks.append(logger)
    yield logger
    uninstall(logger)


def fail(
    logger: ProxyLogger, error: Exception = litellm.BadGatewayError("x", "", ""), **told: Any
) -> None:
    """Tell of a failed request."""
    hook = logger.async_post_call_failure_hook
    asyncio.run(hook({**REQUEST, **told}, error, KEY))


def events(trail: Trail, url: str) -> list[dict[str, str]]:
    """Return what the trail tells of rejected requests."""
    assert trail.flush(20)
    select = "SELECT detail FROM event WHERE kind = 'request-rejected'"
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return [json.loads(detail) for (detail,) in connection.execute(select)]


def test_52_logger_opens_the_trail_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """The module is imported without a trail; its logger is one, at $MODELTRAIL_URL."""
    monkeypatch.setenv("MODELTRAIL_URL", url)
    proxy._logger.cache_clear()
    try:
        assert isinstance(proxy.logger, TrailLogger)
        assert proxy.logger is proxy.logger
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("SELECT kind FROM event").fetchall() == [("trail-created",)]
    finally:
        close_all()
        proxy._logger.cache_clear()
    with pytest.raises(AttributeError, match="no attribute 'lodger'"):
        _ = proxy.lodger


def test_53_attempt_ends_when_it_fails(
    logger: ProxyLogger, trail: Trail, provider: LocalProvider
) -> None:
    """The hook of each attempt ends it, and what LiteLLM tells afterwards changes nothing."""
    provider.script(Fault(429))
    with pytest.raises(litellm.RateLimitError):
        asyncio.run(litellm.acompletion(**at(provider)))
    assert trail.flush(20)
    (found,) = trail.store.calls()
    record = found.record
    again = {"litellm_logging_obj": SimpleNamespace(model_call_details=REQUEST)}
    asyncio.run(logger.async_post_call_failure_deployment_hook(again, ValueError(), None))
    assert trail.health().problems == {}
    assert (record.status, record.error_type, record.error_code) == (
        "error",
        "RateLimitError",
        "429",
    )
    assert record.provider_request_id == provider.requests[0].request_id


def test_53_attempt_that_litellm_tells_nobody_of(logger: ProxyLogger, trail: Trail) -> None:
    """Of the later attempts of a request the hook of each attempt alone tells."""
    call = {**REQUEST, "litellm_params": {}, "messages": []}
    logger.log_pre_api_call(model="m", messages=[], kwargs=call)
    again = {"litellm_logging_obj": SimpleNamespace(model_call_details=call)}
    error = litellm.RateLimitError("x", "", "")
    asyncio.run(logger.async_post_call_failure_deployment_hook(again, error, None))
    assert trail.health().open_calls == 0
    assert trail.flush(20)
    (found,) = trail.store.calls()
    assert (found.record.status, found.record.error_code) == ("error", "429")


def test_53_failed_request_ends_what_is_open(logger: ProxyLogger, trail: Trail, url: str) -> None:
    """A request whose attempt nobody has ended ends with it, and is no rejection."""
    call = {**REQUEST, "litellm_params": {}, "messages": []}
    logger.log_pre_api_call(model="m", messages=[], kwargs=call)
    assert trail.health().open_calls == 1
    fail(logger)
    assert events(trail, url) == []
    (found,) = trail.store.calls()
    assert (found.record.status, found.record.error_code) == ("error", "502")


def test_54_rejection_begins_no_call(logger: ProxyLogger, trail: Trail, url: str) -> None:
    """What the proxy says of a request that it rejects is an event."""
    call = {**REQUEST, "litellm_params": {}, "messages": [], "litellm_no_upstream_llm_call": True}
    logger.log_pre_api_call(model="m", messages=[], kwargs=call)
    assert trail.health().open_calls == 0
    fail(logger, ValueError("sk-secret-secret-secret"), model="sk-01234567890123456789")
    assert events(trail, url) == [
        {
            "operation": "chat",
            "request_model": "[secret]",
            "run_id": "c-1",
            "error_type": "ValueError",
            "route": "/v1/chat/completions",
            "team": "t-1",
        }
    ]
    assert trail.store.calls() == []


def test_54_rejection_without_an_id_is_told(logger: ProxyLogger, trail: Trail, url: str) -> None:
    """A request that has not even got an id is rejected all the same."""
    hook = logger.async_post_call_failure_hook
    asyncio.run(hook({"call_type": "acompletion", "model": 7}, ValueError(), KEY))
    (event,) = events(trail, url)
    assert event.keys() == {"operation", "error_type", "route", "team"}


@pytest.mark.parametrize(
    "told",
    [
        {"first_api_call_start_time": datetime.now(UTC)},
        {"call_type": "/v1/models"},
        {"call_type": ["acompletion"]},
    ],
    ids=["asked", "no-call", "nonsense"],
)
def test_54_other_failures_are_no_rejections(
    logger: ProxyLogger, trail: Trail, url: str, told: dict[str, Any]
) -> None:
    """A request that reached a provider has records; other endpoints are no matter of a trail."""
    fail(logger, **told)
    assert events(trail, url) == []
    assert trail.health().problems == {}


def test_20_what_litellm_makes_up_is_left_out(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a stream that its client has left, usage, cost and finish reason are unknown."""
    told: list[tuple[dict[str, Any], object]] = []

    class Listener(CustomLogger):
        def log_success_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            told.append((kwargs, response_obj))

    listener = Listener()
    litellm.callbacks.append(listener)
    list(litellm.completion(**at(provider, stream=True, **WITH_USAGE)))
    wait_for_threads()
    litellm.logging_callback_manager.remove_callback_from_all_lists(listener)
    details, answer = told[-1]
    whole = answers.response(details, answer, 1)
    details["standard_logging_object"]["error_information"] = {"error_code": "499"}
    left = answers.response(details, answer, 1)
    assert (whole.usage is None, left.usage) == (False, None)
    assert (whole.finish_reasons, left.finish_reasons) == (("stop",), ())
    assert left.cost_reported_nanousd is None
    assert left.text == whole.text
