"""
The conditions under which a difference between variants may be believed.

Each check is a pure function of the rows per unit. A unit is a user, a session
or a call: whatever was randomised; calls are never counted as if they were units.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from modeltrail.stats.balance import SampleRatio, sample_ratio
from modeltrail.stats.estimate import NotEstimable, UnitSums

# A unit that carries more of an arm's sum than this can turn its sign alone.
HEAVY_SHARE = 0.05

Status = Literal["ok", "warn", "fail", "unknown"]
# Rows per metric name, one per variant and unit.
Rows = Mapping[str, Sequence[UnitSums]]


@dataclass(frozen=True, slots=True)
class Check:
    """
    One condition under which differences may be believed.

    Attributes:
        name: Key of the check, such as `sample_ratio`.
        status: `fail` makes every verdict `invalid`; `unknown` could not be judged.
        detail: What was seen, in words.
    """

    name: str
    status: Status
    detail: str


def every_row(rows: Rows) -> Iterable[UnitSums]:
    """
    Go through the rows of all metrics.

    Args:
        rows: Rows per metric name.

    Returns:
        Every row once.
    """
    return (row for listed in rows.values() for row in listed)


def crossed_units(rows: Rows) -> frozenset[str]:
    """
    Find the units that were seen in more than one variant.

    Args:
        rows: Rows per metric name.

    Returns:
        References of these units.
    """
    pairs = {(row.unit, row.variant) for row in every_row(rows)}
    variants = Counter(unit for unit, _ in pairs)
    return frozenset(unit for unit, number in variants.items() if number > 1)


def units_per_arm(names: Sequence[str], rows: Rows) -> dict[str, set[str]]:
    """
    List the units of each variant that have a value of any metric.

    Args:
        names: All variants that may occur.
        rows: Rows per metric name.

    Returns:
        Unit references per variant, empty where none was seen.
    """
    units: dict[str, set[str]] = {name: set() for name in names}
    for row in every_row(rows):
        units[row.variant].add(row.unit)
    return units


def check_sample_ratio(units: Mapping[str, set[str]], weights: Mapping[str, float] | None) -> Check:
    """
    Check the numbers of units against the planned weights.

    Args:
        units: Units per variant.
        weights: Planned share per variant, None if unknown.

    Returns:
        `fail` on a sample-ratio mismatch: units were lost or misrouted, and
        no difference can be believed.
    """
    if weights is None:
        return Check("sample_ratio", "unknown", "the planned weights are not known")
    counts = {name: len(members) for name, members in units.items()}
    found = sample_ratio(counts, weights)
    if isinstance(found, NotEstimable):
        return Check("sample_ratio", "unknown", found.reason)
    return Check("sample_ratio", "fail" if found.alarm else "ok", _ratio_detail(counts, found))


def _ratio_detail(counts: Mapping[str, int], found: SampleRatio) -> str:
    arms = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    detail = f"units: {arms}; p={found.p:.2g}, ln e={found.log_e_value:.2f}"
    if found.unplanned:
        detail += f"; units in unplanned arms: {', '.join(found.unplanned)}"
    return detail


def check_crossover(crossed: frozenset[str], rows: Rows) -> Check:
    """
    Check that every unit was seen in one variant only.

    Args:
        crossed: Units seen in more than one.
        rows: Rows per metric name, with those units.

    Returns:
        `warn` with the number of units that were left out.
    """
    total = len({row.unit for row in every_row(rows)})
    if not crossed:
        return Check("crossover", "ok" if total else "unknown", f"0 of {total:,} units")
    detail = f"{len(crossed):,} of {total:,} units in more than one variant: left out"
    return Check("crossover", "warn", detail)


def check_heaviest_unit(names: Sequence[str], rows: Rows) -> Check:
    """
    Check that no single unit rules an arm.

    Args:
        names: All variants.
        rows: Rows per metric name.

    Returns:
        `warn` if a unit has more than `HEAVY_SHARE` of an arm's sum or count.
    """
    shares = [
        (_heaviest_share([row for row in listed if row.variant == arm]), metric, arm)
        for metric, listed in rows.items()
        for arm in names
    ]
    share, metric, arm = max(shares)
    if share == 0:
        return Check("heaviest_unit", "unknown", "no unit has a value")
    detail = f"{share:.1%} of {metric} in {arm}"
    return Check("heaviest_unit", "warn" if share > HEAVY_SHARE else "ok", detail)


def _heaviest_share(rows: Sequence[UnitSums]) -> float:
    # The larger share of the sum or of the count: either can rule the ratio.
    sides = ([abs(row.total) for row in rows], [abs(row.count) for row in rows])
    return max(max(side) / sum(side) if sum(side) > 0 else 0.0 for side in sides)


def check_missing(names: Sequence[str], rows: Rows) -> Check:
    """
    Check that units with a value of one metric have one of the others.

    Args:
        names: All variants.
        rows: Rows per metric name.

    Returns:
        `warn` with the numbers per arm: if they differ, what is missing may
        depend on the variant, and then the rest no longer compares like with like.
    """
    if len(rows) < 2:
        return Check("missing", "unknown", "one metric: nothing says which units lack it")
    everyone = units_per_arm(names, rows)
    lacking = []
    for metric, listed in rows.items():
        present = units_per_arm(names, {metric: listed})
        numbers = {arm: len(everyone[arm] - present[arm]) for arm in names}
        if any(numbers.values()):
            arms = ", ".join(
                f"{arm} {number:,} of {len(everyone[arm]):,}" for arm, number in numbers.items()
            )
            lacking.append(f"{metric}: {arms}")
    if not lacking:
        return Check("missing", "ok", "every unit has every metric")
    return Check("missing", "warn", "units without a value: " + "; ".join(lacking))
