"""
An open trail, from outside.
"""

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from recording import make_call, request, response

import modeltrail
from modeltrail.context import current_tags
from modeltrail.errors import ConfigurationError, KeyMismatchError, StoreUnavailableError
from modeltrail.trail import Trail


def records(trail: Trail) -> list[Any]:
    """
    Return all records, oldest first.
    """
    assert trail.flush(10)
    return [each.record for each in trail.store.calls(limit=None, newest_first=False)]


def test_import_loads_no_engine_and_no_framework() -> None:
    """`import modeltrail` is light: no SQL engine, no framework, no prices."""
    code = (
        "import sys, modeltrail, modeltrail.integration; "
        "print([name for name in ('sqlalchemy', 'sqlmodel', 'alembic', 'genai_prices', "
        "'cryptography', 'psycopg', 'langchain_core', 'llama_index', 'litellm', 'typer') "
        "if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_writer_imports_nothing_behind_the_back_of_its_host(url: str) -> None:
    """All that the background needs is imported by `open`, on the caller's own thread.

    A module that is half imported by another thread breaks libraries that look for it in
    `sys.modules`: openai did so at every request while prices were being loaded.
    """
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import modeltrail; from recording import make_call\n"
        f"trail = modeltrail.open({url!r}); before = set(sys.modules)\n"
        "make_call(trail.recorder); assert trail.flush(20)\n"
        "assert trail.store.calls()[0].record.cost_nanousd == 6300\n"
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_face_is_small() -> None:
    """The face has at most fifteen names, and each is there."""
    assert len(modeltrail.__all__) <= 15
    assert all(hasattr(modeltrail, name) for name in modeltrail.__all__)


def test_flushed_call_is_in_the_database(trail: Trail) -> None:
    """After flush the record can be read."""
    call = make_call(trail.recorder)
    (record,) = records(trail)
    assert (record.id, record.status) == (call.id, "ok")
    health = trail.health()
    assert (health.open_calls, health.waiting_frames, health.drops) == (0, 0, {})
    assert health.last_commit_us is not None


def test_call_is_stored_without_flush(trail: Trail) -> None:
    """The writer looks by itself, soon."""
    make_call(trail.recorder)
    deadline = threading.Event()
    for _ in range(100):
        if trail.store.calls():
            break
        deadline.wait(0.1)
    assert len(trail.store.calls()) == 1


def test_close_settles_and_leaves_no_spool(url: str) -> None:
    """After close everything is stored and the spool folder is empty."""
    trail = modeltrail.open(url)
    folder = trail.store.spool_folder()
    trail.recorder.start(request())
    assert trail.close() is True
    assert trail.close() is True
    assert list(folder.iterdir()) == []
    with modeltrail.open(url) as again:
        assert [record.status for record in records(again)] == ["incomplete"]


def test_call_after_close_is_counted(url: str) -> None:
    """A closed trail costs its host nothing but a count."""
    trail = modeltrail.open(url)
    trail.close()
    make_call(trail.recorder)
    assert trail.recorder.problems.counts() == {"start-not-written": 1, "call-not-written": 1}


def test_close_without_a_database_leaves_the_spool(url: str, tmp_path: Path) -> None:
    """What could not be stored in time is stored by whoever opens the trail next."""
    trail = modeltrail.open(url)
    locker = sqlite3.connect(tmp_path / "calls.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    make_call(trail.recorder)
    assert trail.flush(0.2) is False
    assert trail.close(timeout=0.2) is False
    locker.execute("ROLLBACK")
    locker.close()
    with modeltrail.open(url) as again:
        assert [record.status for record in records(again)] == ["ok"]


def test_forgotten_trail_is_closed_at_exit(url: str) -> None:
    """A program that never closes its trail loses nothing."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import modeltrail; from recording import make_call\n"
        f"make_call(modeltrail.open({url!r}).recorder)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with modeltrail.open(url) as trail:
        assert len(list(trail.store.spool_folder().glob("*.spool"))) == 1  # this trail's own
        assert len(records(trail)) == 1


def test_two_trails_of_one_database(url: str) -> None:
    """Two processes, or two trails of one, share a database."""
    with modeltrail.open(url) as first, modeltrail.open(url) as second:
        make_call(first.recorder, "run-1")
        make_call(second.recorder, "run-2")
        assert first.flush(10)
        assert {record.run_id for record in records(second)} == {"run-1", "run-2"}
        assert len({record.writer_id for record in records(second)}) == 2


def test_other_key_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trail is continued under its own key only."""
    modeltrail.open(url).close()
    monkeypatch.setenv("MODELTRAIL_KEY", "ab" * 32)
    with pytest.raises(KeyMismatchError, match="MODELTRAIL_KEY_FILE"):
        modeltrail.open(url)


def test_url_comes_from_the_environment(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an argument MODELTRAIL_URL is used, else a file in the current folder."""
    monkeypatch.setenv("MODELTRAIL_URL", url)
    modeltrail.open().close()
    assert (tmp_path / "calls.db").exists()
    monkeypatch.delenv("MODELTRAIL_URL")
    monkeypatch.chdir(tmp_path)
    modeltrail.open().close()
    assert (tmp_path / "modeltrail.db").exists()


def test_spool_may_live_elsewhere(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MODELTRAIL_SPOOL moves the spools, each database to a folder of its own."""
    monkeypatch.setenv("MODELTRAIL_SPOOL", str(tmp_path / "elsewhere"))
    with modeltrail.open(url) as trail:
        make_call(trail.recorder)
        assert len(list((tmp_path / "elsewhere").glob("*/*.spool"))) == 1
    assert not (tmp_path / "calls.db.spool").exists()


def test_unwritable_folder_is_an_error_at_open() -> None:
    """Where no file can be made, `open` says so at once."""
    with pytest.raises(StoreUnavailableError, match="unable to open"):
        modeltrail.open("sqlite:////proc/calls.db")


def test_outcome_is_stored_with_its_unit(trail: Trail) -> None:
    """An outcome joins the unit's variant."""
    experiment = trail.experiment("exp", {"control": 0.5, "treatment": 0.5})
    with modeltrail.tag(feature="f"):
        variant = experiment.assign("u-1").variant
        make_call(trail.recorder)
    trail.outcome("score", 0.25, unit="u-1")
    (record,) = records(trail)
    assert (record.experiment, record.variant, record.propensity_ppm) == ("exp", variant, 500_000)
    assert record.unit_ref == trail.recorder.ref("u-1")
    (sums,) = trail.store.trial_outcomes("exp")
    assert (sums.name, sums.variant, sums.total_micros, sums.values) == (
        "score",
        variant,
        250_000,
        1,
    )


def test_unit_that_takes_no_part_has_no_variant(trail: Trail) -> None:
    """Outside the coverage a call belongs to no experiment."""
    experiment = trail.experiment("exp", {"a": 0.5, "b": 0.5}, coverage=0.0)
    with modeltrail.tag(feature="f"):
        assert experiment.assign("u-1").variant is None
        make_call(trail.recorder)
    (record,) = records(trail)
    assert (record.experiment, record.variant) == (None, None)


def test_unit_of_one_of_two_experiments_is_in_that_one(trail: Trail) -> None:
    """Whichever of two that share out a namespace is asked last, and only for the same unit."""
    parts = [("one", ("n", 0.0, 0.5)), ("two", ("n", 0.5, 1.0))]
    pair = [trail.experiment(key, {"a": 0.5, "b": 0.5}, namespace=part) for key, part in parts]
    users = [f"u-{number}" for number in range(8)]
    for order in (pair, pair[::-1]):
        for user in users:
            with modeltrail.tag(feature="f"):
                (given,) = [each for e in order if (each := e.assign(user)).variant is not None]
                assert current_tags()["experiment"] == given.experiment
                assert (current_tags()["variant"], current_tags()["unit"]) == (given.variant, user)
    first, second = pair
    with modeltrail.tag(feature="f"):
        inside = [user for user in users if first.assign(user).variant is not None]
    outside = next(user for user in users if user not in inside)
    with modeltrail.tag(feature="f"):
        first.assign(inside[0])
        second.assign(inside[1])
        assert current_tags().get("experiment") is None
    with modeltrail.tag(feature="f"):
        first.assign(inside[0])
        first.assign(outside)
        assert current_tags().get("experiment") is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"value": 1.0},
        {"value": 1.0, "unit": "u", "call": "c"},
        {"value": "much", "unit": "u"},
        {"value": float("nan"), "unit": "u"},
        {"value": -1e13, "unit": "u"},
        {"value": 1e300, "unit": "u"},
    ],
)
def test_outcome_of_nothing_is_refused(trail: Trail, arguments: dict[str, Any]) -> None:
    """An outcome has one place it belongs to and a number."""
    with pytest.raises(ConfigurationError):
        trail.outcome("score", **arguments)


