"""
A comparison as a page of text, as Markdown, as HTML or as JSON.
"""

from collections.abc import Sequence

from modeltrail.cli.comparison_page import report_of
from modeltrail.cli.comparison_rows import CHECKS, tables_of
from modeltrail.cli.comparison_words import (
    arms_line,
    naive_lines,
    reading,
    refusals,
    sentences,
    skipped_lines,
)
from modeltrail.cli.output import write_document, write_lines, write_table
from modeltrail.experiment.over_time import Course
from modeltrail.experiment.results import Comparison
from modeltrail.render.html.page import page
from modeltrail.render.layout import Column
from modeltrail.render.markdown import cell, pipes
from modeltrail.render.text import clean


def write(found: Comparison, format: str, courses: Sequence[Course] = ()) -> None:
    """
    Write a comparison; the same trail gives the same bytes.

    Args:
        courses: What it looked like before, for a page of HTML.
    """
    if format == "json":
        content = found.to_dict()
        write_document(content.pop("schema"), **content)
    elif format == "md":
        _write_markdown(found)
    elif format == "html":
        print(page(report_of(found, courses)), end="")
    else:
        _write_text(found)


def _write_text(found: Comparison) -> None:
    write_lines([*sentences(found), arms_line(found), "", "checks"])
    write_lines(f"  {each.status:<7}  {each.name:<13}  {each.detail}" for each in found.checks)
    if found.verdict != "invalid":
        for title, columns, rows in tables_of(found):
            write_lines(["", *([title] if title else [])])
            write_table(columns, rows)
        notes = [*refusals(found), *skipped_lines(found), *naive_lines(found)]
        write_lines(["", *notes] if notes else [])
    write_lines(["", f"method: {found.method}", reading(found.plan)])


def _write_markdown(found: Comparison) -> None:
    print(f"## {cell(found.experiment)}\n")
    print("\n\n".join(cell(each) for each in [*sentences(found), arms_line(found)]))
    _write_pipes("Checks", CHECKS, [[c.status, c.name, clean(c.detail)] for c in found.checks])
    if found.verdict != "invalid":
        for title, columns, rows in tables_of(found):
            _write_pipes(title or "Metrics", columns, rows)
        for line in [*refusals(found), *skipped_lines(found), *naive_lines(found)]:
            print(f"\n{cell(line)}")
    print(f"\nMethod: {found.method}.\n\n{cell(reading(found.plan))}")


def _write_pipes(title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    print(f"\n### {title.capitalize()}\n")
    for line in pipes(columns, rows):
        print(line)
