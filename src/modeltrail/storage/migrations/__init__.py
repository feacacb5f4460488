"""
The schema's history, applied by Alembic.

`HEAD` and `REVISIONS` repeat what the scripts say so that a trail whose schema
is up to date opens without loading Alembic; a test compares them.
"""

import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from modeltrail.errors import SchemaError
from modeltrail.storage.engine import WRITES

VERSION_TABLE = "modeltrail_version"
REVISIONS = ("0001",)
HEAD = REVISIONS[-1]
# Alembic keeps the migration at hand in globals of its own, whatever the database.
_turn = threading.Lock()


def revision(connection: Connection) -> str | None:
    """
    Return the schema revision of a database, None if it has none.
    """
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def check(found: str | None) -> None:
    """
    Refuse a schema that this version cannot use.

    Raises:
        SchemaError: It is missing, older, or newer.
    """
    if found == HEAD:
        return
    if found is None or found in REVISIONS:
        state = "has no trail yet" if found is None else f"is at schema {found}"
        raise SchemaError(
            f"the database {state}; run: modeltrail --db URL migrate", found=found, known=HEAD
        )
    raise SchemaError(
        f"the database is at schema {found}, newer than this version of modeltrail knows "
        f"({HEAD}); upgrade modeltrail: pip install -U modeltrail",
        found=found,
        known=HEAD,
    )


def upgrade(engine: Engine) -> tuple[str | None, str]:
    """
    Bring the schema to `HEAD`.

    Returns:
        The revisions before and after.

    Raises:
        SchemaError: The database is newer than this version.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with _turn, engine.connect().execution_options(**WRITES) as connection, connection.begin():
        before = revision(connection)
        if before is not None and before not in REVISIONS:
            check(before)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, HEAD
