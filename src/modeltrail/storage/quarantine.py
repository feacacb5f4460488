"""
An SQLite file that is no database any more: it is moved aside, and a new one goes on.

Calls that come in must be kept somewhere; what the old file still holds is for
a person to look at, with `sqlite3 FILE .recover`.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

MARK = "corrupt"
# What belongs to a database file: it would be mistaken for the journal of the new one.
_JOURNALS = ("-wal", "-shm")
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# The low byte is the kind of error, the rest says more.
_KIND = 0xFF


def is_corrupt(error: SQLAlchemyError) -> bool:
    """
    Tell whether an error means that the file is damaged, and not merely out of reach.
    """
    cause = error.orig if isinstance(error, DBAPIError) else None
    code = getattr(cause, "sqlite_errorcode", 0)
    return isinstance(cause, sqlite3.DatabaseError) and code & _KIND in _CORRUPT


Identity = tuple[int, int]


def identity(path: Path) -> Identity | None:
    """
    Return what tells a file from another of the same name, None if there is none.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def move_aside(path: Path, known: Identity | None) -> Path | None:
    """
    Rename a damaged database and its journals.

    Args:
        known: The identity of the file that was found damaged.

    Returns:
        Its new name, None if it is not there any more.

    Raises:
        OSError: It cannot be renamed.
    """
    with _locked(path.parent):
        found = identity(path)
        if found is None or found != known:
            return None
        moved = path.with_name(f"{path.name}.{MARK}-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
        for journal in _JOURNALS:
            beside = Path(f"{path}{journal}")
            if beside.exists():
                beside.rename(f"{moved}{journal}")
        path.rename(moved)
    return moved


def quarantined(path: Path) -> list[Path]:
    """
    Return the damaged databases that were moved aside.
    """
    found = path.parent.glob(f"{path.name}.{MARK}-*")
    return sorted(each for each in found if not each.name.endswith(_JOURNALS))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