def test_fifty_megabytes_of_prompt_leave_a_record(trail: Trail) -> None:
    """A huge prompt is digested like a small one."""
    make_call(trail.recorder, messages=(("user", "x" * 50_000_000),))
    (record,) = records(trail)
    assert record.input_chars == 50_000_000
    assert record.input_digest is not None
    assert trail.health().problems == {}


def test_no_text_is_in_any_file(trail: Trail, tmp_path: Path) -> None:
    """Neither the database nor the spool contains a prompt, an answer or a user."""
    marker = "zebra-" * 20_000
    call = trail.recorder.start(
        request(messages=(("user", marker),), tags={"user": "zebra-user", "feature": "f"})
    )
    call.stop(response(text=marker))
    spooled = b"".join(path.read_bytes() for path in trail.store.spool_folder().iterdir())
    records(trail)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("calls.db*") if path.is_file())
    assert len(spooled) > 2 * len(marker)
    assert b"zebra" not in spooled + stored


def test_forked_child_records_its_own_calls(url: str) -> None:
    """After a fork both processes record, and the parent's call in flight stays the parent's."""
    with modeltrail.open(url) as trail:
        flying = trail.recorder.start(request("flying"))
        child = os.fork()
        if child == 0:
            make_call(trail.recorder, "child")
            os._exit(0)
        os.waitpid(child, 0)
        flying.stop(response())
        make_call(trail.recorder, "parent")
        assert {record.run_id for record in records(trail)} == {"flying", "parent"}
    with modeltrail.open(url) as again:
        found = {record.run_id: record.status for record in records(again)}
    assert found == {"flying": "ok", "parent": "ok", "child": "ok"}


