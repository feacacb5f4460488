"""
Estimates with their intervals, one below the other: of metrics, of segments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from modeltrail.render.html.frame import (
    LABEL_LETTER,
    NAME_LETTER,
    RIGHT,
    TICK_LETTER,
    WIDTH,
    Write,
    dot,
    fitting,
    label,
    letters,
    line,
    short,
    svg,
    x_axis,
)
from modeltrail.render.html.markup import Markup
from modeltrail.render.html.scales import Linear, around, ticks

_ROW = 26
_TOP = 22
_BOTTOM = 44
_CAP = 5
# How much lower the next line of text stands.
_LINE = 16
_LONGEST = 22


class Span(NamedTuple):
    """
    An interval, as it is drawn.
    """

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bar:
    """
    One estimate.

    Attributes:
        label: What it is of.
        estimate: In the unit of the axis, as all numbers here.
        outer: The interval that is drawn thin, with ends; None if there is none.
        inner: The one that is drawn thick.
        firm: Whether the dot is filled.
    """

    label: str
    estimate: float
    outer: Span | None
    inner: Span | None = None
    firm: bool = True


@dataclass(frozen=True, slots=True)
class Intervals:
    """
    Estimates that share an axis.

    Attributes:
        title: What they are of.
        axis: Name of the axis, with the unit.
        bars: At least one, from the top.
        write: Writes the numbers of the axis.
        reference: A number to compare with, and what it means.
        sides: What it means to lie left of the reference, and right of it.
    """

    title: str
    axis: str
    bars: Sequence[Bar]
    write: Write
    reference: tuple[float, str] | None = None
    sides: tuple[str, str] | None = None


def draw(plot: Intervals, key: str) -> Markup:
    """
    Draw estimates with their intervals.
    """
    scale = Linear(*around(_values(plot)), _left(plot.bars), WIDTH - RIGHT)
    bottom = _TOP + _ROW * len(plot.bars)
    named = fitting(scale, plot.write)
    below = _LINE if _crowded(plot, scale) else 0
    parts = x_axis(scale, named, _TOP, bottom, plot.axis, 34 + below)
    if plot.reference:
        parts += _reference(plot.reference, scale, bottom)
    if plot.sides:
        parts.append(label("side", scale.start, bottom + 34, f"← {plot.sides[0]}"))
        parts.append(label("side", scale.end, bottom + 34, f"{plot.sides[1]} →", "end"))
    for place, bar in enumerate(plot.bars):
        parts += _bar(bar, scale, _TOP + _ROW * (place + 0.5))
    return svg(key, bottom + _BOTTOM + below, plot.title, _told(plot), *parts)


def _values(plot: Intervals) -> list[float]:
    ends = [end for bar in plot.bars for span in (bar.outer, bar.inner) if span for end in span]
    known = [plot.reference[0]] if plot.reference else []
    return [*ends, *known, *(bar.estimate for bar in plot.bars)]


def _crowded(plot: Intervals, scale: Linear) -> bool:
    """
    Tell whether the name of the axis would stand on what its sides mean.
    """
    if plot.sides is None:
        return False
    widest = TICK_LETTER * max(len(side) + 3 for side in plot.sides)
    return widest + NAME_LETTER * len(plot.axis) / 2 > (scale.end - scale.start) / 2


def _left(bars: Sequence[Bar]) -> float:
    longest = max(letters(short(bar.label, _LONGEST)) for bar in bars)
    return 12 + LABEL_LETTER * longest


def _reference(reference: tuple[float, str], scale: Linear, bottom: float) -> list[Markup]:
    value, meaning = reference
    x = scale(value)
    # Towards the wider side, so that it stays within the figure.
    anchor = "start" if x < (scale.start + scale.end) / 2 else "end"
    return [
        line("reference", x, _TOP - 6, x, bottom),
        label("side", x, _TOP - 10, meaning, anchor),
    ]


def _bar(bar: Bar, scale: Linear, y: float) -> list[Markup]:
    parts = [label("label", 0, y + 4, short(bar.label, _LONGEST))]
    if bar.outer:
        low, high = map(scale, bar.outer)
        parts.append(line("outer", low, y, high, y))
        parts += [line("outer", x, y - _CAP, x, y + _CAP) for x in (low, high)]
    if bar.inner:
        parts.append(line("inner", scale(bar.inner.low), y, scale(bar.inner.high), y))
    return [*parts, dot("firm" if bar.firm else "open", scale(bar.estimate), y, 4.5)]


def _told(plot: Intervals) -> str:
    return f"{plot.axis}. " + " ".join(_said(bar, plot.write) for bar in plot.bars)


def _said(bar: Bar, write: Write) -> str:
    # With as many digits as an axis of the widest interval's size would have.
    span = bar.outer or bar.inner
    decimals = 3
    if span and span.high > span.low:
        decimals = len(ticks(*span, lambda _, decimals: "0" * decimals)[0].label) + 1
    said = f"{bar.label}: {write(bar.estimate, decimals)}"
    if span is None:
        return f"{said}."
    return f"{said}, interval {write(span.low, decimals)} to {write(span.high, decimals)}."
