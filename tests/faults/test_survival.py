"""
Twenty finished calls survive any end of the process, whatever the database is doing.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from faults.lives import Case, Ended, let_all_live
from faults.survivor import AT_EXIT, CALLS, ENDINGS, EXIT_CODE, PARENTS_CALLS
from scenarios import ANSWERED, ASKED

import modeltrail
from modeltrail.record import CallRecord
from modeltrail.trail import Trail

FRAMEWORKS = ("langchain", "llama_index", "litellm")
CASES = [
    Case(ending, database, is_locked)
    for ending in ENDINGS
    for database in ("sqlite", "postgresql")
    for is_locked in (False, True)
]
# What is forked from a nursery is what it seems to be: the same in an interpreter of its own.
FRESH = [Case(ending, "sqlite", is_fresh=True) for ending in ENDINGS]
every_life = pytest.mark.parametrize(
    ("framework", "case"),
    [
        pytest.param(framework, case, id=f"{framework}-{case}")
        for framework in FRAMEWORKS
        for case in (*CASES, *(FRESH if framework == "langchain" else ()))
    ],
)

STATUS = {"exit-at-once": EXIT_CODE, "SIGKILL": -9, "SIGKILL-writer-stopped": -9, "SIGTERM": -15}
# How many interpreters ran what is to be run at exit, where that is not one.
RAN_AT_EXIT = dict.fromkeys(STATUS, 0) | {"forked-exit": 2}
CHILDREN = ("forked", "multiprocessing")
# LiteLLM announces the ends of calls on another thread, which may die before it has.
LATE = {"litellm": {*STATUS, "forked-exit-at-once", "forked-exit", "multiprocessing-fork"}}
# Of a database that is away the application's log may be told.
TOLD = re.compile(r"modeltrail: store-unavailable \(\w+\); further ones are only counted\n")

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Make a home that all programs share.
    """
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def ended_of(
    request: pytest.FixtureRequest, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Mapping[Case, Ended]]]:
    """
    Let all programs of a framework live that the selected tests ask for, when one first does.
    """
    wanted: defaultdict[str, set[Case]] = defaultdict(set)
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.module is request.module:
            wanted[item.callspec.params["framework"]].add(item.callspec.params["case"])
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:

        @cache
        def let_live(framework: str) -> Mapping[Case, Ended]:
            folder = tmp_path_factory.mktemp("lives")
            patch.setenv("HOME", str(home))
            return stack.enter_context(let_all_live(framework, wanted[framework], folder))

        yield let_live


@pytest.fixture
def ended(
    ended_of: Callable[[str], Mapping[Case, Ended]],
    framework: str,
    case: Case,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Ended:
    """
    Tell how one program ended.
    """
    monkeypatch.setenv("HOME", str(home))
    return ended_of(framework)[case]


def records(trail: Trail) -> list[CallRecord]:
    """
    Return all records.
    """
    return [each.record for each in trail.store.calls(limit=None)]


def events(trail: Trail) -> set[str]:
    """
    Return the kinds of all events of the trail.
    """
    with trail.store._engine.connect() as connection:
        return set(connection.exec_driver_sql("SELECT kind FROM event").scalars())


@every_life
def test_host_is_unharmed(ended: Ended, case: Case) -> None:
    """The program ends with the status of its own, and what is to run at exit runs."""
    assert (TOLD.sub("", ended.errors) if case.is_locked else ended.errors) == ""
    assert ended.status == STATUS.get(case.ending, 0)
    assert ended.output.split("\n") == [AT_EXIT] * RAN_AT_EXIT.get(case.ending, 1) + [""]


@every_life
def test_every_returned_call_is_recorded(framework: str, ended: Ended, case: Case) -> None:
    """Twenty calls returned, the process ended: twenty records after the next open."""
    calls = CALLS + PARENTS_CALLS * case.ending.startswith(CHILDREN)
    assert len(ended.response_ids) == calls
    with modeltrail.open(ended.url) as trail:
        found = records(trail)
        assert events(trail) == {"trail-created"}
        assert (trail.health().problems, trail.health().drops) == ({}, {})
    assert len(found) == calls
    assert {record.request_model for record in found} == {ASKED}
    told = [record for record in found if record.status == "ok"]
    assert {record.response_model for record in told} == {ANSWERED}
    assert {record.response_id for record in told} <= ended.response_ids
    assert len({record.response_id for record in told}) == len(told)
    if case.ending in LATE.get(framework, ()):
        assert {record.status for record in found} <= {"ok", "incomplete"}
    else:
        assert len(told) == calls


@every_life
def test_second_open_adds_nothing(ended: Ended, case: Case) -> None:
    """What was replayed once is not there twice, and its spool is gone."""
    with modeltrail.open(ended.url) as trail:
        before = records(trail)
    with modeltrail.open(ended.url) as trail:
        assert records(trail) == before
        folder = trail.store.spool_folder()
    assert len(before) >= CALLS
    assert list(folder.iterdir()) == []
