"""
What the log of an experiment tells those who plan one, or doubt it.

Units are those of the assigned variant, calls in shadow left out. A unit that was
seen in two variants belongs to none; it is counted, and in no other figure.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from modeltrail.errors import ConfigurationError, RecordNotFoundError
from modeltrail.experiment.declaration import Declaration, declarations
from modeltrail.stats.estimate import UnitSums
from modeltrail.storage import Store

UnitOfMeasure = Literal["usd", "s", "share", "score", "tokens"]
OUTCOME = "outcome:"
_DEFAULT_CONTROL = "control"


class Reading(NamedTuple):
    """
    What `Queries.call_sums` knows a metric as, and how people read it.
    """

    name: str
    scale: float
    unit_of_measure: UnitOfMeasure


READINGS: Mapping[str, Reading] = {
    "cost": Reading("cost", 1e-9, "usd"),
    "errors": Reading("error", 1, "share"),
    "latency": Reading("latency", 1e-6, "s"),
    "input_tokens": Reading("input_tokens", 1, "tokens"),
    "output_tokens": Reading("output_tokens", 1, "tokens"),
}


@dataclass(frozen=True, slots=True)
class Arms:
    """
    Who was seen in which variant, and what was planned.

    Attributes:
        counts: Units per variant, those planned and the others; control first if known.
        weights: Planned share per variant; None if unknown.
        control: The variant that others are compared with; None if it was not said.
        crossed: Units seen in more than one variant, in no count.
    """

    counts: Mapping[str, int]
    weights: Mapping[str, float] | None
    control: str | None
    crossed: frozenset[str]

    @property
    def shares(self) -> dict[str, float]:
        """
        The share of each variant that has one: as planned, or as they came if no plan is known.
        """
        known = self.weights or self.counts
        total = sum(known.values())
        return {name: each / total for name, each in known.items() if each > 0}

    def treated(self, control: str, variant: str) -> float:
        """
        Return the share of a variant among its own units and those of control.
        """
        return self.shares[variant] / (self.shares[control] + self.shares[variant])


def read_arms(store: Store, key: str) -> Arms:
    """
    Read who was seen in which variant of an experiment.

    The plan is the one declared last, or what the logged propensities tell.

    Raises:
        RecordNotFoundError: The trail has no such experiment.
    """
    rows = store.call_sums(key, "error")
    if not rows:
        known = ", ".join(store.experiments()) or "none"
        raise RecordNotFoundError(f"no call belongs to an experiment {key!r}; known: {known}")
    times = Counter(row.unit for row in rows)
    crossed = frozenset(unit for unit, number in times.items() if number > 1)
    seen = Counter(row.variant for row in rows if row.unit not in crossed)
    declared = declarations(store, key)
    plan = declared[-1].declaration if declared else None
    weights = plan.arms if plan else _logged_weights(store, key)
    control = _control(plan, seen)
    names = [*([control] if control else []), *(weights or ()), *sorted({r.variant for r in rows})]
    counts = {name: seen[name] for name in dict.fromkeys(names)}
    return Arms(counts, weights, control, crossed)


def _control(plan: Declaration | None, seen: Mapping[str, int]) -> str | None:
    if plan and plan.control:
        return plan.control
    return _DEFAULT_CONTROL if _DEFAULT_CONTROL in seen else None


def _logged_weights(store: Store, key: str) -> dict[str, float] | None:
    """
    Return the shares that the logged propensities tell; None if they tell several, or none.
    """
    logged = store.propensities(key)
    if any(each.unknown or each.least != each.most or not each.least for each in logged):
        return None
    total = sum(each.least or 0 for each in logged)
    return {each.variant: (each.least or 0) / total for each in logged}


def chosen_control(arms: Arms, named: str | None) -> str:
    """
    Return which variant the others are compared with.

    Raises:
        ConfigurationError: It is not clear, or there is no such variant.
    """
    chosen = named or arms.control
    listed = ", ".join(arms.counts)
    if chosen is None:
        raise ConfigurationError(f"which variant is the control? name it with --control: {listed}")
    if chosen not in arms.counts:
        raise ConfigurationError(f"no variant is named {chosen!r}; choose from {listed}")
    if chosen not in arms.shares:
        raise ConfigurationError(f"the control {chosen!r} has no planned share of the units")
    return chosen


def read_units(
    store: Store, key: str, metric: str, crossed: frozenset[str]
) -> tuple[list[UnitSums], UnitOfMeasure]:
    """
    Read the sums of a metric per unit.

    Args:
        metric: One of `READINGS`, or `outcome:NAME`.
        crossed: Units to leave out.

    Returns:
        Sums, and the unit of measure of their ratio.

    Raises:
        ConfigurationError: There is no such metric.
    """
    if metric in READINGS:
        name, scale, unit_of_measure = READINGS[metric]
        rows: Sequence[UnitSums] = store.call_sums(key, name)
    else:
        scale, unit_of_measure = 1, "score"
        rows = store.outcome_sums(key, _outcome(store, key, metric))
    kept = [
        replace(row, total=row.total * scale)
        for row in rows
        if row.count and row.unit not in crossed
    ]
    return kept, unit_of_measure


def _outcome(store: Store, key: str, metric: str) -> str:
    names = store.outcome_names(key)
    name = metric.removeprefix(OUTCOME)
    if name in names:
        return name
    known = [*READINGS, *(f"{OUTCOME}{each}" for each in names)]
    raise ConfigurationError(f"no metric is named {metric!r}; choose from {', '.join(known)}")
