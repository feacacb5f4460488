"""
A page: nothing to load, nothing to run, and all text as it was.
"""

import re
from functools import partial

from drawn import attributes, parsed, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrail.render.html import intervals
from modeltrail.render.html.intervals import Bar, Intervals
from modeltrail.render.html.markup import number
from modeltrail.render.html.page import Figure, Report, Section, Table, page
from modeltrail.render.html.style import STYLE
from modeltrail.render.layout import Column
from modeltrail.render.text import clean


def report(text: str) -> str:
    """Make a page with a text in every place that takes one."""
    plot = Intervals(text, text, [Bar(text, 1.0, None)], lambda v, d: f"{v:.{d}f}", (0.0, text))
    figure = Figure(text, partial(intervals.draw, plot), text)
    table = Table(text, [Column(text, "label"), Column("N")], [[text, ""], ["fail", "2"]], "fail")
    return page(Report(text, [text], [text], [Section(text, [text], [figure, figure], [table])]))


@settings(max_examples=30)
@given(st.text(min_size=1))
def test_text_stays_text(text: str) -> None:
    """Whatever it is, the page is well formed and a reader sees it, made harmless."""
    read = parsed(report(text))
    shown = clean(text)
    assert texts(read, "h1") == [shown]
    assert texts(read, "td")[:2] == [shown, ""]
    assert texts(read, "desc")[0].startswith(shown)
    plain = parsed(report("x"))
    assert [each.tag for each in read.iter()] == [each.tag for each in plain.iter()]
    assert attributes(read) == attributes(plain)


def test_nothing_is_loaded() -> None:
    """No script, no address, no link; the browser is told to load nothing either."""
    made = report('<script src="https://example.org"></script>"\' onload=x')
    read = parsed(made)
    assert not attributes(read) & {"src", "href", "srcset", "style", "onload"}
    assert not {each.tag for each in read.iter()} & {"script", "link", "img", "iframe", "object"}
    assert not re.search(r"url\((?!#)|@import|https?:", STYLE)
    policy = next(each for each in read.iter("meta") if each.get("http-equiv"))
    assert policy.get("content") == "default-src 'none'; style-src 'unsafe-inline'"


def test_names_within_the_page_are_used_once() -> None:
    """Each figure and section has a name of its own, and what refers to one finds it."""
    read = parsed(report("x"))
    names = [each.get("id") for each in read.iter() if each.get("id")]
    assert len(names) == len(set(names)) == 5
    wanted = {name for each in read.iter() for name in each.get("aria-labelledby", "").split()}
    assert wanted == set(names)


def test_tables_can_be_read() -> None:
    """Headings say what they head, numbers stand to the right, what alarms stands out."""
    read = parsed(report("x"))
    assert [each.get("scope") for each in read.iter("th")] == ["col", "col"]
    assert [each.get("class") for each in read.iter("td")] == [None, "n", "fail", "n"]
    (around,) = (each for each in read.iter("div") if each.get("role") == "region")
    assert (around.get("tabindex"), around.get("aria-label")) == ("0", "x")


def test_numbers_are_short() -> None:
    """Two decimals at most, and no zero below 0."""
    assert [number(each) for each in (-0.001, 0, 100, 12.5, -3.456)] == [
        *("0", "0", "100", "12.5", "-3.46")
    ]
