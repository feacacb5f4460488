"""
How a command ends: its exit code, and one line where it failed.
"""

import functools
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import typer

from modeltrail.errors import (
    ConfigurationError,
    CorruptStoreError,
    KeyMismatchError,
    MissingExtraError,
    RecordNotFoundError,
    SchemaError,
    StoreUnavailableError,
)
from modeltrail.render.text import clean

OK = 0
FINDING = 1
USAGE = 2
CANNOT_TELL = 3
UNAVAILABLE = 4
INTERRUPTED = 130
# As a shell reports a program that a closed pipe has ended.
PIPE_CLOSED = 141

# The first that fits counts. What is not listed is a fault of our own.
EXIT_CODES: dict[type[Exception], int] = {
    RecordNotFoundError: FINDING,
    ConfigurationError: USAGE,
    KeyMismatchError: USAGE,
    MissingExtraError: USAGE,
    CorruptStoreError: UNAVAILABLE,
    StoreUnavailableError: UNAVAILABLE,
    SchemaError: UNAVAILABLE,
}

P = ParamSpec("P")


def command(function: Callable[P, int | None]) -> Callable[P, None]:
    """
    Turn what a command returns or raises into an exit code.
    """

    @functools.wraps(function)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> None:
        raise typer.Exit(_code_of(lambda: function(*args, **kwargs)))

    return bounded


def tell(text: str) -> None:
    """
    Tell something that is no data.
    """
    typer.echo(clean(text), err=True)


def _code_of(action: Callable[[], int | None]) -> int:
    try:
        code = action()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Or the interpreter would try to flush once more, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:
        return _failed(error)
    return code or OK


def _failed(error: Exception) -> int:
    for kind, code in EXIT_CODES.items():
        if isinstance(error, kind):
            tell(f"error: {error}")
            return code
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    tell(f"error: {type(error).__name__} in {where}: {error}; please report this")
    return CANNOT_TELL
