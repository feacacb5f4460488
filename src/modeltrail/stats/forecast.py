"""
What the days to come will add up to: level, trend and weekday, with an interval.

The logarithms of daily totals are a straight line in time plus an effect of the weekday plus
noise, fitted by least squares (an exponential level times an index of the weekday). On that scale
noise that grows with the level, as that of costs does, is the same every day. The sum of days to
come is taken as log-normal, its moments matched as L. F. Fenton did ("The sum of log-normal
probability distributions in scatter transmission systems", 1960); the uncertainty of the fit,
which the days to come share, is added by the delta method.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from modeltrail.stats.estimate import NotEstimable
from modeltrail.stats.special import t_quantile

WEEK = 7
# Two of each weekday: with fewer, what is the weekday and what is noise cannot be told.
LEAST_DAYS = 2 * WEEK
# What was longer ago says little about the trend of today.
MOST_DAYS = 8 * WEEK


class Forecast(NamedTuple):
    """
    A sum of days to come, in the unit of the days before.

    Attributes:
        estimate: Its median.
        low: The lower bound of the prediction interval.
        high: The upper bound.
    """

    estimate: float
    low: float
    high: float


class _Fit(NamedTuple):
    coefficients: list[float]
    # The inverse of the matrix of normal equations.
    inverse: list[list[float]]
    variance: float
    dof: int


def forecast(
    past: Sequence[float], ahead: Sequence[float], *, alpha: float = 0.1
) -> Forecast | NotEstimable:
    """
    Forecast a sum of the days that follow.

    Args:
        past: The totals of full days, one after the other; of more than
            `MOST_DAYS` the last count.
        ahead: Of each day that follows, the share of it that is summed up.
        alpha: One less the probability that the sum lies in the interval.

    Returns:
        Refuses fewer than `LEAST_DAYS` days, and days without a total on a
        weekday that has one in other weeks. A weekday that never has is taken to stay
        so.
    """
    days = past[-MOST_DAYS:]
    active = [weekday for weekday in range(WEEK) if any(days[weekday::WEEK])]
    if reason := _refuse(days, active):
        return NotEstimable(reason)
    middle = (len(days) - 1) / 2

    def row(day: int) -> list[float]:
        return [*(float(day % WEEK == weekday) for weekday in active), (day - middle) / WEEK]

    known = [day for day, total in enumerate(days) if total]
    fit = _fit([row(day) for day in known], [math.log(days[day]) for day in known])
    coming = [
        (share, row(day))
        for day, share in enumerate(ahead, len(days))
        if share > 0 and day % WEEK in active
    ]
    return _sum_of(fit, coming, alpha) if coming else Forecast(0.0, 0.0, 0.0)


def _refuse(days: Sequence[float], active: Sequence[int]) -> str | None:
    if len(days) < LEAST_DAYS:
        return f"there are {len(days)} full days, and it takes {LEAST_DAYS}"
    if not active:
        return "no day has a total"
    if gaps := sum(not days[day] for day in range(len(days)) if day % WEEK in active):
        return f"{gaps} of {len(days)} days have no total, on weekdays that have one in other weeks"
    return None


def _sum_of(fit: _Fit, coming: Sequence[tuple[float, list[float]]], alpha: float) -> Forecast:
    expected = [
        share * math.exp(_dot(fit.coefficients, row) + fit.variance / 2) for share, row in coming
    ]
    total = math.fsum(expected)
    weights = [each / total for each in expected]
    # Noise is of each day its own; the error of the fit is that of the average day.
    squares = math.fsum(weight * weight for weight in weights)
    noise = math.log1p(math.expm1(fit.variance) * squares)
    rows = [row for _, row in coming]
    average = [_dot(weights, column) for column in zip(*rows, strict=True)]
    shared = fit.variance * _dot(average, [_dot(line, average) for line in fit.inverse])
    median = total * math.exp(-noise / 2)
    reach = math.exp(t_quantile(1 - alpha / 2, fit.dof) * math.sqrt(noise + shared))
    return Forecast(median, median / reach, median * reach)


def _fit(rows: Sequence[Sequence[float]], values: Sequence[float]) -> _Fit:
    """
    Return a fit by least squares.
    """
    columns = list(zip(*rows, strict=True))
    inverse = _inverse([[_dot(one, other) for other in columns] for one in columns])
    moments = [_dot(column, values) for column in columns]
    coefficients = [_dot(line, moments) for line in inverse]
    left = [value - _dot(coefficients, row) for value, row in zip(values, rows, strict=True)]
    dof = len(rows) - len(columns)
    return _Fit(coefficients, inverse, _dot(left, left) / dof, dof)


def _inverse(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """
    Return the inverse of a positive definite matrix, by elimination.
    """
    size = len(matrix)
    lines = [
        [*line, *(float(place == other) for other in range(size))]
        for place, line in enumerate(matrix)
    ]
    for place in range(size):
        pivot = lines[place][place]
        lines[place] = [each / pivot for each in lines[place]]
        for other in range(size):
            if other != place:
                factor = lines[other][place]
                lines[other] = [
                    each - factor * above
                    for each, above in zip(lines[other], lines[place], strict=True)
                ]
    return [line[size:] for line in lines]


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))
