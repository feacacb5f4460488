"""
The scenarios, run through the real client of every framework.
"""

import asyncio
import importlib
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from scenarios import EMBEDDING, SCENARIOS, SOME_TIME, Driver, Scenario, fifty_at_once

from modeltrail.record import CallRecord
from modeltrail.testing import Answer, LocalProvider, ProviderRequest
from modeltrail.trail import Trail

FRAMEWORKS = ("langchain", "llama_index", "litellm")


@pytest.fixture(params=FRAMEWORKS)
def driver(
    request: pytest.FixtureRequest, trail: Trail, provider: LocalProvider
) -> Iterator[Driver]:
    """
    Set up one framework's client, recorded by the trail.
    """
    module = importlib.import_module(f"drivers.{request.param}")
    with module.driver(trail, provider) as ready:
        yield ready


def run(scenario: Scenario, driver: Driver, provider: LocalProvider) -> None:
    """
    Act a scenario out, in an event loop of its own where it needs one.
    """
    provider.script(*scenario.steps)

    async def act() -> None:
        await scenario.act(driver)  # type: ignore[misc]

    expected_error = pytest.raises(Exception) if scenario.raises else nullcontext()  # noqa: B017, PT011
    with expected_error:
        if "async" in scenario.name:
            asyncio.run(act())
        else:
            scenario.act(driver)
    driver.deliver()


def stored(trail: Trail) -> list[CallRecord]:
    """
    Return all records of a trail.
    """
    assert trail.flush(10)
    return [each.record for each in trail.store.calls(limit=None)]


def shown(record: CallRecord, expected: dict[str, Any]) -> dict[str, Any]:
    """
    Return the columns of a record that a scenario speaks of.
    """
    found = {name: getattr(record, name) for name in expected}
    for name, value in expected.items():
        if value is SOME_TIME and isinstance(found[name], int) and found[name] > 0:
            found[name] = SOME_TIME
    return found


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_call_leaves_the_expected_record(
    scenario: Scenario, driver: Driver, trail: Trail, provider: LocalProvider
) -> None:
    """A call of this kind leaves exactly one record, which says what happened."""
    run(scenario, driver, provider)
    records = stored(trail)
    expected = scenario.expected_of(driver.framework)
    if "user_ref" in expected:
        expected["user_ref"] = trail.recorder.ref(expected["user_ref"])
    assert [shown(record, expected) for record in records] == [expected]
    assert len(records) == len(provider.requests)
    assert trail.health().problems == {}
    assert trail.health().open_calls == 0


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_times_and_ids_are_plausible(
    scenario: Scenario, driver: Driver, trail: Trail, provider: LocalProvider
) -> None:
    """Every record has a latency, an id of its time, a run id and a first chunk in between."""
    run(scenario, driver, provider)
    (record,) = stored(trail)
    arrived = provider.requests[0].arrived_at_us
    assert record.started_at_us <= arrived
    if record.status == "incomplete":
        assert record.latency_us is None  # no end was seen
    else:
        assert record.latency_us is not None and record.latency_us > 0
        assert (record.time_to_first_chunk_us or 0) <= record.latency_us
    assert int(record.id.replace("-", "")[:12], 16) == record.started_at_us // 1000
    assert record.run_id
    assert record.framework == driver.framework
    assert record.framework_version[0].isdigit()


def test_embedding_is_recorded(driver: Driver, trail: Trail, provider: LocalProvider) -> None:
    """An embedding leaves one record, where the framework tells of it."""
    if not driver.has_embedding_events:
        pytest.skip("LangChain has no events for embeddings (a wrapper is another matter)")
    run(EMBEDDING, driver, provider)
    expected = EMBEDDING.expected_of(driver.framework)
    assert [shown(record, expected) for record in stored(trail)] == [expected]


def test_fifty_concurrent_calls_keep_their_tags(
    driver: Driver, trail: Trail, provider: LocalProvider
) -> None:
    """Of fifty calls at once each keeps its own variant."""

    def answer(request: ProviderRequest) -> Answer:
        number = request.body["messages"][-1]["content"]
        return Answer(text="ok", response_id=f"chatcmpl-{number}", delay=0.02)

    provider.answers = answer
    asyncio.run(fifty_at_once(driver))
    driver.deliver()
    found = {record.response_id: record.variant for record in stored(trail)}
    assert found == {f"chatcmpl-{n}": str(n) for n in range(50)}
