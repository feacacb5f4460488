"""
The agent on LangChain, run as a reader runs it.
"""

import re
from collections import defaultdict
from pathlib import Path

import pytest

import modeltrail
from tests.examples.running import run_example

USERS = 40


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """
    Run the example in a folder of its own.
    """
    folder = tmp_path_factory.mktemp("agent")
    return folder, run_example("langchain_agent", folder)


def test_agent_leaves_a_record_of_every_model_call(
    printed: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both calls of each question are there: streamed, priced, placed, of one trace and variant."""
    folder, _ = printed
    monkeypatch.setenv("HOME", str(folder))
    with modeltrail.open(f"sqlite:///{folder}/agent-trail/calls.db") as trail:
        records = [each.record for each in trail.store.calls(limit=None)]
        sessions = {trail.recorder.ref(f"user-{number}-today") for number in range(USERS)}
        assert trail.health().problems == {}
    traces = defaultdict(list)
    for record in records:
        traces[record.trace_id].append(record)
        assert (record.status, record.streaming, record.feature) == ("ok", True, "support")
        assert record.tags == '{"agent":"support-desk","node":"model"}'
    assert {record.session_ref for record in records} == sessions
    assert len(traces) == USERS
    for calls in traces.values():
        assert sorted(each.output_format for each in calls) == ["prose", "tool_call"]
        assert len({each.variant for each in calls}) == 1
    models = {(each.variant, each.request_model) for each in records}
    assert models == {("control", "gpt-4o"), ("treatment", "gpt-4o-mini")}
    # openai.com: 2.50 and 10.00 dollars a million tokens for gpt-4o, .15 and .60 for the smaller.
    nanousd = {"gpt-4o": (2500, 10_000), "gpt-4o-mini": (150, 600)}
    for each in records:
        read, written = nanousd[each.request_model]
        assert each.cost_nanousd == each.input_tokens * read + each.output_tokens * written


def test_agent_prints_what_the_provider_saw(printed: tuple[Path, str]) -> None:
    """The count of requests is the provider's own, and both reports are shown."""
    _, output = printed
    assert f"{USERS} questions made {2 * USERS} model calls." in output
    assert re.search(r"^treatment .*\$0\.0", output, re.MULTILINE)
    assert "modeltrail compare support-model" in output
