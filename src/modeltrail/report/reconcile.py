"""
The trail beside the providers' own usage exports: arithmetic on both, without any reading.

What is compared of a provider is as fine as the coarsest of its exports: by
day where one tells days only, without models or keys where one tells none.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from modeltrail.interop.export import HOUR_US, Export, UsageBucket
from modeltrail.report.causes import (
    MEASURES,
    Case,
    Figures,
    Pair,
    agrees,
    likely_cause,
)
from modeltrail.report.model_names import matches
from modeltrail.stats.exact import sum_known
from modeltrail.storage import MeteredHour

DAY_US = 24 * HOUR_US


class Scope(NamedTuple):
    """
    What of a provider can be compared.

    Attributes:
        grain_us: How long a bucket is.
        starts: The beginnings of the buckets that all its exports speak of
            and that the trail has seen wholly.
        left_out: How many buckets an export touches that are not compared.
    """

    provider: str
    grain_us: int
    starts: tuple[int, ...]
    left_out: int

    @property
    def start_us(self) -> int:
        """
        The first moment that is compared.
        """
        return self.starts[0]

    @property
    def end_us(self) -> int:
        """
        The end of what is compared, excluded.
        """
        return self.starts[-1] + self.grain_us

    def bucket(self, at_us: int) -> int:
        """
        Return where the bucket of a moment begins.
        """
        return at_us // self.grain_us * self.grain_us

    def has(self, at_us: int) -> bool:
        """
        Tell whether the bucket of a moment is compared.
        """
        place = bisect_left(self.starts, self.bucket(at_us))
        return place < len(self.starts) and self.starts[place] == self.bucket(at_us)


class Row(NamedTuple):
    """
    One bucket of one model and key.

    Attributes:
        cause: The likely cause of the difference, None if both sides agree.
    """

    provider: str
    model: str | None
    key: str | None
    start_us: int
    end_us: int
    pair: Pair
    cause: str | None


class _Cell(NamedTuple):
    start_us: int
    model: str | None
    key: str | None


def scopes(
    exports: Sequence[Export], *, first_call_us: int, since_us: int, until_us: int, by_us: int
) -> list[Scope]:
    """
    Return what can be compared of each provider; those without any overlap are left out.

    Args:
        first_call_us: Where the trail begins.
        until_us: Nothing after it, and no bucket that it cuts.
        by_us: How long a bucket is at least, `HOUR_US` or `DAY_US`.
    """
    found = []
    for provider in sorted({each.provider for each in exports}):
        own = [each for each in exports if each.provider == provider]
        grain_us = max(by_us, _widest(own))
        touched = {
            start
            for each in own
            for span in each.spans
            for start in range(span[0] // grain_us * grain_us, span[1], grain_us)
        }
        cut = _cut(own, grain_us)
        begins_us = max(since_us, first_call_us // grain_us * grain_us)
        starts = tuple(
            start
            for start in sorted(touched)
            if begins_us <= start
            and start + grain_us <= until_us
            and start not in cut
            and all(_covers(kind, start, start + grain_us) for kind in _spans_by_kind(own))
        )
        if starts:
            found.append(Scope(provider, grain_us, starts, len(touched) - len(starts)))
    return found


def _widest(exports: Iterable[Export]) -> int:
    widths = [end - start for each in exports if each.kind != "calls" for start, end in each.spans]
    return DAY_US if max(widths, default=0) > HOUR_US else HOUR_US


def _cut(exports: Iterable[Export], grain_us: int) -> set[int]:
    """
    Return the beginnings of buckets into which one of an export's own only reaches.

    How much of that lies in which of them nobody knows. A log has no buckets.
    """
    return {
        start
        for each in exports
        if each.kind != "calls"
        for first_us, end_us in each.spans
        if first_us // grain_us != (end_us - 1) // grain_us
        for start in range(first_us // grain_us * grain_us, end_us, grain_us)
    }


def _spans_by_kind(exports: Iterable[Export]) -> list[list[tuple[int, int]]]:
    by_kind: dict[str, list[tuple[int, int]]] = {}
    for each in exports:
        by_kind.setdefault(each.kind, []).extend(each.spans)
    return [_merged(spans) for spans in by_kind.values()]


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _covers(spans: Iterable[tuple[int, int]], start_us: int, end_us: int) -> bool:
    return any(start <= start_us and end_us <= end for start, end in spans)


def compare(
    scope: Scope,
    exports: Sequence[Export],
    hours: Sequence[MeteredHour],
    *,
    tolerance: Fraction,
    keys: Mapping[str, str],
) -> list[Row]:
    """
    Put both sides of a provider beside each other, bucket by bucket.

    Args:
        hours: What the trail has of this and perhaps other providers.
        keys: Alias of a key in the trail -> its id in the exports.
    """
    own = [each for each in exports if each.provider == scope.provider]
    theirs = [bucket for each in own for bucket in each.buckets if scope.has(bucket.start_us)]
    ours = [
        hour._replace(key=keys.get(hour.key, hour.key) if hour.key else None)
        for hour in hours
        if hour.provider == scope.provider and scope.has(hour.start_us)
    ]
    by_model, by_key = _told(own, ours)
    named = matches(
        {hour.model for hour in ours if hour.model}, {each.model for each in theirs if each.model}
    )

    def cell(start_us: int, model: str | None, key: str | None) -> _Cell:
        return _Cell(scope.bucket(start_us), model if by_model else None, key if by_key else None)

    trail: dict[_Cell, list[MeteredHour]] = {}
    for hour in ours:
        model = named[hour.model] if hour.model else None
        trail.setdefault(cell(hour.start_us, model, hour.key), []).append(hour)
    export: dict[_Cell, list[UsageBucket]] = {}
    for each in theirs:
        export.setdefault(cell(each.start_us, each.model, each.key), []).append(each)
    known = _Known(
        {each.model for each in trail} if by_model else None,
        {each.key for each in trail} if by_key else None,
    )
    told = _told_measures(own)
    pairs = {
        each: _pair(each, trail.get(each, []), export.get(each, []), told, known)
        for each in {*trail, *export}
    }
    return _rows(scope, pairs, tolerance)


class _Known(NamedTuple):
    """
    What the trail has at any time; None where it is not compared.
    """

    models: set[str | None] | None
    keys: set[str | None] | None


def _told(exports: Iterable[Export], ours: Iterable[MeteredHour]) -> tuple[bool, bool]:
    """
    Tell whether all exports that have anything name models, and keys that the trail knows.
    """
    filled = [each.buckets for each in exports if each.buckets]
    aliases = {hour.key for hour in ours if hour.key}
    by_model = all(any(bucket.model for bucket in buckets) for buckets in filled)
    by_key = all(any(bucket.key in aliases for bucket in buckets) for buckets in filled)
    return by_model, by_key


def _told_measures(exports: Iterable[Export]) -> frozenset[str]:
    buckets = [bucket for each in exports for bucket in each.buckets]
    return frozenset(
        name for name in MEASURES if any(getattr(each, name) is not None for each in buckets)
    )


def _pair(
    cell: _Cell,
    ours: Sequence[MeteredHour],
    theirs: Sequence[UsageBucket],
    told: frozenset[str],
    known: _Known,
) -> Pair:
    calls, failed = sum(hour.calls for hour in ours), sum(hour.failed for hour in ours)
    sums = {name: sum_known(getattr(hour, name) for hour in ours) or 0 for name in MEASURES[1:]}
    sums["requests"] = calls - failed
    return Pair(
        trail=Figures(**{name: sums[name] for name in told}),
        export=_figures(theirs, told),
        calls=calls,
        failed=failed,
        unmetered=sum(hour.unmetered for hour in ours),
        unpriced=sum(hour.unpriced for hour in ours),
        batch=_figures([each for each in theirs if each.batch], told),
        knows_model=known.models is None or cell.model in known.models,
        knows_key=known.keys is None or cell.key in known.keys,
        has_model=known.models is None or cell.model is not None,
    )


def _figures(buckets: Sequence[UsageBucket], told: Iterable[str]) -> Figures:
    # What an export tells and a bucket has not, was not used.
    return Figures(
        **{name: sum_known(getattr(each, name) for each in buckets) or 0 for name in told}
    )


def _rows(scope: Scope, pairs: Mapping[_Cell, Pair], tolerance: Fraction) -> list[Row]:
    def order(cell: _Cell) -> tuple[int, str, str]:
        return cell.start_us, cell.model or "", cell.key or ""

    def beside(cell: _Cell, step: int) -> Pair | None:
        return pairs.get(cell._replace(start_us=cell.start_us + step * scope.grain_us))

    rows = []
    for cell in sorted(pairs, key=order):
        pair, cause = pairs[cell], None
        if not agrees(pair, tolerance):
            cause = likely_cause(Case(pair, beside(cell, -1), beside(cell, 1), tolerance))
        end_us = cell.start_us + scope.grain_us
        rows.append(Row(scope.provider, cell.model, cell.key, cell.start_us, end_us, pair, cause))
    return rows


def total(rows: Sequence[Row]) -> tuple[Figures, Figures]:
    """
    Return the sums of both sides over all rows that tell them.
    """
    return (
        _summed([row.pair.trail for row in rows]),
        _summed([row.pair.export for row in rows]),
    )


def _summed(figures: Sequence[Figures]) -> Figures:
    return (
        Figures(*(sum_known(column) for column in zip(*figures, strict=True)))
        if figures
        else Figures()
    )
