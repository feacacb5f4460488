"""
Checks of what is not there, and of whether the arms are alike in what they were before.

What is missing in one arm more than in another may depend on the variant; then what
is left no longer compares like with like.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from modeltrail.experiment.checks import Check, Exposed, Rows
from modeltrail.experiment.metrics import OUTCOME, Metric
from modeltrail.stats.balance import ALARM_P, independence
from modeltrail.stats.estimate import NotEstimable, RatioEstimate, UnitSums, difference, ratio

_NO_FEATURE = "none"


def check_balance(exposed: Sequence[Exposed]) -> Check:
    """
    Check that the arms have the same mix of features, counting units by their first call.

    Returns:
        `fail` if the mix differs beyond chance: the assignment is not random, or one arm
        lost units of some features.
    """
    table: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for each in exposed:
        table[each.variant][each.feature or _NO_FEATURE] += 1
    found = independence(table)
    if isinstance(found, NotEstimable):
        return Check("balance", "unknown", f"by feature: {found.reason}")
    detail = f"by feature, counting units: p={found.p:.2g}, chi2={found.chi2:.1f} on {found.dof}"
    if found.sparse:
        detail += "; few units per feature: p is approximate and raises no alarm"
    return Check("balance", "fail" if found.alarm else "ok", detail)


def check_missing(names: Sequence[str], exposed: Sequence[Exposed], rows: Rows) -> Check:
    """
    Check that units have a value of every metric.

    Args:
        names: All variants.
        exposed: All units.
        rows: Rows per metric name, without units that have no value.

    Returns:
        `warn` with the numbers per arm; `fail`, for the outcomes concerned, if
        they differ between arms beyond chance. A metric of calls may well be missing
        in one arm more often: calls that failed have no cost.
    """
    if not exposed:
        return Check("missing", "unknown", "no units yet")
    everyone = Counter(each.variant for each in exposed)
    lacking, differing = [], []
    for metric, listed in rows.items():
        present = Counter(row.variant for row in listed)
        gone = {name: everyone[name] - present[name] for name in names}
        if not any(gone.values()):
            continue
        arms = ", ".join(f"{name} {gone[name]:,} of {everyone[name]:,}" for name in names)
        lacking.append(f"{metric}: {arms}")
        if metric.startswith(OUTCOME) and _depends(names, present, gone):
            differing.append(metric)
    return _missing(lacking, differing)


def check_unpriced(
    control: str, names: Sequence[str], exposed: Sequence[Exposed], metrics: Sequence[Metric]
) -> Check:
    """
    Check that calls which ended well have a known cost.

    Returns:
        `warn` with their numbers per arm; `fail`, for costs, if their share differs
        between control and another arm with p < .001, by units.
    """
    calls, unpriced = Counter[str](), Counter[str]()
    for each in exposed:
        calls[each.variant] += each.calls
        unpriced[each.variant] += each.unpriced
    if not any(unpriced.values()):
        return Check("unpriced", "ok" if exposed else "unknown", "0 calls without a known cost")
    shares = {
        name: ratio(
            [
                UnitSums(name, each.unit, each.unpriced, each.calls)
                for each in exposed
                if each.variant == name
            ]
        )
        for name in names
    }
    arms = ", ".join(f"{name} {unpriced[name]:,} of {calls[name]:,}" for name in names)
    differs = any(_differ(shares[control], shares[name]) for name in names if name != control)
    costs = tuple(each.name for each in metrics if each.unit_of_measure == "usd")
    said = "; their share differs between arms" if differs else ""
    return Check(
        "unpriced",
        "fail" if differs and costs else "warn",
        f"calls without a known cost: {arms}{said}",
        costs,
    )


def _depends(names: Sequence[str], present: Mapping[str, int], gone: Mapping[str, int]) -> bool:
    table = {name: {"present": present[name], "gone": gone[name]} for name in names}
    found = independence(table)
    return not isinstance(found, NotEstimable) and found.alarm


def _missing(lacking: Sequence[str], differing: Sequence[str]) -> Check:
    if not lacking:
        return Check("missing", "ok", "every unit has every metric")
    detail = f"units without a value: {'; '.join(lacking)}"
    if differing:
        said = f"{detail}; the share depends on the variant"
        return Check("missing", "fail", said, tuple(differing))
    return Check("missing", "warn", detail)


def _differ(a: RatioEstimate | NotEstimable, b: RatioEstimate | NotEstimable) -> bool:
    if isinstance(a, NotEstimable) or isinstance(b, NotEstimable):
        return False
    found = difference(a, b)
    if isinstance(found, NotEstimable):
        # No spread in either: all of one arm lack it and none of the other, or nothing differs.
        return a.estimate != b.estimate
    return found.p < ALARM_P
