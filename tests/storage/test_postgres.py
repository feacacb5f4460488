"""
What only a server can do, or refuse.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgres import migrated_database, postgres_server
from recording import make_call

import modeltrail
from modeltrail.errors import StoreUnavailableError
from modeltrail.storage import Store
from modeltrail.storage.rows import Batch

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "postgresql.md"
ROLES = ("trail_recorder", "trail_reader")


@pytest.fixture
def url() -> Iterator[str]:
    """
    Name a migrated database of its own.
    """
    with migrated_database(postgres_server()) as made:
        yield made


@pytest.fixture
def roles(url: str) -> Iterator[dict[str, str]]:
    """
    Make the roles that the documentation recommends; give a URL for each.
    """
    (sql,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(sql)
        yield {role: url.replace("//postgres:@", f"//{role}@") for role in ROLES}
        for role in ROLES:
            owner.execute(f"DROP OWNED BY {role}")
            owner.execute(f"DROP ROLE {role}")


def execute(url: str, sql: str) -> list[Any]:
    """
    Execute a statement over a connection of its own.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def record_one(url: str, **tags: Any) -> None:
    """
    Record a call and wait until it is stored.
    """
    with modeltrail.open(url) as trail:
        make_call(trail.recorder, tags=tags)
        trail.outcome("resolved", 1, trace="t")
        assert trail.flush(20)
        assert trail.health().problems == {}
        assert trail.health().drops == {}


def test_role_that_inserts_and_reads_is_enough(url: str, roles: dict[str, str]) -> None:
    """The documented recorder records and reads, and can change or remove nothing."""
    recorder = roles["trail_recorder"]
    record_one(recorder)
    assert execute(url, "SELECT count(*) FROM call, outcome, writer") == [(1,)]
    for sql in (
        "UPDATE call SET status = 'ok'",
        "DELETE FROM event",
        "TRUNCATE call",
        "DROP TABLE call",
        "CREATE TABLE public.litter (a int)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            execute(recorder, sql)


def test_reader_reads_the_views_only(url: str, roles: dict[str, str]) -> None:
    """The documented reader serves the command line, and records nothing."""
    record_one(url)
    store = Store.open(roles["trail_reader"], create=False)
    assert len(store.calls()) == 1
    assert store.last_seq() > 0
    event = ("00000000-0000-7000-8000-00000000000f", 1, "k", "{}")
    with pytest.raises(StoreUnavailableError, match="permission denied"):
        store.append(Batch(event=[event]))
    store.close()


def test_role_without_temporary_tables_still_records(url: str, roles: dict[str, str]) -> None:
    """Where COPY has nowhere to go rows are inserted one by one."""
    (name,) = re.findall(r"/(trail_\w+)\?", url)
    execute(url, f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    record_one(roles["trail_recorder"])
    assert execute(url, "SELECT count(*) FROM call") == [(1,)]


@pytest.mark.parametrize(
    ("configured", "used"),
    [("off", "on"), ("local", "on"), ("on", "on"), ("remote_apply", "remote_apply")],
)
def test_commits_are_durable_whatever_the_server_says(url: str, configured: str, used: str) -> None:
    """A weaker setting is raised in our transactions, a stronger one kept, the session left."""
    (name,) = re.findall(r"/(trail_\w+)\?", url)
    execute(url, f"ALTER DATABASE {name} SET synchronous_commit = {configured}")
    # The server itself notes what was in force when a row came in.
    execute(url, "CREATE TABLE seen (setting text)")
    execute(
        url,
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$",
    )
    execute(url, "CREATE TRIGGER note AFTER INSERT ON call FOR EACH ROW EXECUTE FUNCTION note()")
    record_one(url)
    assert execute(url, "SELECT DISTINCT setting FROM seen") == [(used,)]
    store = Store.open(url)
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == configured
    store.close()


def test_odd_texts_pass_copy_unharmed(url: str) -> None:
    """What has a meaning in COPY has none in a tag."""
    odd = 'tab\t newline\n back\\slash \\N quote\' "double" größe 🕷 \r end \\.'
    record_one(url, feature=odd, free=odd)
    with modeltrail.open(url) as trail:
        (found,) = trail.store.calls()
    assert found.record.feature == odd


def test_nul_in_late_facts_and_outcomes_costs_nothing(url: str) -> None:
    """PostgreSQL takes no NUL in a text: it is replaced wherever it comes from."""

    def add(_: Any, __: str, event_dict: Any) -> Any:
        return event_dict | {"service_tier": "a\0b"}

    with modeltrail.open(url, processors=[add]) as trail:
        call = make_call(trail.recorder, tags={"feature": "a\0b"})
        assert trail.flush(20)
        call.amend("late", response_id="r\0s")
        trail.outcome("a\0b", 1, trace="t\0u")
        assert trail.flush(20)
        (found,) = trail.store.calls()
        record = found.record
        assert trail.health().drops == {}
    assert (record.feature, record.service_tier, record.response_id) == ("a�b", "a�b", "r�s")
    assert execute(url, "SELECT name, trace_id FROM outcome") == [("a�b", "t�u")]


def test_many_read_at_once(url: str) -> None:
    """Reads of many threads share a pool of bounded size."""
    record_one(url)
    store = Store.open(url)
    with ThreadPoolExecutor(32) as threads:
        found = list(threads.map(lambda _: len(store.calls()), range(200)))
    assert found == [1] * 200
    counted = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'modeltrail'"
    assert execute(url, counted)[0][0] <= 15
    store.close()


def test_url_wins_over_our_settings(url: str) -> None:
    """What the URL says of the connection is left as it is."""
    store = Store.open(f"{url}&application_name=billing")
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW application_name").scalar() == "billing"
    store.close()


def test_content_is_in_no_error(url: str) -> None:
    """A row that the server refuses is told of without what is in it."""
    execute(url, "ALTER TABLE call ADD CHECK (feature <> 'a secret')")
    execute(url, "ALTER TABLE outcome ADD CHECK (name <> 'a secret')")
    with modeltrail.open(url) as trail:
        make_call(trail.recorder, "run-1", tags={"feature": "a secret"})
        for number in range(5):
            make_call(trail.recorder, f"run-{number + 2}", tags={"feature": "fine"})
        assert trail.flush(20)
        health = trail.health()
        assert health.drops == {"refused-by-database:call": 1}
        assert "secret" not in repr(health)
        assert len(trail.store.calls()) == 5
        store = trail.store
        row = ("00000000-0000-7000-8000-00000000000f", 1, "k", None)
        assert store.append(Batch(event=[row])) == [("event", row)]


def test_missing_months_are_counted(url: str) -> None:
    """How many months have a partition is known, so that it can be told in time."""
    store = Store.open(url)
    assert store.months_ahead() == 12
    month = execute(
        url, "SELECT max(relname) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'outcome_y%'"
    )
    execute(url, f"DROP TABLE {month[0][0]}")
    assert store.months_ahead() == 11
    assert Store.migrate(url).partitions == [month[0][0]]
    assert store.months_ahead() == 12
    store.close()
