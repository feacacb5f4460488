"""
The conditions under which a difference between variants may be believed.

Each check is a pure function of the rows per unit. A unit is a user, a session
or a call: whatever was randomised; calls are never counted as if they were units.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from modeltrail.stats.balance import SampleRatio, sample_ratio
from modeltrail.stats.estimate import NotEstimable, UnitSums

# A unit that carries more of an arm's sum than this can turn its sign alone.
HEAVY_SHARE = 0.05
# Where more units than this changed their variant, what is left may be a selection.
CROSSED_SHARE = 0.05

Status = Literal["ok", "warn", "fail", "unknown"]
# Rows per metric name, one per variant and unit.
Rows = Mapping[str, Sequence[UnitSums]]


class Exposed(NamedTuple):
    """
    A unit in a variant, whatever is known of its calls.

    Attributes:
        calls: How many it made there.
        unpriced: How many of them ended well and have no known cost.
        feature: Of its first call; None if that has none.
    """

    variant: str
    unit: str
    calls: int = 1
    unpriced: int = 0
    feature: str | None = None


class Assigned(Protocol):
    """
    A unit and the variant that it was seen in.
    """

    @property
    def unit(self) -> str:
        """
        Its reference.
        """

    @property
    def variant(self) -> str:
        """
        The variant's name.
        """


@dataclass(frozen=True, slots=True)
class Check:
    """
    One condition under which differences may be believed.

    Attributes:
        name: Key of the check, such as `sample_ratio`.
        status: `fail` makes every verdict `invalid`; `unknown` could not be judged.
        detail: What was seen, in words.
        concerns: Names of the metrics that it is about; all if empty.
    """

    name: str
    status: Status
    detail: str
    concerns: tuple[str, ...] = ()


def crossed_units(exposed: Iterable[Assigned]) -> frozenset[str]:
    """
    Find the units that were seen in more than one variant.

    Args:
        exposed: All units.

    Returns:
        References of these units.
    """
    pairs = {(each.unit, each.variant) for each in exposed}
    variants = Counter(unit for unit, _ in pairs)
    return frozenset(unit for unit, number in variants.items() if number > 1)


def check_sample_ratio(counts: Mapping[str, int], weights: Mapping[str, float] | None) -> Check:
    """
    Check the numbers of units against the planned weights.

    Args:
        counts: Units per variant.
        weights: Planned share per variant, None if unknown.

    Returns:
        `fail` on a sample-ratio mismatch: units were lost or misrouted, and
        no difference can be believed.
    """
    if weights is None:
        return Check("sample_ratio", "unknown", "the planned weights are not known")
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


def check_crossover(crossed: frozenset[str], total: int) -> Check:
    """
    Check that every unit was seen in one variant only.

    Args:
        crossed: Units seen in more than one.
        total: How many units there are, those included.

    Returns:
        `warn` with the number of units that were left out; `fail` if they are
        more than `CROSSED_SHARE`: who changes variants is hardly chance.
    """
    if not crossed:
        return Check("crossover", "ok" if total else "unknown", f"0 of {total:,} units")
    detail = f"{len(crossed):,} of {total:,} units in more than one variant: left out"
    return Check("crossover", "fail" if len(crossed) > CROSSED_SHARE * total else "warn", detail)


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
    share, metric, arm = max(shares, default=(0.0, "", ""))
    if share == 0:
        return Check("heaviest_unit", "unknown", "no unit has a value")
    detail = f"{share:.1%} of {metric} in {arm}"
    return Check("heaviest_unit", "warn" if share > HEAVY_SHARE else "ok", detail)


def _heaviest_share(rows: Sequence[UnitSums]) -> float:
    # The larger share of the sum or of the count: either can rule the ratio.
    sides = ([abs(row.total) for row in rows], [abs(row.count) for row in rows])
    return max(max(side) / sum(side) if sum(side) > 0 else 0.0 for side in sides)
