"""
A report as one HTML file.

It loads nothing and runs nothing, and says so to the browser: a name that somebody made
up to be a script would not run even if it were not escaped, as all text is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modeltrail.render.html.markup import Markup, element, joined, words
from modeltrail.render.html.style import STYLE
from modeltrail.render.layout import Column

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
# A table with more rows has a bar of its own to scroll by.
_LONG = 15
# A cell with more letters is broken into lines.
_WIDE = 24


@dataclass(frozen=True, slots=True)
class Figure:
    """
    A figure and what stands above it.

    Attributes:
        draw: Draws it, given a key that is its own in the page.
    """

    title: str
    draw: Callable[[str], Markup]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """
    A table; its cells are text.

    Attributes:
        alarming: A cell with this word stands out.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    alarming: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """
    A part of a report: sentences, then figures, then the numbers in tables.
    """

    title: str
    lines: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """
    A report.

    Attributes:
        title: What it is about.
        lead: What was found, first.
        about: What it rests on.
        sections: The rest.
    """

    title: str
    lead: Sequence[str]
    about: Sequence[str]
    sections: Sequence[Section]


def page(report: Report) -> str:
    """
    Return a report as a file of HTML, which is XML as well.
    """
    head = element(
        "head",
        {},
        element("meta", {"charset": "utf-8"}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY}),
        element("title", {}, words(report.title)),
        element("style", {}, Markup(STYLE)),
    )
    top = element(
        "header",
        {},
        element("h1", {}, words(report.title)),
        element("div", {"class": "lead"}, *_lines(report.lead)),
        *(element("p", {"class": "soft"}, words(each)) for each in report.about),
    )
    parts = [_section(each, f"s{place}") for place, each in enumerate(report.sections, start=1)]
    body = element("body", {}, element("main", {}, top, joined(parts)))
    return f"<!DOCTYPE html>\n{element('html', {'lang': 'en'}, head, body)}\n"


def _section(section: Section, key: str) -> Markup:
    figures = [_figure(each, f"{key}f{place}") for place, each in enumerate(section.figures)]
    return element(
        "section",
        {"aria-labelledby": key},
        element("h2", {"id": key}, words(section.title)),
        *_lines(section.lines),
        *([element("div", {"class": "figures"}, joined(figures))] if figures else []),
        *(_table(each, section.title) for each in section.tables),
    )


def _figure(figure: Figure, key: str) -> Markup:
    note = [element("span", {}, words(f" {figure.note}"))] if figure.note else []
    caption = element("figcaption", {}, words(figure.title), *note)
    return element("figure", {}, caption, figure.draw(key))


def _table(table: Table, otherwise: str) -> Markup:
    heads = [
        element("th", {"scope": "col", **_kind(column)}, words(column.title))
        for column in table.columns
    ]
    rows = [
        element(
            "tr",
            {},
            *(_cell(*each, table.alarming) for each in zip(table.columns, row, strict=True)),
        )
        for row in table.rows
    ]
    named = [element("caption", {}, words(table.title))] if table.title else []
    long = " long" if len(table.rows) > _LONG else ""
    # It can be scrolled by the keyboard, too.
    around = {
        "class": f"scroll{long}",
        "tabindex": "0",
        "role": "region",
        "aria-label": table.title or otherwise,
    }
    head = element("thead", {}, element("tr", {}, *heads))
    return element("div", around, element("table", {}, *named, head, _body(rows)))


def _body(rows: Sequence[Markup]) -> Markup:
    return element("tbody", {}, Markup("\n"), joined(rows))


def _cell(column: Column, text: str, alarming: str | None) -> Markup:
    kind = _kind(column)
    if text == alarming:
        kind = {"class": "fail"}
    elif len(text) > _WIDE:
        kind = {"class": "wide"}
    # Even an empty text is content: HTML knows no cell that is closed at once.
    return element("td", kind, words(text))


def _kind(column: Column) -> dict[str, str]:
    return {"class": "n"} if column.kind == "number" else {}


def _lines(lines: Sequence[str]) -> list[Markup]:
    return [element("p", {}, words(line)) for line in lines]
