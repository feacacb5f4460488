"""
A comparison feature by feature: exploration, in which many differences are looked at.

Whatever is found among the segments of a metric is kept by Benjamini and Hochberg's procedure,
on always-valid p values. It suggests the next experiment; it decides none.
"""

from collections.abc import Sequence
from typing import NamedTuple

from modeltrail.experiment.checks import crossed_units
from modeltrail.experiment.compare import Evidence, arm_names, pair, without
from modeltrail.experiment.contrasts import Contrast
from modeltrail.experiment.metrics import Metric
from modeltrail.experiment.plan import Plan
from modeltrail.experiment.results import Segment, Skipped, Verdict
from modeltrail.experiment.strata import sides_of
from modeltrail.stats.estimate import Interval, NotEstimable
from modeltrail.stats.shares import benjamini_hochberg


class _Found(NamedTuple):
    variant: str
    feature: str
    contrast: Contrast
    always_valid: Interval
    p: float


def segments(
    metrics: Sequence[Metric], evidence: Evidence, plan: Plan
) -> tuple[tuple[Segment, ...], tuple[Skipped, ...]]:
    """
    Compare each metric in the calls of each feature.

    Args:
        metrics: What to compare.
        evidence: What the units did, by feature.
        plan: How it is to be judged.

    Returns:
        The segments, and those that have too few units, with the reason.
    """
    crossed = crossed_units(evidence.exposed)
    names = arm_names(plan, [each for each in evidence.exposed if each.unit not in crossed])
    found: list[Segment] = []
    skipped: list[Skipped] = []
    for metric in metrics:
        tested, refused = _tested(metric, names, evidence, crossed, plan)
        believed = benjamini_hochberg([each.p for each in tested], plan.alpha)
        found += [_segment(metric, each, seen) for each, seen in zip(tested, believed, strict=True)]
        skipped += refused
    return tuple(found), tuple(skipped)


def _tested(
    metric: Metric, names: Sequence[str], evidence: Evidence, crossed: frozenset[str], plan: Plan
) -> tuple[list[_Found], list[Skipped]]:
    tested: list[_Found] = []
    refused: list[Skipped] = []
    for feature, listed in sorted((evidence.by_feature or {}).items()):
        own = {metric.name: listed.get(metric.name, ())}
        rows = without(own, crossed)[metric.name]
        for name, sides in sides_of(metric, names, rows, evidence.phases).items():
            found = pair(metric, *sides, plan, len(names)).contrast
            reason = _refusal(found)
            if isinstance(found, NotEstimable) or reason is not None:
                refused.append(Skipped(metric.name, name, feature, str(reason)))
                continue
            interval, p = found.always_valid, found.always_valid_p
            assert not isinstance(interval, NotEstimable)
            assert not isinstance(p, NotEstimable)
            tested.append(_Found(name, feature, found, interval, p))
    return tested, refused


def _refusal(found: Contrast | NotEstimable) -> str | None:
    if isinstance(found, NotEstimable):
        return found.reason
    if isinstance(found.always_valid, NotEstimable):
        return found.always_valid.reason
    return None


def _segment(metric: Metric, found: _Found, believed: bool) -> Segment:
    return Segment(
        metric=metric.name,
        variant=found.variant,
        feature=found.feature,
        n_units=found.contrast.n_units,
        difference=found.contrast.difference,
        always_valid=found.always_valid,
        p=found.p,
        believed=believed,
        verdict=_verdict(metric, found.contrast.difference, believed),
    )


def _verdict(metric: Metric, difference: float, believed: bool) -> Verdict | None:
    if metric.better is None:
        return None
    if not believed:
        return "undecided"
    return "better" if (difference > 0) == (metric.better == "higher") else "worse"
