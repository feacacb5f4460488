"""
Text and tables as Markdown.
"""

from collections.abc import Sequence

from modeltrail.render.layout import Column
from modeltrail.render.text import clean


def pipes(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """
    Return the lines of a table.
    """
    rules = ("---:" if column.kind == "number" else ":---" for column in columns)
    return [
        f"| {' | '.join(cell(column.title) for column in columns)} |",
        f"| {' | '.join(rules)} |",
        *(f"| {' | '.join(map(cell, row))} |" for row in rows),
    ]


def cell(text: str) -> str:
    """
    Escape what a tag may contain and Markdown or HTML would obey.
    """
    cleaned = clean(text).replace("\\", "\\\\")
    for sign in "|<>[]*_`#":
        cleaned = cleaned.replace(sign, f"\\{sign}")
    return cleaned
