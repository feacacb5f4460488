"""
Options that several commands have.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from modeltrail.errors import ConfigurationError

if TYPE_CHECKING:
    from modeltrail.storage import Filters

Format = Literal["table", "json", "jsonl", "csv"]
PageFormat = Literal["table", "json"]
LineFormat = Literal["table", "jsonl"]
ReportFormat = Literal["table", "json", "jsonl", "csv", "md", "html"]

FormatOption = Annotated[Format, typer.Option("--format", help="How to print it.")]
PageFormatOption = Annotated[PageFormat, typer.Option("--format", help="How to print it.")]
ReportFormatOption = Annotated[
    ReportFormat,
    typer.Option("--format", help="How to print it; html is a page with figures, in one file."),
]
LineFormatOption = Annotated[LineFormat, typer.Option("--format", help="How to print it.")]

_WHEN = "ISO 8601, UTC unless it says otherwise, or an age such as 15m, 2h or 7d."
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help=f"Only calls from then on: {_WHEN}")
]
Until = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only calls before then, told alike.")
]
By = Annotated[
    str,
    typer.Option(
        help="What to split by, such as feature,variant or model, also hour, day, month or "
        "tag.NAME; an unknown word is answered with the list of all."
    ),
]
Feature = Annotated[str | None, typer.Option(help="Only calls of this feature.")]
Experiment = Annotated[str | None, typer.Option(help="Only calls of this experiment.")]
Variant = Annotated[str | None, typer.Option(help="Only calls of this variant.")]
Framework = Annotated[
    str | None, typer.Option(help="Only calls made through it: langchain, llama_index, litellm.")
]
Status = Annotated[
    Literal["ok", "error", "cancelled", "incomplete"] | None,
    typer.Option(help="Only calls that ended so."),
]
User = Annotated[
    str | None,
    typer.Option(help="Only calls for this user, named as the application names them."),
]
Trace = Annotated[str | None, typer.Option(help="Only calls of this trace.")]

_AGE = re.compile(r"(\d+)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def within(since: str | None, until: str | None, now_us: int) -> "Filters":
    """
    Return what chooses the calls of a time.

    Raises:
        ConfigurationError: One of the texts means no moment, or there is no time between them.
    """
    from modeltrail.storage import Filters

    since_us, until_us = moment_us(since, now_us), moment_us(until, now_us)
    if since_us is not None and until_us is not None and since_us >= until_us:
        # An empty report would read as if there had been nothing.
        raise ConfigurationError(f"--until {until} is not after --since {since}")
    return Filters(since_us=since_us, until_us=until_us)


def window_us(text: str, now_us: int) -> tuple[int, int]:
    """
    Return the first moment of a window and the one that ends it, microseconds UTC.

    Args:
        text: Two moments with `..` between them; without the second it ends now.

    Raises:
        ConfigurationError: It means no window.
    """
    start, dots, end = text.partition("..")
    if not (start and dots):
        raise ConfigurationError(f"{text!r} is no window; use two moments such as 14d..7d: {_WHEN}")
    since_us, until_us = moment_us(start, now_us), moment_us(end or None, now_us)
    assert since_us is not None
    until_us = now_us if until_us is None else until_us
    if since_us >= until_us:
        raise ConfigurationError(f"the window {text!r} ends before it begins")
    return since_us, until_us


def names_in(text: str) -> list[str]:
    """
    Return the names between commas, each once.
    """
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def moment_us(text: str | None, now_us: int) -> int | None:
    """
    Return the moment that a text means, microseconds UTC.

    Raises:
        ConfigurationError: It means none.
    """
    if text is None:
        return None
    if _AGE.fullmatch(text):
        return max(now_us - length_us(text), 0)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is no time; use {_WHEN}") from error
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def length_us(text: str) -> int:
    """
    Return how long the time is that a text means, microseconds.

    Raises:
        ConfigurationError: It means none.
    """
    if not (age := _AGE.fullmatch(text)):
        raise ConfigurationError(f"{text!r} is no length of time; use one such as 15m, 2h or 7d")
    return int(age[1]) * _SECONDS[age[2]] * 1_000_000