async def test_aflush_does_not_block_the_loop(trail: Trail, tmp_path: Path) -> None:
    """While the database is locked the loop goes on; later all is stored."""
    locker = sqlite3.connect(tmp_path / "calls.db", isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")
    make_call(trail.recorder)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    counting = asyncio.create_task(count())
    assert await trail.aflush(0.5) is False
    assert turns >= 10
    locker.execute("ROLLBACK")
    locker.close()
    assert await trail.aflush(20) is True
    counting.cancel()
    assert len(trail.store.calls()) == 1


def test_aflush_outlives_a_loop(trail: Trail) -> None:
    """A loop that was closed while it waited harms nobody."""

    async def give_up() -> None:
        make_call(trail.recorder)
        waiting = asyncio.create_task(trail.aflush())
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(give_up())
    assert len(records(trail)) == 1


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """
    Note what was brought to the disk, by the ends of the files' names.
    """
    found: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink().suffix)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return found


def test_call_returns_when_the_disk_has_it(url: str, synced: list[str]) -> None:
    """With durability `power` the end of a call waits for the disk, its start does not."""
    with modeltrail.open(url, durability="power") as trail:
        synced.clear()
        call = trail.recorder.start(request())
        assert ".spool" not in synced
        call.stop(response())
        assert ".spool" in synced
        assert trail.health().problems == {}


async def test_nothing_waits_on_an_event_loop(url: str, synced: list[str]) -> None:
    """On an event loop the wait is refused and counted; aflush gives the promise."""
    with modeltrail.open(url, durability="power") as trail:
        synced.clear()
        make_call(trail.recorder)
        assert trail.health().problems == {"power-not-awaited": 1}
        assert await trail.aflush(20) is True
        assert ".spool" in synced


@pytest.mark.parametrize(
    "options",
    [{"durability": "eternal"}, {"spool_limit_bytes": 1000}],
)
def test_settings_that_cannot_work_are_refused(url: str, options: dict[str, Any]) -> None:
    """A durability that is none, a limit that holds nothing."""
    with pytest.raises(ConfigurationError):
        modeltrail.open(url, **options)


