"""
HTML and SVG, element by element; what is not markup yet is escaped.
"""

from collections.abc import Iterable, Mapping
from html import escape

from modeltrail.render.text import clean

Attributes = Mapping[str, str | float]


class Markup(str):
    """
    Text that is markup already.
    """

    __slots__ = ()


def words(text: str) -> Markup:
    """
    Make text harmless: nothing in it is a tag, an entity or an order to a terminal.
    """
    return Markup(escape(clean(text), quote=True))


def element(name: str, attributes: Attributes, *inside: Markup) -> Markup:
    """
    Return an element; without content it is closed at once.

    Args:
        attributes: Texts are escaped, numbers have two decimals at most.
    """
    given = "".join(f' {key}="{_value(value)}"' for key, value in attributes.items())
    if not inside:
        return Markup(f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{''.join(inside)}</{name}>")


def joined(parts: Iterable[Markup], between: str = "\n") -> Markup:
    """
    Put markup together.
    """
    return Markup(between.join(parts))


def number(value: float) -> str:
    """
    Write a place in a figure: two decimals at most, and no zero below 0.
    """
    # Adding 0.0 makes -0.0 a plain 0.
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def _value(value: str | float) -> str:
    return words(value) if isinstance(value, str) else number(value)
