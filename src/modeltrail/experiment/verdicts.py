"""
What a difference means: better, worse, not worse, or not known yet.

The always-valid interval decides. What decides together is adjusted by Holm; a
guardrail is not, since a variant must pass all of them (intersection-union test).
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from modeltrail.experiment.checks import Check
from modeltrail.experiment.contrasts import Contrast
from modeltrail.experiment.metrics import Metric
from modeltrail.experiment.results import Finding, GuardrailResult, MetricComparison, Verdict
from modeltrail.stats.estimate import NotEstimable
from modeltrail.stats.sequential import lower_bound, units_needed

Better = Literal["lower", "higher"]


def failed_check(checks: Sequence[Check], metric: str) -> Finding | None:
    """
    Return the verdict of a check that forbids any other, None if there is none.
    """
    for check in checks:
        if check.status == "fail" and (not check.concerns or metric in check.concerns):
            return Finding("invalid", f"{check.name} failed: {check.detail}")
    return None


def finding(
    contrast: Contrast | NotEstimable,
    better: Better | None,
    adjusted_p: float | None,
    *,
    alpha: float,
    comparisons: int,
    missing: int,
) -> Finding:
    """
    Judge one metric of one variant.

    Args:
        contrast: Against control.
        better: Which direction is good.
        adjusted_p: By Holm, if the metric decides.
        alpha: One less the confidence level.
        comparisons: How many decide together.
        missing: Units that are missing before a first look, 0 if that is not known.
    """
    if isinstance(contrast, NotEstimable):
        return Finding(None if better is None else "undecided", contrast.reason, missing or None)
    p, interval = contrast.always_valid_p, contrast.always_valid
    if isinstance(p, NotEstimable) or isinstance(interval, NotEstimable):
        reason = p.reason if isinstance(p, NotEstimable) else ""
        return Finding(None if better is None else "undecided", reason, missing or None)
    if better is None:
        return Finding(None, "neither direction is good by itself")
    together = f", also after Holm's adjustment for {comparisons} comparisons"
    if (p if adjusted_p is None else adjusted_p) <= alpha:
        rose = contrast.difference > 0
        reason = "the always-valid interval excludes 0" + (together if comparisons > 1 else "")
        return Finding("better" if rose == (better == "higher") else "worse", reason)
    reason = "the always-valid interval includes 0"
    if p <= alpha:
        reason = f"the always-valid interval excludes 0, but not{together.removeprefix(', also')}"
    return Finding("undecided", reason, _more_units(contrast, alpha / comparisons))


def guardrail(
    metric: Metric, margin: float, contrast: Contrast | NotEstimable, *, alpha: float, missing: int
) -> tuple[float | NotEstimable, Finding]:
    """
    Judge whether a variant is not worse than control by a margin.

    Returns:
        How much better it is at least, one-sided and at every look; and the verdict.
    """
    if isinstance(contrast, NotEstimable):
        return contrast, Finding("undecided", contrast.reason, missing or None)
    if isinstance(contrast.always_valid, NotEstimable):
        early = contrast.always_valid
        return early, Finding("undecided", early.reason, missing or None)
    gain = contrast.difference if metric.better == "higher" else -contrast.difference
    at = (contrast.standard_error, contrast.n_units, contrast.plan_units, alpha)
    least, most = lower_bound(gain, *at), -lower_bound(-gain, *at)
    if least > -margin:
        return least, Finding("not_worse", "it is not worse by the margin, at every look")
    if most < -margin:
        return least, Finding("worse", "it is worse by more than the margin")
    needed = units_needed(abs(gain + margin), *at, one_sided=True)
    reason = "it may be worse by the margin, and may not"
    return least, Finding("undecided", reason, _beyond(needed, contrast.n_units))


def decide(
    variant: str,
    metrics: Sequence[MetricComparison],
    guardrails: Sequence[GuardrailResult],
    checks: Sequence[Check],
) -> Finding:
    """
    Judge a variant by all that decides: the checks, the guardrails, then the metrics.
    """
    deciding = {each.metric.name: each.findings[variant] for each in metrics if _decides(each)}
    guarded = {f"guardrail {each.metric}": each.findings[variant] for each in guardrails}
    everything = {**guarded, **deciding}
    if said := _first(everything, "invalid"):
        return said
    if any(check.name == "sample_ratio" and check.status == "unknown" for check in checks):
        return Finding("undecided", "whether units arrived in the planned proportions is not known")
    if said := _first(guarded, "worse"):
        return said
    if any(
        each.role == "primary" and each.findings[variant].verdict == "worse" for each in metrics
    ):
        return _all_decided(deciding, guarded=False)
    undecided = {name: each for name, each in everything.items() if each.verdict == "undecided"}
    if undecided:
        numbers = [each.units_needed for each in undecided.values()]
        known = [number for number in numbers if number is not None]
        names: dict[str, list[str]] = {}
        for name, each in undecided.items():
            names.setdefault(each.reason, []).append(name)
        reason = "; ".join(f"{', '.join(each)}: {said}" for said, each in names.items())
        return Finding("undecided", reason, max(known) if len(known) == len(numbers) else None)
    return _all_decided(deciding, guarded=bool(guarded))


def _first(findings: Mapping[str, Finding], verdict: Verdict) -> Finding | None:
    found = {name: each for name, each in findings.items() if each.verdict == verdict}
    if not found:
        return None
    name, first = next(iter(found.items()))
    # What is said of all alike, such as of the sample ratio, is said of none of them.
    is_of_all = verdict == "invalid" and set(findings.values()) == {first}
    return Finding(verdict, first.reason if is_of_all else f"{name}: {first.reason}")


def _decides(metric: MetricComparison) -> bool:
    return metric.role != "secondary"


def _all_decided(deciding: Mapping[str, Finding], *, guarded: bool) -> Finding:
    better = [name for name, each in deciding.items() if each.verdict == "better"]
    worse = [name for name, each in deciding.items() if each.verdict == "worse"]
    if better and worse:
        said = f"better on {', '.join(better)}, worse on {', '.join(worse)}"
        return Finding("undecided", f"{said}, and no primary metric says which counts")
    if better or worse:
        within = " and no guardrail is worse" if guarded and better else ""
        return Finding("better" if better else "worse", f"on {', '.join(better or worse)}{within}")
    if guarded:
        return Finding("not_worse", "every guardrail is not worse by its margin")
    return Finding("undecided", "no metric that was asked for has a better direction")


def _more_units(contrast: Contrast, alpha: float) -> int | None:
    needed = units_needed(
        abs(contrast.difference),
        contrast.standard_error,
        contrast.n_units,
        contrast.plan_units,
        alpha,
    )
    return _beyond(needed, contrast.n_units)


def _beyond(needed: int | None, n_units: int) -> int | None:
    return None if needed is None else max(needed - n_units, 1)
