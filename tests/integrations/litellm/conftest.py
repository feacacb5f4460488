"""
What the tests of LiteLLM share: its calls, recorded in memory.
"""

from collections.abc import Iterator

import litellm
import pytest
from modeltrail_litellm import install, uninstall

from modeltrail.testing import CapturedTrail, capture_records


@pytest.fixture
def captured() -> Iterator[CapturedTrail]:
    """
    Record LiteLLM's calls in memory; nothing may go wrong inside unless a test says so.
    """
    with capture_records() as trail:
        logger = install(trail)
        yield trail
        uninstall(logger)
    assert trail.problems.counts() == {}
    assert trail.recorder.open_calls == 0


@pytest.fixture
def cache() -> Iterator[None]:
    """
    Switch LiteLLM's cache on, which needs some of its proxy's packages.
    """
    pytest.importorskip("fastapi")
    pytest.importorskip("soundfile")
    litellm.enable_cache()
    yield
    litellm.disable_cache()
