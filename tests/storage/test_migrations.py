"""
The schema and its history.
"""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

import modeltrail
from modeltrail.errors import SchemaError
from modeltrail.record import CallRecord
from modeltrail.storage import Store, migrations
from modeltrail.storage.engine import make_engine, parse_url
from modeltrail.storage.migrations.postgres import create_partitions
from modeltrail.storage.tables import Call, Table


def test_migrations_make_what_the_tables_say(store: Store) -> None:
    """The migrated schema and the SQLModel classes do not differ."""
    with store._engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _: kind != "table" or name in TABLES,
            },
        )
        assert compare_metadata(context, Table.metadata) == []


TABLES = set(Table.metadata.tables)


def test_head_is_that_of_the_scripts() -> None:
    """What the code knows of the history agrees with the scripts."""
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    known = [script.revision for script in scripts.walk_revisions()]
    assert list(reversed(known)) == list(migrations.REVISIONS)
    assert scripts.get_current_head() == migrations.HEAD


def test_columns_of_a_call_are_those_of_the_record() -> None:
    """The table has the record's columns and the number of the row."""
    assert {"seq", *CallRecord.__struct_fields__} == set(Call.__table__.columns.keys())


def test_upgrade_twice_changes_nothing(store_url: str) -> None:
    """A database at the newest schema stays as it is."""
    engine = make_engine(parse_url(store_url))
    assert migrations.upgrade(engine) == (migrations.HEAD, migrations.HEAD)
    engine.dispose()


def test_threads_make_trails_at_once(tmp_path: Path) -> None:
    """Alembic knows one migration at a time per process: threads take turns."""
    names = [number % 8 for number in range(16)]

    def make(name: int) -> str | None:
        store = Store.open(f"sqlite:///{tmp_path}/{name}.db")
        with store._engine.connect() as connection:
            found = migrations.revision(connection)
        store.close()
        return found

    with ThreadPoolExecutor(len(names)) as threads:
        assert set(threads.map(make, names)) == {migrations.HEAD}


def test_newer_schema_is_refused(store_url: str) -> None:
    """A trail of a later version is not touched: upgrade modeltrail first."""
    engine = make_engine(parse_url(store_url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE modeltrail_version SET version_num = '9999'"))
    for refused in (lambda: Store.open(store_url), lambda: migrations.upgrade(engine)):
        with pytest.raises(SchemaError, match="pip install -U modeltrail") as caught:
            refused()
        assert (caught.value.found, caught.value.known) == ("9999", migrations.HEAD)
    engine.dispose()


def test_up_to_date_trail_opens_without_alembic(url: str) -> None:
    """Only a migration pays for Alembic."""
    import subprocess
    import sys

    Store.open(url).close()
    code = (
        "import sys; from modeltrail.storage import Store; "
        f"Store.open({url!r}); print('alembic' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_tables_of_the_application_are_left_alone(tmp_path: Path) -> None:
    """A trail may live in a database that has tables of its own, Alembic's among them."""
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('app-7')")
    with modeltrail.open(f"sqlite:///{path}"):
        pass
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [("app-7",)]


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_months_have_partitions(store: Store) -> None:
    """This month and the next twelve have partitions, the rest a default."""
    with store._engine.begin() as connection:
        names = [name for name in inspect(connection).get_table_names() if name.startswith("call_")]
        assert f"call_y{datetime.now(UTC):%Y}m{datetime.now(UTC):%m}" in names
        assert "call_default" in names and len(names) == 14
        assert create_partitions(connection) == []
        later = create_partitions(connection, datetime(2031, 5, 17, tzinfo=UTC))
    assert len(later) == 39 and "call_y2032m05" in later


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_server_without_a_schema_names_the_remedy(store_url: str) -> None:
    """On a server `open` changes nothing: it asks for `modeltrail migrate`."""
    engine = make_engine(parse_url(store_url))
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE modeltrail_version"))
    engine.dispose()
    with pytest.raises(SchemaError, match="migrate"):
        Store.open(store_url)
