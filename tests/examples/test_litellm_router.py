"""
The gateway on LiteLLM's Router, run as a reader runs it.
"""

import re
from collections import Counter, defaultdict
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
    folder = tmp_path_factory.mktemp("gateway")
    return folder, run_example("litellm_router", folder)


def test_gateway_leaves_a_record_of_every_attempt(
    printed: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each user has one variant, served by its deployment or, after a failure, by the spare one."""
    folder, output = printed
    monkeypatch.setenv("HOME", str(folder))
    with modeltrail.open(f"sqlite:///{folder}/gateway-trail/calls.db") as trail:
        records = [each.record for each in trail.store.calls(limit=None)]
        users = {trail.recorder.ref(f"user-{number}") for number in range(USERS)}
        assert trail.health().problems == {}
    variants, traces = defaultdict(set), defaultdict(list)
    for record in sorted(records, key=lambda each: each.started_at_us):
        variants[record.user_ref].add(record.variant)
        traces[record.trace_id].append(record)
    assert variants.keys() == users
    assert {len(each) for each in variants.values()} == {1}
    assert len(traces) == 2 * USERS
    kinds = Counter(
        tuple((each.deployment, each.status, each.is_fallback) for each in calls)
        for calls in traces.values()
    )
    failed = (("treatment-1", "error", False), ("spare-1", "ok", True))
    assert kinds.keys() == {
        (("control-1", "ok", False),),
        (("treatment-1", "ok", False),),
        failed,
    }
    made = 2 * USERS + kinds[failed]
    assert f"{2 * USERS} questions made {made} model calls." in output


def test_gateway_prints_its_cost_and_its_comparison(printed: tuple[Path, str]) -> None:
    """Both reports are shown."""
    _, output = printed
    assert re.search(r"^treatment .*\$0\.0", output, re.MULTILINE)
    assert "treatment against control is better on cost." in output
