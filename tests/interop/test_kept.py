"""
What an import keeps aside comes back as it was, or says why it cannot be kept.
"""

import resource
from collections.abc import Iterator

import pytest

from modeltrail.errors import ConfigurationError
from modeltrail.interop.calls_file import Imported, Outcome
from modeltrail.interop.kept import keeping
from modeltrail.record import CallRecord


def imported(number: int) -> Imported:
    """Give a call with an outcome."""
    record = CallRecord(
        id=f"call-{number}",
        framework="file",
        framework_version="1",
        operation="chat",
        started_at_us=number,
        status="ok",
        cost_nanousd=2**53 - number,
        streaming=bool(number % 2),
        tags='{"naïve":"\\u0000"}',
    )
    outcome = Outcome(f"outcome-{number}", number, "score", 500_000, call_id=record.id)
    return Imported(record, (outcome,))


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let no file grow beyond some kilobytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_calls_come_back_as_they_were_and_more_than_once() -> None:
    """In their order; reading them twice gives the same."""
    calls = [imported(number) for number in range(3_000)]
    with keeping() as kept:
        for each in calls:
            kept.add(each)
        assert list(kept) == calls
        assert list(kept) == calls


@pytest.mark.usefixtures("small_files")
def test_room_that_runs_out_is_told_with_what_to_do() -> None:
    """Whether it is noticed when a call is added or when all are read; closing adds no other."""
    with pytest.raises(ConfigurationError, match="TMPDIR"), keeping() as kept:
        for number in range(3_000):
            kept.add(imported(number))
    with pytest.raises(ConfigurationError, match="TMPDIR"), keeping() as kept:
        for number in range(100):
            kept.add(imported(number))
        list(kept)
