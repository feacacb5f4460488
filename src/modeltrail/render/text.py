"""
Text from records, made harmless.

Whoever may call a model may choose a tag, a model's name or an error's text.
None of it reaches a terminal, a spreadsheet or a page as it is.
"""

import re

# C0, DEL and C1 drive terminals; bidi controls show a line in another order
# than it has; U+2028/9 break lines; lone surrogates cannot be written at all.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# What a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def clean(text: str) -> str:
    r"""
    Replace control characters by what can be seen, such as `\u{1b}`.
    """
    return _UNSAFE.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", text)


def clean_json(text: str) -> str:
    r"""
    Escape what JSON lets pass but a terminal obeys, such as `\u009b`.

    JSON's own whitespace stays; inside its strings these characters are
    escaped already, so that the values remain the same.
    """
    return _UNSAFE.sub(
        lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text
    )


def clean_csv(text: str) -> str:
    """
    Replace control characters and mark what a spreadsheet would compute.
    """
    marked = f"'{text}" if text.startswith(_FORMULA) else text
    return clean(marked)
