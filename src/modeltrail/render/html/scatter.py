"""
Things by two measures, each with an interval: models by cost and quality.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from modeltrail.render.html.frame import (
    RIGHT,
    WIDTH,
    Write,
    dot,
    fitting,
    line,
    path,
    room_for,
    short,
    svg,
    x_axis,
    y_axis,
)
from modeltrail.render.html.intervals import Span
from modeltrail.render.html.labels import LINE, Field, Named, beside, listed, numbered
from modeltrail.render.html.markup import Markup
from modeltrail.render.html.scales import Linear, around, ticks

_TOP = 34
_BOTTOM = 288
_HEIGHT = 332
_CAP = 4
_LONGEST = 26


@dataclass(frozen=True, slots=True)
class Dot:
    """
    One thing.

    Attributes:
        label: Its name.
        x: In the unit of the lower axis, as its interval; None if that is not known.
        y: In that of the upright axis.
        kind: `firm` is filled, `open` is not, `other` is no thing to be had.
    """

    label: str
    x: float
    x_span: Span | None
    y: float
    y_span: Span | None
    kind: str


@dataclass(frozen=True, slots=True)
class Scatter:
    """
    Things by two measures.

    Attributes:
        title: What they are.
        x_axis: Name of the lower axis, with the unit.
        y_axis: Name of the upright one.
        dots: At least one.
        hull: Corners of a line through some of them.
    """

    title: str
    x_axis: str
    y_axis: str
    dots: Sequence[Dot]
    hull: Sequence[tuple[float, float]]
    write_x: Write
    write_y: Write


def draw(plot: Scatter, key: str) -> Markup:
    """
    Draw things by two measures.
    """
    y = Linear(*around(_ends([(each.y, each.y_span) for each in plot.dots])), _BOTTOM, _TOP)
    named = ticks(y.low, y.high, plot.write_y)
    left, right = room_for(named), WIDTH - RIGHT
    x = Linear(*around(_ends([(each.x, each.x_span) for each in plot.dots])), left, right)
    parts = x_axis(x, fitting(x, plot.write_x), _TOP, _BOTTOM, plot.x_axis)
    parts += y_axis(y, named, left, right, plot.y_axis)
    if len(plot.hull) > 1:
        parts.append(path("hull", [(x(cost), y(quality)) for cost, quality in plot.hull]))
    for each in plot.dots:
        parts += _whiskers(each, x, y)
    parts += [_mark(each, x(each.x), y(each.y)) for each in plot.dots]
    places = [Named(short(each.label, _LONGEST), x(each.x), y(each.y)) for each in plot.dots]
    field = Field(left, right, _TOP, _BOTTOM)
    names = beside(places, field)
    if names is None:
        # Too many, or too close: numbers, and what these are below the figure.
        parts += numbered(places, field)
        below = listed([each.label for each in plot.dots], _HEIGHT)
        return svg(
            key, _HEIGHT + LINE * (len(below) + 0.5), plot.title, _told(plot), *parts, *below
        )
    return svg(key, _HEIGHT, plot.title, _told(plot), *parts, *names)


def _ends(values: Sequence[tuple[float, Span | None]]) -> list[float]:
    return [end for value, span in values for end in (value, *(span or ()))]


def _whiskers(each: Dot, x: Linear, y: Linear) -> list[Markup]:
    at_x, at_y = x(each.x), y(each.y)
    parts: list[Markup] = []
    if each.x_span:
        low, high = map(x, each.x_span)
        parts.append(line("outer", low, at_y, high, at_y))
        parts += [line("outer", end, at_y - _CAP, end, at_y + _CAP) for end in (low, high)]
    if each.y_span:
        low, high = map(y, each.y_span)
        parts.append(line("outer", at_x, low, at_x, high))
        parts += [line("outer", at_x - _CAP, end, at_x + _CAP, end) for end in (low, high)]
    return parts


def _mark(each: Dot, x: float, y: float) -> Markup:
    if each.kind == "other":
        return path("other", [(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y), (x, y - 6)])
    return dot(each.kind, x, y, 5)


def _told(plot: Scatter) -> str:
    known = [f"{each.label}: {_said(plot, each)}." for each in plot.dots]
    return f"{plot.x_axis} against {plot.y_axis}. {' '.join(known)}"


def _said(plot: Scatter, each: Dot) -> str:
    return f"{plot.write_x(each.x, 4)}, {plot.write_y(each.y, 3)}"
