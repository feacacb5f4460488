"""
What all figures have in common: their size, their names for who cannot see them, axes.

A figure is 420 wide, so that its letters can still be read on a telephone; where
there is room, two stand side by side. Colours and widths are the page's: a figure
only says what each line is.
"""

from collections.abc import Callable, Sequence
from unicodedata import east_asian_width

from modeltrail.render.html.markup import Markup, element, words
from modeltrail.render.html.scales import Linear, Tick, ticks

WIDTH = 420
RIGHT = 18
# Of a letter, in the size of an axis and of a label: some room more than most need.
TICK_LETTER = 6.6
NAME_LETTER = 6.9
LABEL_LETTER = 7.4

# Writes a number with so many decimals.
Write = Callable[[float, int], str]


def svg(key: str, height: float, title: str, told: str, *parts: Markup) -> Markup:
    """
    Return a figure.

    Args:
        key: Its own in the page.
        title: What it shows.
        told: What can be seen in it, in words.
    """
    return element(
        "svg",
        {
            "viewBox": f"0 0 {WIDTH} {round(height)}",
            "role": "img",
            "aria-labelledby": f"{key}-title {key}-desc",
        },
        element("title", {"id": f"{key}-title"}, words(title)),
        element("desc", {"id": f"{key}-desc"}, words(told)),
        *parts,
    )


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    """
    Draw a straight line.
    """
    return element("line", {"class": kind, "x1": x1, "y1": y1, "x2": x2, "y2": y2})


def dot(kind: str, x: float, y: float, radius: float) -> Markup:
    """
    Draw a dot.
    """
    return element("circle", {"class": kind, "cx": x, "cy": y, "r": radius})


def path(kind: str, places: Sequence[tuple[float, float]]) -> Markup:
    """
    Draw a line through places.
    """
    return element("polyline", {"class": kind, "points": _points(places)})


def area(kind: str, places: Sequence[tuple[float, float]], **more: str) -> Markup:
    """
    Fill what lies between places.
    """
    return element("polygon", {"class": kind, "points": _points(places), **more})


def label(kind: str, x: float, y: float, text: str, anchor: str = "start") -> Markup:
    """
    Write a line of text.
    """
    place: dict[str, str | float] = {"class": kind, "x": x, "y": y, "text-anchor": anchor}
    return element("text", place, words(text))


def x_axis(
    scale: Linear, named: Sequence[Tick], top: float, y: float, title: str, drop: float = 34
) -> list[Markup]:
    """
    Draw the axis below a plot, and its thin lines upwards.

    Args:
        top: Where the plot begins.
        y: Where it ends.
        drop: How far below that the name stands.
    """
    parts = [line("axis", scale.start, y, scale.end, y)]
    for tick in named:
        x = scale(tick.value)
        place = _inside(x, TICK_LETTER * letters(tick.label))
        parts += [line("grid", x, top, x, y), label("tick", place, y + 15, tick.label, "middle")]
    said = short(title, int(WIDTH / NAME_LETTER))
    middle = _inside((scale.start + scale.end) / 2, NAME_LETTER * letters(said))
    return [*parts, label("name", middle, y + drop, said, "middle")]


def y_axis(
    scale: Linear, named: Sequence[Tick], x: float, right: float, title: str
) -> list[Markup]:
    """
    Draw the axis to the left of a plot, its name above it.

    Args:
        x: Where the plot begins.
        right: Where it ends.
    """
    parts = [line("axis", x, scale.start, x, scale.end)]
    for tick in named:
        y = scale(tick.value)
        parts += [line("grid", x, y, right, y), label("tick", x - 6, y + 4, tick.label, "end")]
    return [*parts, label("name", 0, scale.end - 12, title)]


def room_for(named: Sequence[Tick]) -> float:
    """
    Return how wide the names on an axis to the left are.
    """
    return 12 + TICK_LETTER * max((len(tick.label) for tick in named), default=0)


def fitting(scale: Linear, write: Write) -> list[Tick]:
    """
    Return as many round numbers of a lower axis as have room beside each other.
    """
    room = abs(scale.end - scale.start)
    named: list[Tick] = []
    for most in (6, 5, 4):
        named = ticks(scale.low, scale.high, write, most)
        if sum(TICK_LETTER * len(tick.label) + 12 for tick in named) <= room:
            break
    return named


def letters(text: str) -> int:
    """
    Return how many letters have room where a text has: those of East Asia are twice as wide.
    """
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in text)


def short(text: str, most: int) -> str:
    """
    Cut what is too long for a figure, in its middle; the tables have all of it.

    Names that differ often do so at their ends: versions, dates, what a prompt is called.
    """
    if letters(text) <= most:
        return text
    end = _fitting(text[::-1], (most - 1) // 2)[::-1]
    return f"{_fitting(text, most - 1 - letters(end))}…{end}"


def _fitting(text: str, most: int) -> str:
    while letters(text) > most:
        text = text[:-1]
    return text


def _inside(middle: float, width: float) -> float:
    """
    Return the middle of a text that it has to have to stay within the figure.
    """
    return max(min(middle, WIDTH - width / 2), min(width, WIDTH) / 2)


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in places)
