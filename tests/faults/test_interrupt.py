"""
Ctrl-C in the middle of a call: the program ends as it does, and all calls are stored.
"""

import os
import signal
from contextlib import closing
from pathlib import Path

import pytest
from faults.lives import Nursery, answer
from faults.nursery import Life
from faults.survivor import AT_EXIT, CALLS

from modeltrail.storage import Store
from modeltrail.testing import Answer, Fault, LocalProvider, ProviderRequest

# What is known of the call that was interrupted: LiteLLM tells nobody of its end.
LAST = {"langchain": "cancelled", "llama_index": "cancelled", "litellm": "incomplete"}

pytestmark = [pytest.mark.fault, pytest.mark.slow]


@pytest.mark.parametrize("framework", LAST)
def test_interrupted_program_stores_its_calls(framework: str, url: str, tmp_path: Path) -> None:
    """Finished calls are in the database, and the one in flight with what is known of it."""
    output, errors = tmp_path / "out", tmp_path / "err"

    def interrupt(request: ProviderRequest) -> Answer | Fault:
        if request.number <= CALLS:
            return answer(request)
        os.kill(int(output.read_text()), signal.SIGINT)
        return Fault(hang=60)

    with closing(Nursery(framework, tmp_path)) as nursery, LocalProvider(interrupt) as provider:
        status = nursery.bear(Life("SIGINT", url, provider.base_url, str(output), str(errors)))
    assert status == -signal.SIGINT
    assert output.read_text().split("\n")[1:] == [AT_EXIT, ""]
    assert errors.read_text().endswith("\nKeyboardInterrupt\n")
    assert "modeltrail: " not in errors.read_text()
    # Read without opening the trail, which would store what waits in a spool.
    with closing(Store.open(url, create=False)) as store:
        found = [each.record for each in store.calls(limit=None, newest_first=False)]
    assert [record.status for record in found] == ["ok"] * CALLS + [LAST[framework]]
    assert {record.response_id for record in found[:CALLS]} == {
        f"r-{number}" for number in range(1, CALLS + 1)
    }
