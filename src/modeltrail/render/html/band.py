"""
An estimate and its interval as they went on through time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from modeltrail.render.html.frame import (
    RIGHT,
    WIDTH,
    Write,
    area,
    dot,
    line,
    path,
    room_for,
    svg,
    x_axis,
    y_axis,
)
from modeltrail.render.html.markup import Markup, element
from modeltrail.render.html.scales import Linear, around, moments, ticks

_TOP = 34
_BOTTOM = 248
_HEIGHT = 292
_CAP = 5
# Intervals wider than so many times the last one run out of the figure.
_WIDEST = 4


class Moment(NamedTuple):
    """
    What was known at one time.

    Attributes:
        at_us: Microseconds since 1970.
        estimate: In the unit of the axis, as `low` and `high` of its interval.
    """

    at_us: int
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Band:
    """
    An estimate through time.

    Attributes:
        title: What it is of.
        axis: Name of the upright axis, with the unit.
        moments: At least one, in the order of time.
        write: Writes the numbers of that axis.
        reference: A number to compare with.
    """

    title: str
    axis: str
    moments: Sequence[Moment]
    write: Write
    reference: float


def draw(plot: Band, key: str) -> Markup:
    """
    Draw an estimate and its interval through time.
    """
    low, high = domain(plot)
    named = ticks(low, high, plot.write)
    left = room_for(named)
    y = Linear(low, high, _BOTTOM, _TOP)
    x = Linear(*_times(plot.moments), left, WIDTH - RIGHT)
    places = [(x(each.at_us), each) for each in plot.moments]
    clip = f"{key}-clip"
    inside = {"clip-path": f"url(#{clip})"}
    band = [(at, y(each.high)) for at, each in places]
    band += [(at, y(each.low)) for at, each in reversed(places)]
    zero = y(plot.reference)
    return svg(
        key,
        _HEIGHT,
        plot.title,
        _told(plot),
        _clip(clip, left),
        *x_axis(x, moments(int(x.low), int(x.high), 4), _TOP, _BOTTOM, "time, UTC"),
        *y_axis(y, named, left, WIDTH - RIGHT, plot.axis),
        element("g", inside, area("band", band), *_ends(places, y)),
        line("reference", left, zero, WIDTH - RIGHT, zero),
        element("g", inside, path("course", [(at, y(each.estimate)) for at, each in places])),
        dot("firm", places[-1][0], y(plot.moments[-1].estimate), 4.5),
    )


def domain(plot: Band) -> tuple[float, float]:
    """
    Return what the upright axis spans: all but what is far wider than the last interval.
    """
    widest = _WIDEST * (plot.moments[-1].high - plot.moments[-1].low)
    shown = [each for each in plot.moments if each.high - each.low <= widest]
    ends = [end for each in shown for end in (each.low, each.high)]
    return around([plot.reference, *ends])


def runs_out(plot: Band) -> bool:
    """
    Tell whether an interval is wider than the figure.
    """
    low, high = domain(plot)
    return any(each.low < low or each.high > high for each in plot.moments)


def _times(known: Sequence[Moment]) -> tuple[float, float]:
    first, last = known[0].at_us, known[-1].at_us
    return (first, last) if first < last else (first - 1_000_000, last + 1_000_000)


def _clip(key: str, left: float) -> Markup:
    box = {"x": left, "y": _TOP, "width": WIDTH - RIGHT - left, "height": _BOTTOM - _TOP}
    return element("clipPath", {"id": key}, element("rect", box))


def _ends(places: Sequence[tuple[float, Moment]], y: Linear) -> list[Markup]:
    if len(places) == 1:
        # A band of one moment has no width.
        return _whisker(places[0][0], y(places[0][1].low), y(places[0][1].high))
    return [
        path("edge", [(at, y(each.low)) for at, each in places]),
        path("edge", [(at, y(each.high)) for at, each in places]),
    ]


def _whisker(x: float, low: float, high: float) -> list[Markup]:
    ends = [line("outer", x - _CAP, y, x + _CAP, y) for y in (low, high)]
    return [line("outer", x, low, x, high), *ends]


def _told(plot: Band) -> str:
    last = plot.moments[-1]
    decimals = len(ticks(last.low, last.high, lambda _, number: "0" * number)[0].label) + 1
    low, high = plot.write(last.low, decimals), plot.write(last.high, decimals)
    said = plot.write(last.estimate, decimals)
    return f"{plot.axis}. {len(plot.moments)} looks; at the last {said}, interval {low} to {high}."
