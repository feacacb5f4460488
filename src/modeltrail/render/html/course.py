"""
A quality that grows with a share: how well a router spends the calls of a strong model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from modeltrail.render.html.frame import (
    LABEL_LETTER,
    RIGHT,
    WIDTH,
    Write,
    area,
    dot,
    label,
    letters,
    line,
    path,
    room_for,
    svg,
    x_axis,
    y_axis,
)
from modeltrail.render.html.markup import Markup
from modeltrail.render.html.scales import Linear, around, ticks

_TOP = 34
_BOTTOM = 288
_HEIGHT = 332

Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Course:
    """
    A line from a share of 0 to one of 1.

    Attributes:
        title: What it shows.
        x_axis: Name of the lower axis, in percent.
        y_axis: Name of the upright one.
        places: Share and value, in the order of the shares.
        marks: Places on the line, with their names.
        best: What cannot be surpassed.
    """

    title: str
    x_axis: str
    y_axis: str
    places: Sequence[Place]
    marks: Sequence[tuple[str, Place]]
    best: tuple[str, Place]
    write: Write


def draw(plot: Course, key: str) -> Markup:
    """
    Draw a line beside the one that drawing lots gives.
    """
    y = Linear(*around([*(each[1] for each in plot.places), plot.best[1][1]]), _BOTTOM, _TOP)
    named = ticks(y.low, y.high, plot.write)
    x = Linear(0, 1, room_for(named), WIDTH - RIGHT)
    shares = ticks(0, 1, lambda value, _: f"{100 * value:.0f}%")

    def at(place: Place) -> Place:
        return x(place[0]), y(place[1])

    line_of = list(map(at, plot.places))
    lots = [line_of[0], line_of[-1]]
    parts = x_axis(x, shares, _TOP, _BOTTOM, plot.x_axis)
    parts += y_axis(y, named, x.start, x.end, plot.y_axis)
    parts += [area("band", [*line_of, *reversed(lots)]), path("reference", lots)]
    parts.append(path("course", line_of))
    for name, place in plot.marks:
        parts += _mark(name, at(place))
    best_x, best_y = at(plot.best[1])
    parts += [
        path("other", _diamond(best_x, best_y)),
        _beside(best_x, best_y + 4, plot.best[0], 10),
    ]
    return svg(key, _HEIGHT, plot.title, _told(plot), *parts)


def _mark(name: str, at: Place) -> list[Markup]:
    return [
        line("reference", at[0], at[1], at[0], _BOTTOM),
        dot("firm", *at, 4.5),
        _beside(at[0], at[1] + 16, name, 8),
    ]


def _beside(x: float, y: float, text: str, gap: float) -> Markup:
    # To the right of a mark, or to its left where the figure ends.
    if x + gap + LABEL_LETTER * letters(text) <= WIDTH:
        return label("label halo", x + gap, y, text)
    return label("label halo", x - gap, y, text, "end")


def _diamond(x: float, y: float) -> list[Place]:
    return [(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y), (x, y - 6)]


def _told(plot: Course) -> str:
    known = [*plot.marks, plot.best]
    said = [f"{name}: {plot.write(y, 3)} at {100 * x:.1f}%." for name, (x, y) in known]
    return f"{plot.y_axis} against {plot.x_axis}. {' '.join(said)}"
