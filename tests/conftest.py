"""
What all tests share.
"""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before any import of litellm: no download of prices.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import modeltrail
from modeltrail.testing import LocalProvider
from modeltrail.trail import Trail
from tests.plans import PlanWatch

SLOW_TIMEOUT_S = 600
PLANS = PlanWatch()
PLANS.watch()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Give the slow tests more time, unless they say how much themselves.
    """
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT_S))


def pytest_collection_finish() -> None:
    """
    Let the garbage collector pass over what the imports have made: many tests call for it.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    Give each test a home of its own, so that no key and no trail is shared.
    """
    home = tmp_path_factory.mktemp("home")
    for name in ("MODELTRAIL_URL", "MODELTRAIL_KEY", "MODELTRAIL_KEY_FILE", "MODELTRAIL_SPOOL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def no_quadratic_query() -> Iterator[None]:
    """
    Fail a test whose queries would take hours in a large trail.
    """
    PLANS.quadratic.clear()
    yield
    assert not PLANS.quadratic, "\n\n".join(PLANS.quadratic)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """
    Name a new SQLite trail.
    """
    return f"sqlite:///{tmp_path}/calls.db"


@pytest.fixture
def trail(url: str) -> Iterator[Trail]:
    """
    Open a new SQLite trail.
    """
    with modeltrail.open(url) as opened:
        yield opened


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    """
    Start a local provider.
    """
    with LocalProvider() as started:
        yield started
