"""
What tests of faults share.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import migrated_database, postgres_server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """
    Name an empty database of each kind.
    """
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/calls.db"
        return
    with migrated_database(postgres_server()) as url:
        yield url


@pytest.fixture(params=["mapped", "written"])
def segments(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """
    Choose how frames get into the spool.
    """
    if request.param == "written":
        monkeypatch.setattr("modeltrail.storage.spool.spool.keeps_its_word", lambda _: False)
    return str(request.param)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Let no thread of ours die unnoticed.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            error = "error::pytest.PytestUnhandledThreadExceptionWarning"
            item.add_marker(pytest.mark.filterwarnings(error))
