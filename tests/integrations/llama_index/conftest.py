"""
What the tests of LlamaIndex share: its calls, recorded in memory.
"""

from collections.abc import Iterator

import pytest
from modeltrail_llama_index import instrument

from modeltrail.testing import CapturedTrail, capture_records


@pytest.fixture
def records() -> Iterator[CapturedTrail]:
    """
    Record LlamaIndex's calls in memory; nothing may go wrong inside, and nothing stay open.
    """
    with capture_records() as trail, instrument(trail):
        yield trail
    assert trail.problems.counts() == {}
    assert trail.recorder.open_calls == 0
