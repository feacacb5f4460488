"""
Which hours of which features stand out: arithmetic on sums per hour.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from modeltrail.stats.estimate import NotEstimable
from modeltrail.stats.spikes import Spike, count_spikes, mean_spikes
from modeltrail.storage.dimensions import HOUR_US
from modeltrail.storage.series import Hour

Key = tuple[str | None, ...]
Series = Sequence[Hour | None]


class Finding(NamedTuple):
    """
    An hour that stands out.

    Attributes:
        key: The group's values, in the order of the dimensions.
        start_us: When the hour begins, microseconds UTC.
        metric: One of `METRICS`, its unit in its name.
        value: What there was.
        expected: What its level and its week let expect.
        score: How many standard deviations of the noise lie between.
    """

    key: Key
    start_us: int
    metric: str
    value: int
    expected: int
    score: float

    @property
    def ratio(self) -> float | None:
        """
        How many times what was expected; None if that was nothing.
        """
        return self.value / self.expected if self.expected else None


class Refusal(NamedTuple):
    """
    A series that cannot be judged, and why not.
    """

    key: Key
    metric: str
    reason: str


@dataclass(frozen=True, slots=True)
class Watch:
    """
    What came of judging all series.

    Attributes:
        judged: How many series were judged.
    """

    findings: list[Finding] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    judged: int = 0


class Window(NamedTuple):
    """
    Whole hours since 1970: the history from `first` to before `end`, of which
    those from `recent` on are of interest.
    """

    first: int
    end: int
    recent: int


def window(since_us: int, until_us: int, recent_us: int | None) -> Window:
    """
    Return the hours that lie wholly within a time.
    """
    first = -(-since_us // HOUR_US)
    recent = first if recent_us is None else recent_us // HOUR_US
    return Window(first, until_us // HOUR_US, recent)


def watch(hours: Iterable[Hour], metrics: Sequence[str], within: Window) -> Watch:
    """
    Judge the series of every group by every metric.

    A group's history begins with its first call. An hour without calls is 0 of
    a count or a sum, and unknown for a mean; an hour whose calls report nothing
    is unknown for both.

    Args:
        hours: All hours of the window that have calls.
        metrics: Some of `METRICS`.
    """
    groups: dict[Key, dict[int, Hour]] = defaultdict(dict)
    for each in hours:
        groups[each.key][each.hour] = each
    findings: list[Finding] = []
    refusals: list[Refusal] = []
    judged = 0
    for key, known in groups.items():
        first = max(min(known), within.first)
        series = [known.get(hour) for hour in range(first, within.end)]
        for metric in metrics:
            spikes = METRICS[metric](series)
            if isinstance(spikes, NotEstimable):
                refusals.append(Refusal(key, metric, spikes.reason))
                continue
            judged += 1
            findings += [
                _finding(key, first, metric, spike)
                for spike in spikes
                if first + spike.place >= within.recent
            ]
    findings.sort(key=lambda each: (each.start_us, -each.score))
    return Watch(findings, refusals, judged)


def _finding(key: Key, first: int, metric: str, spike: Spike) -> Finding:
    start_us = (first + spike.place) * HOUR_US
    return Finding(key, start_us, metric, round(spike.value), round(spike.expected), spike.score)


def _calls(series: Series) -> list[Spike] | NotEstimable:
    return count_spikes([float(hour.calls) if hour else 0.0 for hour in series])


def _errors(series: Series) -> list[Spike] | NotEstimable:
    return count_spikes([float(hour.errors) if hour else 0.0 for hour in series])


def _output_tokens(series: Series) -> list[Spike] | NotEstimable:
    return _sums([(h.output_tokens, h.output_tokens_squared) if h else (0, 0.0) for h in series])


def _cost(series: Series) -> list[Spike] | NotEstimable:
    return _sums([(h.cost_nanousd, h.cost_nanousd_squared) if h else (0, 0.0) for h in series])


def _latency(series: Series) -> list[Spike] | NotEstimable:
    means = [
        None if hour is None or not hour.latency_us else hour.latency_us / hour.timed
        for hour in series
    ]
    return mean_spikes(means, [hour.timed if hour else 0 for hour in series])


def _sums(pairs: Sequence[tuple[int | None, float | None]]) -> list[Spike] | NotEstimable:
    values = [None if total is None else float(total) for total, _ in pairs]
    return count_spikes(values, unit=_unit(pairs))


def _unit(pairs: Sequence[tuple[int | None, float | None]]) -> float:
    """
    Give E[x^2] / E[x] of the calls' sizes: the median over days, lest a spike sets it.
    """
    days = [pairs[start : start + 24] for start in range(0, len(pairs), 24)]
    sums = [(sum(total or 0 for total, _ in day), sum(sq or 0 for _, sq in day)) for day in days]
    units = [squares / total for total, squares in sums if total > 0]
    return median(units) if units else 1.0


# Metric of an hour -> how its series is judged.
METRICS: Mapping[str, Callable[[Series], list[Spike] | NotEstimable]] = {
    "calls": _calls,
    "errors": _errors,
    "output_tokens": _output_tokens,
    "cost_nanousd": _cost,
    "latency_us": _latency,
}