@pytest.mark.parametrize("text", ["much", "12"])
def test_limit_from_the_environment_is_checked(
    url: str, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """The message names the variable."""
    monkeypatch.setenv("MODELTRAIL_SPOOL_LIMIT", text)
    with pytest.raises(ConfigurationError, match="MODELTRAIL_SPOOL_LIMIT"):
        modeltrail.open(url)


def test_health_knows_its_limit(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument wins over the environment."""
    monkeypatch.setenv("MODELTRAIL_SPOOL_LIMIT", str(2**22))
    with modeltrail.open(url) as trail:
        assert trail.health().spool_limit_bytes == 2**22
    with modeltrail.open(url, spool_limit_bytes=2**23) as trail:
        assert trail.health().spool_limit_bytes == 2**23
        assert trail.health().spool_bytes > 0


def test_health_is_logged(url: str) -> None:
    """With a mirror, the application's log says how the trail was doing."""
    log = structlog.testing.LogCapture()
    logger = structlog.wrap_logger(None, processors=[log])
    with modeltrail.open(url, mirror=logger) as trail:
        make_call(trail.recorder)
    names = [entry["event"] for entry in log.entries]
    assert names == ["model_call", "trail_health"]
    assert (log.entries[1]["open_calls"], log.entries[1]["drops"]) == (0, {})


def test_spool_of_a_dead_process_is_taken_over_by_the_living(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that runs for months stores what its workers have left."""
    monkeypatch.setattr("modeltrail.storage.writer.ORPHANS_LOOK_S", 0.1)
    with modeltrail.open(url) as trail:
        child = os.fork()
        if child == 0:
            make_call(trail.recorder, "child")
            os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
        for _ in range(200):
            if trail.store.calls():
                break
            time.sleep(0.05)
        assert [each.record.run_id for each in trail.store.calls()] == ["child"]


def test_child_may_close_what_it_inherited(url: str) -> None:
    """In a child the trail can be flushed, closed and asked at once; the parent's is unharmed."""
    with modeltrail.open(url) as trail:
        make_call(trail.recorder, "before")
        child = os.fork()
        if child == 0:
            asked = trail.health().open_calls == 0 and trail.flush(1) and trail.close()
            os._exit(0 if asked else 1)
        assert os.waitpid(child, 0)[1] == 0
        make_call(trail.recorder, "after")
        assert {record.run_id for record in records(trail)} == {"before", "after"}


def test_call_at_exit_is_recorded(url: str) -> None:
    """What the program calls after the trail was closed at exit is stored at once."""
    code = (
        "import atexit, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "atexit.register(lambda: make_call(trail.recorder, 'late'))\n"  # runs after ours
        "import modeltrail; from recording import make_call\n"
        f"trail = modeltrail.open({url!r})\n"
        "make_call(trail.recorder, 'early')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        found = connection.execute("SELECT run_id, status FROM call ORDER BY seq").fetchall()
    assert found == [("early", "ok"), ("late", "ok")]


def test_parent_stores_what_its_child_has_left(url: str) -> None:
    """When a process ends well, the calls of its dead children are in the database, too."""
    with modeltrail.open(url) as trail:
        child = os.fork()
        if child == 0:
            make_call(trail.recorder, "child")
            os._exit(0)
        os.waitpid(child, 0)
        make_call(trail.recorder, "parent")
        folder = trail.store.spool_folder()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        found = connection.execute("SELECT run_id, status FROM call").fetchall()
    assert sorted(found) == [("child", "ok"), ("parent", "ok")]
    assert list(folder.iterdir()) == []


class LateFramework:
    """
    A framework that tells of an end only when it is heard out.
    """

    def __init__(self, trail: Trail, run_id: str) -> None:
        self.call = trail.recorder.start(request(run_id))
        self.timeouts: list[float] = []
        trail.recorder.late.append(self)

    def hear_out(self, timeout: float) -> None:
        self.timeouts.append(timeout)
        self.call.stop(response())

    async def ahear_out(self, timeout: float) -> None:
        self.hear_out(timeout)


def test_flush_hears_out_who_tells_late(trail: Trail) -> None:
    """What has ended is stored, though the framework has not told of it before it was asked."""
    late = LateFramework(trail, "late")
    assert trail.flush(3)
    assert [each.record.status for each in trail.store.calls()] == ["ok"]
    again = LateFramework(trail, "again")
    assert asyncio.run(trail.aflush())
    assert [each.record.status for each in trail.store.calls()] == ["ok", "ok"]
    assert (late.timeouts[0], again.timeouts) == (3, [5.0])


def test_closing_hears_out_who_tells_late(url: str) -> None:
    """A call is not called incomplete because its framework is slow to tell."""
    with modeltrail.open(url) as trail:
        LateFramework(trail, "late")
    with modeltrail.open(url) as trail:
        assert [each.record.status for each in trail.store.calls()] == ["ok"]
