"""
Data on stdout, in the format that was asked for.
"""

import csv
import os
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from modeltrail.cli.exits import tell
from modeltrail.render.layout import GAP, Column, fit
from modeltrail.render.text import clean, clean_csv, clean_json

Row = Mapping[str, Any]
# Text is not made narrower than this.
LEAST_WIDTH = 40


def write_json(schema: str, **content: Any) -> None:
    """
    Write one JSON document, its schema and time first.
    """
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    write_document(schema, generated_at=now, **content)


def write_document(schema: str, **content: Any) -> None:
    """
    Write one JSON document that is the same as long as what it is made from is.
    """
    encoded = msgspec.json.format(msgspec.json.encode({"schema": schema, **content}), indent=2)
    print(clean_json(encoded.decode()))


def write_lines(lines: Iterable[str]) -> None:
    """
    Write text as wide as the terminal; what is indented stays so in its further lines.
    """
    for line in lines:
        cleaned = clean(line)
        width = terminal_width()
        if width is None or cell_len(cleaned) <= width:
            print(cleaned)
            continue
        text = cleaned.lstrip(" ")
        indent = " " * (len(cleaned) - len(text))
        # Beyond a label that is set off by two spaces, further lines are indented alike.
        label, gap, _ = text.rpartition("  ")
        hanging = indent + " " * (len(label) + 2 if gap else 0)
        for part in textwrap.wrap(
            text,
            max(width, LEAST_WIDTH),
            initial_indent=indent,
            subsequent_indent=hanging,
            drop_whitespace=True,
            break_long_words=False,
            break_on_hyphens=False,
        ):
            print(part)


def write_jsonl(rows: Iterable[Row]) -> None:
    """
    Write each row as a line of JSON.
    """
    for row in rows:
        print(clean_json(msgspec.json.encode(row).decode()), flush=True)


def write_csv(names: Sequence[str], rows: Iterable[Row]) -> None:
    """
    Write a heading and the rows; unknown is empty.
    """
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_csv_cell(name, row[name]) for name in names] for row in rows)


def write_rows(format: str, schema: str, names: Sequence[str], rows: Sequence[Row]) -> None:
    """
    Write rows in a format for programs.
    """
    if format == "json":
        write_json(schema, rows=rows)
    elif format == "jsonl":
        write_jsonl(rows)
    else:
        write_csv(names, rows)


def write_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, footer: Sequence[str] | None = None
) -> None:
    """
    Write a table as wide as the terminal; its cells must be clean.
    """
    titles = [column.title for column in columns]
    shown = [titles, *rows, *([footer] if footer else [])]
    widest = [max(map(cell_len, cells)) for cells in zip(*shown, strict=True)]
    widths = fit(columns, widest, terminal_width())
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    console.print(_line(columns, widths, titles, style="bold"), soft_wrap=True)
    for cells in rows:
        console.print(_line(columns, widths, cells), soft_wrap=True)
    if footer:
        console.print(_line(columns, widths, footer, style="bold"), soft_wrap=True)
    left_out = [title for title, width in zip(titles, widths, strict=True) if width is None]
    if left_out:
        tell(f"left out for want of width: {', '.join(left_out)}")


def _line(
    columns: Sequence[Column], widths: Sequence[int | None], cells: Sequence[str], style: str = ""
) -> Text:
    shown = []
    for column, width, cell in zip(columns, widths, cells, strict=True):
        if width is not None:
            text = Text(cell)
            text.truncate(width, overflow="ellipsis")
            text.align("right" if column.kind == "number" else "left", width)
            shown.append(text)
    line = Text(" " * GAP).join(shown)
    line.rstrip()
    line.stylize(style)
    return line


def terminal_width() -> int | None:
    """
    Return how wide the terminal is, None if a file or a pipe is written.
    """
    if (given := os.environ.get("COLUMNS", "")).isdecimal():
        return int(given)
    return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else None


def _csv_cell(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    # Amounts are text so that they stay exact, but no formula can hide in them.
    if isinstance(value, str) and not name.endswith("_usd"):
        return clean_csv(value)
    return value
