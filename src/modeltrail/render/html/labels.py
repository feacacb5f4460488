"""
Names beside dots, none over another or over a dot.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from modeltrail.render.html.frame import LABEL_LETTER, WIDTH, label, letters, short
from modeltrail.render.html.markup import Markup

# Where a name may stand beside its dot: across, up, and which end of it is there.
_PLACES = (
    (9, -8, "start"),
    (-9, -8, "end"),
    (9, 17, "start"),
    (-9, 17, "end"),
    (9, -22, "start"),
    (-9, 31, "end"),
)
_ABOVE_EACH_OTHER = 14
_DOT = 6
LINE = 18


class Named(NamedTuple):
    """
    A dot's name, and where the dot is.
    """

    text: str
    x: float
    y: float


class Field(NamedTuple):
    """
    Where names may stand.
    """

    left: float
    right: float
    top: float
    bottom: float


class _Box(NamedTuple):
    start: float
    width: float
    height: float
    anchor: str = "start"


def beside(named: Sequence[Named], field: Field) -> list[Markup] | None:
    """
    Write each name beside its dot; None if there is not enough room for all.
    """
    boxes = _boxes(named, field)
    if any(box is None for box in boxes):
        return None
    return [_write(each, box) for each, box in zip(named, boxes, strict=True) if box]


def numbered(named: Sequence[Named], field: Field) -> list[Markup]:
    """
    Write a number beside each dot: that of its name in `listed`.
    """
    numbers = [each._replace(text=str(n)) for n, each in enumerate(named, start=1)]
    boxes = _boxes(numbers, field)
    # Where many dots lie upon each other their numbers do, too.
    return [
        _write(each, box or next(_around(each))) for each, box in zip(numbers, boxes, strict=True)
    ]


def listed(texts: Sequence[str], top: float) -> list[Markup]:
    """
    Write the names that the numbers stand for, one a line.
    """
    most = int(WIDTH / LABEL_LETTER)
    return [
        label("label", 0, top + LINE * n, short(f"{n}  {text}", most))
        for n, text in enumerate(texts, start=1)
    ]


def _boxes(named: Sequence[Named], field: Field) -> list[_Box | None]:
    taken = [_Box(each.x - _DOT, 2 * _DOT, each.y + 4) for each in named]
    boxes = []
    for each in named:
        box = next((box for box in _around(each) if _fits(box, field, taken)), None)
        taken += [box] if box else []
        boxes.append(box)
    return boxes


def _around(each: Named) -> Iterator[_Box]:
    width = LABEL_LETTER * letters(each.text)
    for across, up, anchor in _PLACES:
        start = each.x + across - (0 if anchor == "start" else width)
        yield _Box(start, width, each.y + up, anchor)


def _fits(box: _Box, field: Field, taken: Sequence[_Box]) -> bool:
    if box.start < field.left or box.start + box.width > field.right:
        return False
    if not field.top < box.height < field.bottom:
        return False
    return not any(
        box.start < other.start + other.width
        and other.start < box.start + box.width
        and abs(box.height - other.height) < _ABOVE_EACH_OTHER
        for other in taken
    )


def _write(each: Named, box: _Box) -> Markup:
    at = box.start if box.anchor == "start" else box.start + box.width
    return label("label halo", at, box.height, each.text, box.anchor)
