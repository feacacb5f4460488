"""
A comparison as a page of text, as Markdown or as JSON.
"""

from collections.abc import Sequence

from modeltrail.cli.comparison_rows import (
    adjusted_columns,
    adjusted_rows,
    columns_for,
    guardrail_columns,
    guardrail_rows,
    rows_of,
    segment_columns,
    segment_rows,
)
from modeltrail.cli.comparison_words import (
    arms_line,
    naive_lines,
    reading,
    refusals,
    sentences,
    skipped_lines,
)
from modeltrail.cli.output import write_document, write_lines, write_table
from modeltrail.experiment.results import Comparison
from modeltrail.render.layout import Column
from modeltrail.render.text import clean


def write(found: Comparison, format: str) -> None:
    """
    Write a comparison; the same trail gives the same bytes.
    """
    if format == "json":
        content = found.to_dict()
        write_document(content.pop("schema"), **content)
    elif format == "md":
        _write_markdown(found)
    else:
        _write_text(found)


def _write_text(found: Comparison) -> None:
    write_lines([*sentences(found), arms_line(found), "", "checks"])
    write_lines(f"  {each.status:<7}  {each.name:<13}  {each.detail}" for each in found.checks)
    if found.verdict != "invalid":
        for title, columns, rows in _tables(found):
            write_lines(["", *([title] if title else [])])
            write_table(columns, rows)
        notes = [*refusals(found), *skipped_lines(found), *naive_lines(found)]
        write_lines(["", *notes] if notes else [])
    write_lines(["", f"method: {found.method}", reading(found.plan)])


def _write_markdown(found: Comparison) -> None:
    print(f"## {_cell(found.experiment)}\n")
    print("\n\n".join(_cell(each) for each in [*sentences(found), arms_line(found)]))
    checks = [Column(title, "label") for title in ("STATUS", "CHECK", "DETAIL")]
    _write_pipes("Checks", checks, [[c.status, c.name, clean(c.detail)] for c in found.checks])
    if found.verdict != "invalid":
        for title, columns, rows in _tables(found):
            _write_pipes(title or "Metrics", columns, rows)
        for line in [*refusals(found), *skipped_lines(found), *naive_lines(found)]:
            print(f"\n{_cell(line)}")
    print(f"\nMethod: {found.method}.\n\n{_cell(reading(found.plan))}")


def _tables(found: Comparison) -> list[tuple[str, Sequence[Column], Sequence[Sequence[str]]]]:
    tables: list[tuple[str, Sequence[Column], Sequence[Sequence[str]]]] = []
    if found.decisions:
        tables.append(("", columns_for(found), rows_of(found)))
        if any(each.adjusted for each in found.metrics):
            tables.append(("adjusted: these decide", adjusted_columns(found), adjusted_rows(found)))
        if found.guardrails:
            tables.append(("guardrails", guardrail_columns(), guardrail_rows(found)))
    if found.segments:
        tables.append(("by feature", segment_columns(found), segment_rows(found)))
    return tables


def _write_pipes(title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    print(f"\n### {title.capitalize()}\n")
    print(f"| {' | '.join(_cell(column.title) for column in columns)} |")
    rules = ("---:" if column.kind == "number" else ":---" for column in columns)
    print(f"| {' | '.join(rules)} |")
    for row in rows:
        print(f"| {' | '.join(map(_cell, row))} |")


def _cell(text: str) -> str:
    # What a tag may contain and Markdown or HTML would obey.
    cleaned = clean(text).replace("\\", "\\\\")
    for sign in "|<>[]*_`#":
        cleaned = cleaned.replace(sign, f"\\{sign}")
    return cleaned
