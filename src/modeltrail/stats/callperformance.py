"""
How well a score tells which calls need the strong model.

The calls with the highest scores go to the strong model, the others to the
weak one. With more and more calls to the strong model the mean quality r goes from
the weak model's to the strong model's. After RouteLLM (Ong et al. 2024, arXiv
2406.18665, section 3):

- the performance gap recovered, PGR = (r - weak) / (strong - weak);
- CPT(x), the call-performance threshold: the share of calls to the strong model
  at which PGR reaches x; a router that draws lots needs exactly x;
- APGR, the area under PGR over the share of strong calls; one that draws lots
  has exactly 1/2.

The curve has a corner for every score that occurs. Calls with equal scores are
on a straight line, which is what drawing lots among them gives on average; so a
constant score is the random router, exactly. (RouteLLM's code has ten bins by
quantiles instead, and so a slightly smaller area.)

The standard error of APGR is that of its influence function. With gains d_i =
strong_i - weak_i and F_i the share of scores below that of call i, ties half, APGR
is mean(d F) / mean(d), in which each call has a part by its own gain and one
by its score, that ranks the others (Hoeffding, Ann. Math. Stat. 19 (1948) 293).
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from modeltrail.stats.estimate import Interval, NotEstimable, UnitSums
from modeltrail.stats.paired import paired_difference
from modeltrail.stats.special import t_quantile


class ScoredCall(NamedTuple):
    """
    One question, answered by both models.

    Attributes:
        strong: Quality of the strong model's answer.
        weak: Quality of the weak model's.
        score: The router's: the higher, the sooner it asks the strong model.
    """

    strong: float
    weak: float
    score: float


class CurvePoint(NamedTuple):
    """
    Mean quality of an answer when this share of the calls goes to the strong model.
    """

    strong_share: float
    quality: float


@dataclass(frozen=True, slots=True)
class Curve:
    """
    Quality against the share of calls that the strong model answers.

    Attributes:
        n_calls: Questions.
        weak: Mean quality of the weak model.
        strong: Mean quality of the strong model.
        points: Corners of the curve, from no call to all.
        apgr: Average performance gap recovered; 1/2 is drawing lots.
        apgr_standard_error: Of it, questions taken as independent.
        apgr_interval: Of it; includes 1/2 where the score may be no better than lots.
        optimal: What knowing both answers would reach: the weak model wherever
            the strong one is not better.
    """

    n_calls: int
    weak: float
    strong: float
    points: tuple[CurvePoint, ...]
    apgr: float
    apgr_standard_error: float
    apgr_interval: Interval
    optimal: CurvePoint

    def quality_at(self, strong_share: float) -> float:
        """
        Give the quality at a share of calls to the strong model.

        Raises:
            ValueError: The share is none.
        """
        if not 0 <= strong_share <= 1:
            raise ValueError(f"{strong_share} is no share")
        for left, right in pairwise(self.points):
            if strong_share <= right.strong_share:
                part = (strong_share - left.strong_share) / (right.strong_share - left.strong_share)
                return left.quality + part * (right.quality - left.quality)
        return self.strong

    def threshold(self, recovered: float) -> float:
        """
        Give CPT: the least share of strong calls that recovers so much of the gap.

        Args:
            recovered: Of the gap between weak and strong, from 0 to 1.

        Raises:
            ValueError: It is not from 0 to 1.
        """
        if not 0 <= recovered <= 1:
            raise ValueError(f"{recovered} is not from 0 to 1")
        wanted = self.weak + recovered * (self.strong - self.weak)
        if wanted <= self.weak:
            return 0.0
        for left, right in pairwise(self.points):
            if right.quality >= wanted:
                part = (wanted - left.quality) / (right.quality - left.quality)
                return left.strong_share + part * (right.strong_share - left.strong_share)
        return 1.0


def curve(calls: Sequence[ScoredCall], *, alpha: float = 0.05) -> Curve | NotEstimable:
    """
    Judge a router's score on questions that both models have answered.

    Args:
        calls: The questions, each once.
        alpha: One less the confidence level.

    Returns:
        The curve; or why there is none: the strong model is not shown to be
        better, so that there is no gap to recover.
    """
    refusal = _refuse(calls, alpha)
    if refusal:
        return NotEstimable(refusal)
    n = len(calls)
    weak = math.fsum(call.weak for call in calls) / n
    strong = math.fsum(call.strong for call in calls) / n
    blocks = _blocks(calls)
    points = _points(blocks, n, weak, strong)
    area = math.fsum(
        (right.strong_share - left.strong_share) * ((left.quality + right.quality) / 2 - weak)
        for left, right in pairwise(points)
    )
    apgr = area / (strong - weak)
    standard_error = _standard_error(blocks, n, apgr)
    half = -t_quantile(alpha / 2, n - 1) * standard_error
    return Curve(
        n_calls=n,
        weak=weak,
        strong=strong,
        points=points,
        apgr=apgr,
        apgr_standard_error=standard_error,
        apgr_interval=Interval(apgr - half, apgr + half),
        optimal=CurvePoint(
            sum(call.strong > call.weak for call in calls) / n,
            math.fsum(max(call.strong, call.weak) for call in calls) / n,
        ),
    )


def _refuse(calls: Sequence[ScoredCall], alpha: float) -> str | None:
    if not all(math.isfinite(number) for call in calls for number in call):
        return "a quality or a score is not a finite number"
    gap = paired_difference(
        [UnitSums("weak", str(i), call.weak, 1) for i, call in enumerate(calls)],
        [UnitSums("strong", str(i), call.strong, 1) for i, call in enumerate(calls)],
        alpha=alpha,
    )
    if isinstance(gap, NotEstimable):
        return gap.reason
    if gap.interval.lower <= 0:
        return (
            f"the strong model is not shown to be better ({gap.difference:+.4f}, interval "
            f"{gap.interval.lower:+.4f} to {gap.interval.upper:+.4f}): there is no gap to recover"
        )
    return None


def _blocks(calls: Sequence[ScoredCall]) -> list[list[float]]:
    # The gains of each score, from the highest score down.
    gains: defaultdict[float, list[float]] = defaultdict(list)
    for call in calls:
        gains[call.score].append(call.strong - call.weak)
    return [gains[score] for score in sorted(gains, reverse=True)]


def _points(
    blocks: Sequence[Sequence[float]], n: int, weak: float, strong: float
) -> tuple[CurvePoint, ...]:
    points = [CurvePoint(0.0, weak)]
    routed, gained = 0, 0.0
    for gains in blocks:
        routed += len(gains)
        gained += math.fsum(gains)
        points.append(CurvePoint(routed / n, weak + gained / n))
    points[-1] = CurvePoint(1.0, strong)
    return tuple(points)


def _standard_error(blocks: Sequence[Sequence[float]], n: int, apgr: float) -> float:
    gap = math.fsum(gain for gains in blocks for gain in gains) / n
    squares = []
    routed, gained = 0, 0.0
    for gains in blocks:
        below = 1 - (routed + len(gains) / 2) / n
        own = math.fsum(gains)
        ranked = (gained + own / 2) / n
        # What call i adds: its gain at its rank, and the gains of those that it ranks above.
        squares += [(gain * below + ranked - apgr * gap - apgr * gain) ** 2 for gain in gains]
        routed += len(gains)
        gained += own
    return math.sqrt(math.fsum(squares) / (n * (n - 1))) / gap
