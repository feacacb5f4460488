"""
Read figures back: which number lies where, by what the axes say.
"""

import re
from collections.abc import Callable
from xml.etree.ElementTree import Element, fromstring

Line = tuple[float, float, float, float]
# An axis names numbers such as -$0.05, +1,000 or 40%.
_DECORATION = str.maketrans("", "", "$+,%s")


def of_kind(figure: Element, tag: str, kind: str) -> list[Element]:
    """Return the elements of a class."""
    return [each for each in figure.iter(tag) if kind in each.get("class", "").split()]


def lines(figure: Element, kind: str) -> list[Line]:
    """Return where straight lines begin and end."""
    return [
        (place(each, "x1"), place(each, "y1"), place(each, "x2"), place(each, "y2"))
        for each in of_kind(figure, "line", kind)
    ]


def points(figure: Element, tag: str, kind: str) -> list[tuple[float, float]]:
    """Return the corners of the only polygon, or line through places, of a class."""
    (found,) = of_kind(figure, tag, kind)
    pairs = (pair.split(",") for pair in found.get("points", "").split())
    return [(float(x), float(y)) for x, y in pairs]


def place(each: Element, name: str) -> float:
    """Return a place."""
    return float(each.get(name, "nan"))


def across(figure: Element) -> Callable[[float], float]:
    """Return what turns places into numbers, by two names of the lower axis."""
    named = [
        each for each in of_kind(figure, "text", "tick") if each.get("text-anchor") == "middle"
    ]
    return _by_two([(place(each, "x"), _number(each)) for each in named])


def upwards(figure: Element) -> Callable[[float], float]:
    """Return what turns heights into numbers, by two names of the axis to the left."""
    named = [each for each in of_kind(figure, "text", "tick") if each.get("text-anchor") == "end"]
    # Names stand a little below their lines.
    return _by_two([(place(each, "y") - 4, _number(each)) for each in named])


def figures(page: str) -> list[Element]:
    """Return the figures of a page, which is read as XML."""
    return list(parsed(page).iter("svg"))


def parsed(page: str) -> Element:
    """Read a page; it fails if that is not well formed."""
    start, _, rest = page.partition("\n")
    assert start == "<!DOCTYPE html>"
    return fromstring(rest)


def texts(element: Element, tag: str) -> list[str]:
    """Return the texts of all elements of a kind."""
    return ["".join(each.itertext()) for each in element.iter(tag)]


def attributes(element: Element) -> set[str]:
    """Return the names of all attributes."""
    return {name for each in element.iter() for name in each.attrib}


def _by_two(named: list[tuple[float, float]]) -> Callable[[float], float]:
    (a, low), *_, (b, high) = sorted(named)
    return lambda at: low + (at - a) * (high - low) / (b - a)


def _number(each: Element) -> float:
    return float(re.sub(r"^\$", "", str(each.text)).translate(_DECORATION))
