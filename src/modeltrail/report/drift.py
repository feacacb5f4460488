"""
How answers differ before and after a moment: arithmetic on sums of both sides.

Shares are compared by Newcombe's interval and a score test, means by Welch's t
test, their relative change on the logarithm of the ratio of the means. All comparisons of
one run are judged together (Benjamini and Hochberg), so that many features
without a change do not alarm; and what is believed is a finding only if it is
large enough to matter. Calls are taken to be independent of each other.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from modeltrail.stats.estimate import (
    Interval,
    NotEstimable,
    RatioEstimate,
    difference,
    relative_difference,
)
from modeltrail.stats.shares import benjamini_hochberg, share_difference
from modeltrail.storage.series import AVERAGED, FORMATS, Served, Side, Sums

Key = tuple[str | None, ...]
Kind = Literal["share", "mean"]

LEAST_CALLS = 100
RATE = 0.05
# Changes of one group closer than this are one.
TOGETHER_US = 3_600_000_000
# Of these only more is a finding; of all others any change is.
WORSE_IF_MORE = frozenset({"schema_failed", "cut_off", "held_back", "error", "latency_us"})


class Change(NamedTuple):
    """
    A moment at which another model, or another state of it, began to serve a group.

    Attributes:
        before: What served most calls until then, None if nobody says.
        after: What began to.
        since_us: The moment of the change before it, None if there is none.
        until_us: That of the one after it.
    """

    key: Key
    at_us: int
    before: str | None
    after: str | None
    since_us: int | None = None
    until_us: int | None = None


class Comparison(NamedTuple):
    """
    One figure of one group, before and after.

    Attributes:
        figure: A format of `FORMATS`, or `schema_failed`, `cut_off`, `held_back`,
            `error`: shares; or one of `AVERAGED`: means.
        before: The share as a share of 1, the mean in its unit.
        change: Of a share the difference, of a mean the relative change.
        interval: Of the change, at 95 %.
        p: Two-sided, of this comparison alone.
    """

    change_of: Change
    figure: str
    kind: Kind
    before: float
    after: float
    change: float
    interval: Interval
    p: float
    calls: tuple[int, int]


class Refusal(NamedTuple):
    """
    A change that cannot be judged, and why not.
    """

    change_of: Change
    reason: str


def changes(served: Iterable[Served]) -> list[Change]:
    """
    Find when each group came to be served by what had not served it before.

    Args:
        served: In order of time.
    """
    groups: dict[Key, list[Served]] = defaultdict(list)
    for each in served:
        groups[each.key].append(each)
    return [found for key, states in groups.items() for found in _changes_of(key, states)]


def _changes_of(key: Key, states: Sequence[Served]) -> list[Change]:
    found: list[Change] = []
    for place, state in enumerate(states[1:], 1):
        # A state of a handful of calls is somebody's trial.
        if state.calls < LEAST_CALLS:
            continue
        if found and state.first_us - found[-1].at_us < TOGETHER_US:
            continue
        usual = max(states[:place], key=lambda each: each.calls)
        before, after = _names(usual, state)
        found.append(Change(key, state.first_us, before, after))
    times = [None, *(each.at_us for each in found), None]
    return [
        each._replace(since_us=times[place], until_us=times[place + 2])
        for place, each in enumerate(found)
    ]


def _names(one: Served, other: Served) -> tuple[str | None, str | None]:
    if one.response_model != other.response_model:
        return one.response_model, other.response_model
    return one.system_fingerprint, other.system_fingerprint


def compare(change: Change, sides: Iterable[Side]) -> list[Comparison] | Refusal:
    """
    Compare all figures of one group that both sides have.

    Figures of fewer than `LEAST_CALLS` calls on a side are left out, and
    shares that are nothing on both sides.

    Returns:
        The comparisons; or why there are none: too few calls on a side.
    """
    by_side = {side.is_after: side for side in sides}
    before, after = by_side.get(False), by_side.get(True)
    counts = (before.calls if before else 0, after.calls if after else 0)
    if before is None or after is None or min(counts) < LEAST_CALLS:
        return Refusal(
            change,
            f"{counts[0]:,} calls before and {counts[1]:,} after; "
            f"at least {LEAST_CALLS} are needed on each side",
        )
    return [*_shares(change, before, after), *_means(change, before, after)]


def _shares(change: Change, before: Side, after: Side) -> list[Comparison]:
    found = []
    ours, theirs = _counted(before), _counted(after)
    for figure, one in ours.items():
        other = theirs[figure]
        if min(one[1], other[1]) < LEAST_CALLS or one[0] + other[0] == 0:
            continue
        result = share_difference(one, other)
        if isinstance(result, NotEstimable):
            continue
        found.append(
            Comparison(
                change,
                figure,
                "share",
                result.before,
                result.after,
                result.difference,
                result.interval,
                result.p,
                (one[1], other[1]),
            )
        )
    return found


def _counted(side: Side) -> Mapping[str, tuple[int, int]]:
    shaped = sum(side.formats.values())
    return {
        **{name: (side.formats.get(name, 0), shaped) for name in FORMATS},
        "schema_failed": (side.schema_failed, side.schema_known),
        "cut_off": (side.cut_off, side.finish_known),
        "held_back": (side.held_back, side.finish_known),
        "error": (side.errors, side.calls),
    }


def _means(change: Change, before: Side, after: Side) -> list[Comparison]:
    found = []
    for figure in AVERAGED:
        one, other = before.sums[figure], after.sums[figure]
        if min(one.n, other.n) < LEAST_CALLS:
            continue
        a, b = _mean(one), _mean(other)
        absolute, relative = difference(a, b), relative_difference(a, b)
        if isinstance(absolute, NotEstimable) or isinstance(relative, NotEstimable):
            continue
        found.append(
            Comparison(
                change,
                figure,
                "mean",
                a.estimate,
                b.estimate,
                relative.relative,
                relative.interval,
                absolute.p,
                (one.n, other.n),
            )
        )
    return found


def _mean(sums: Sums) -> RatioEstimate:
    mean = sums.total / sums.n
    # Whole numbers that are all the same still have the variance of their rounding.
    squares = max(sums.squared - sums.n * mean * mean, sums.n / 12)
    variance = squares / (sums.n - 1) / sums.n
    return RatioEstimate(sums.n, float(sums.n), float(sums.n), mean, variance)


def believed(
    comparisons: Sequence[Comparison], *, least_share: float, least_change: float
) -> list[Comparison]:
    """
    Return the comparisons that are findings: to be believed, large enough, and no better.

    Args:
        least_share: By how much a share must differ, as a share of 1.
        least_change: By how much a mean must change, relative to before.
    """
    least = {"share": least_share, "mean": least_change}
    held = benjamini_hochberg([each.p for each in comparisons], RATE)
    return [
        each
        for each, holds in zip(comparisons, held, strict=True)
        if holds
        and abs(each.change) >= least[each.kind]
        and (each.change > 0 or each.figure not in WORSE_IF_MORE)
    ]
