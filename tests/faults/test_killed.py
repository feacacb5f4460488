"""
A finished call survives SIGKILL, whatever the database and the writer are doing.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mishaps import locked

import modeltrail
from modeltrail.record import CallRecord
from modeltrail.testing import Answer, LocalProvider

CHILD = Path(__file__).with_name("killed_child.py")
TESTS = Path(__file__).parents[1]
CALLS = 20
FRAMEWORKS = ("langchain", "llama_index", "litellm")
MODES = ("database-locked", "writer-stopped")

pytestmark = pytest.mark.fault


def kill_at_the_last_return(framework: str, url: str, base_url: str, mode: str) -> None:
    """
    Run the child and kill it as soon as its twentieth call has returned.
    """
    environ = {**os.environ, "PYTHONPATH": str(TESTS), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with subprocess.Popen(
        [sys.executable, str(CHILD), framework, url, base_url, mode],
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip() == str(CALLS):
                child.kill()
                break
        assert child.wait() == -9


def records_after_the_next_open(url: str) -> list[CallRecord]:
    """
    Open the trail again and read at once.
    """
    with modeltrail.open(url) as trail:
        return [each.record for each in trail.store.calls(limit=None)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_returned_call_is_recorded(
    framework: str, mode: str, url: str, tmp_path: Path, provider: LocalProvider
) -> None:
    """Twenty calls returned, the process is killed: twenty records after the next open."""
    provider.answers = lambda request: Answer(text="Eight.", response_id=f"r-{request.number}")
    modeltrail.open(url).close()
    if mode == "database-locked":
        with locked(tmp_path / "calls.db"):
            kill_at_the_last_return(framework, url, provider.base_url, mode)
    else:
        kill_at_the_last_return(framework, url, provider.base_url, mode)
    assert len(provider.requests) == CALLS
    records = records_after_the_next_open(url)
    assert len(records) == CALLS
    assert {record.request_model for record in records} == {"gpt-4o-mini"}
    # LiteLLM announces ends on another thread, which may die before it has.
    told = {record.response_id for record in records if record.status == "ok"}
    unsettled = [record for record in records if record.status == "incomplete"]
    assert len(told) + len(unsettled) == CALLS
    assert told <= {f"r-{number}" for number in range(1, CALLS + 1)}
    if framework != "litellm":
        assert unsettled == []


def test_second_open_adds_nothing(url: str, provider: LocalProvider) -> None:
    """What was replayed once is not there twice, and its spool is gone."""
    modeltrail.open(url).close()
    kill_at_the_last_return("langchain", url, provider.base_url, "writer-stopped")
    assert len(records_after_the_next_open(url)) == CALLS
    assert len(records_after_the_next_open(url)) == CALLS
    path = url.removeprefix("sqlite:///")
    assert list(Path(f"{path}.spool").iterdir()) == []
