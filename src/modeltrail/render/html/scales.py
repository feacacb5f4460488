"""
From numbers to places in a figure, and which numbers an axis names.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEPS = (1, 2, 5, 10)
# A part of the domain that is left free at either end.
_MARGIN = 0.04
_SECOND_US = 1_000_000
_DAY_S = 86_400
# Distances that people count time in, in seconds, and how they write it then.
_TIMES = (
    *((seconds, "%H:%M:%S") for seconds in (1, 2, 5, 10, 15, 30)),
    *((60 * minutes, "%H:%M") for minutes in (1, 2, 5, 10, 15, 30)),
    *((3_600 * hours, "%m-%d %H:%M") for hours in (1, 2, 4, 6, 12)),
    *((_DAY_S * days, "%m-%d") for days in (1, 2, 4, 7, 14, 28, 56)),
    *((_DAY_S * days, "%Y-%m-%d") for days in (91, 182, 364, 728)),
)


@dataclass(frozen=True, slots=True)
class Tick:
    """
    A number that an axis names.
    """

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Linear:
    """
    A straight line from numbers to places.

    Attributes:
        low: The number at `start`, below `high`.
        high: The number at `end`.
        start: A place, in the units of the figure.
        end: Another; before `start` where numbers grow upwards.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """
        Return a number's place.
        """
        part = (value - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def around(values: Sequence[float]) -> tuple[float, float]:
    """
    Return a domain that has all of some numbers, and a little room at either end.

    Args:
        values: At least one number, all finite.
    """
    low, high = min(values), max(values)
    room = (high - low) * _MARGIN
    if low - room >= low or high + room <= high:
        # All the same, or nearly so: any room will do, as long as it is some.
        room = abs(low) * 0.1 or 1.0
    return low - room, high + room


def ticks(low: float, high: float, write: Callable[[float, int], str], most: int = 6) -> list[Tick]:
    """
    Return round numbers from `low` to `high`, in steps of 1, 2 or 5 times a power of ten.

    Args:
        low: Below `high`, both finite.
        write: Writes a number with so many decimals.
        most: How many there may be, at least 5; there are 2 at least.
    """
    # A step that is surely not too wide: the search goes upwards.
    factor, power = 1, math.floor(math.log10((high - low) / most))
    first, last = _multiples(low, high, factor, power)
    while last - first + 1 > most:
        factor, power = _next(factor, power)
        first, last = _multiples(low, high, factor, power)
    values = (_times(each * factor, power) for each in range(first, last + 1))
    return [Tick(value, write(value, max(-power, 0))) for value in values]


def moments(first_us: int, last_us: int, most: int = 6) -> list[Tick]:
    """
    Return round moments between two, as people write them in UTC.

    Args:
        first_us: Microseconds since 1970, as all moments here.
        last_us: Not before it.
        most: How many there may be, within eight years.
    """
    seconds, form = next(
        (each for each in _TIMES if len(_rounds(first_us, last_us, each[0])) <= most), _TIMES[-1]
    )
    return [
        Tick(at_us, (_EPOCH + timedelta(microseconds=at_us)).strftime(form))
        for at_us in _rounds(first_us, last_us, seconds)
    ]


def _rounds(first_us: int, last_us: int, seconds: int) -> range:
    step_us = seconds * _SECOND_US
    return range(-(-first_us // step_us) * step_us, last_us + 1, step_us)


def _next(factor: int, power: int) -> tuple[int, int]:
    larger = _STEPS[_STEPS.index(factor) + 1]
    return (1, power + 1) if larger == _STEPS[-1] else (larger, power)


def _multiples(low: float, high: float, factor: int, power: int) -> tuple[int, int]:
    return math.ceil(_parts(low, factor, power)), math.floor(_parts(high, factor, power))


def _parts(value: float, factor: int, power: int) -> float:
    scale: int = 10 ** abs(power)
    return (value / scale if power >= 0 else value * scale) / factor


def _times(number: int, power: int) -> float:
    # Divided, not multiplied by 0.1: 3 / 10 is 0.3, and 3 * 0.1 is not.
    scale: int = 10 ** abs(power)
    return float(number * scale) if power >= 0 else number / scale
