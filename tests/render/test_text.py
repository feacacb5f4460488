"""
Text made harmless.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.render.text import clean, clean_csv, clean_json


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, größe 🕷 日本", "plain, größe 🕷 日本"),
        ("\x1b[31m", r"\u{1b}[31m"),
        ("\x00\x08\t\n\r\x1f", r"\u{0}\u{8}\u{9}\u{a}\u{d}\u{1f}"),
        ("\x7f\x80\x9b\x9f\xa0", "\\u{7f}\\u{80}\\u{9b}\\u{9f}\xa0"),
        ("\u202a\u202e\u2066\u2069", r"\u{202a}\u{202e}\u{2066}\u{2069}"),
        ("\u200e\u200f\u061c\u200d", "\\u{200e}\\u{200f}\\u{61c}\u200d"),
        ("\u2028\u2029\ud800", r"\u{2028}\u{2029}\u{d800}"),
        ("[bold]", "[bold]"),
    ],
)
def test_clean(text: str, expected: str) -> None:
    """Control characters become visible; all else stays."""
    assert clean(text) == expected


@given(st.text())
def test_cleaned_text_is_printable_and_stays_so(text: str) -> None:
    """Cleaning leaves no control character and nothing to clean."""
    cleaned = clean(text)
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in cleaned)
    assert clean(cleaned) == cleaned
    assert len(cleaned.splitlines()) <= 1


@given(st.dictionaries(st.text(), st.text()))
def test_cleaned_json_says_the_same(content: dict[str, str]) -> None:
    """Escapes change how JSON is written, not what it says."""
    for indent in (None, 2):
        written = json.dumps(content, ensure_ascii=False, indent=indent)
        cleaned = clean_json(written)
        assert json.loads(cleaned) == content
        assert clean(cleaned.replace("\n", "")) == cleaned.replace("\n", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("a=1", "a=1"),
        ("=1", "'=1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\t=1", r"'\u{9}=1"),
        ("\rx", r"'\u{d}x"),
    ],
)
def test_clean_csv(text: str, expected: str) -> None:
    """What a spreadsheet would compute is marked as text."""
    assert clean_csv(text) == expected
