"""
What the log of an experiment tells those who plan one, or doubt it.

Units are those of the assigned variant, calls in shadow left out. A unit that was
seen in two variants belongs to none; it is counted, and in no other figure.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.checks import crossed_units
from modeltrail.experiment.declaration import declarations
from modeltrail.experiment.metrics import Metric
from modeltrail.experiment.plan import Plan
from modeltrail.experiment.planned import (
    DEFAULT_CONTROL,
    chosen_control,
    no_such_experiment,
    planned_weights,
)
from modeltrail.experiment.unit_rows import read_metric
from modeltrail.stats.estimate import UnitSums
from modeltrail.storage import Store


@dataclass(frozen=True, slots=True)
class Arms:
    """
    Who was seen in which variant, and what was planned.

    Attributes:
        counts: Units per variant, those planned and the others; control first if known.
        weights: Planned share per variant; None if unknown.
        control: The variant that others are compared with; None if it was not said.
        crossed: Units seen in more than one variant, in no count.
        plan_units: Planned number of units, all arms together; None if none was declared.
    """

    counts: Mapping[str, int]
    weights: Mapping[str, float] | None
    control: str | None
    crossed: frozenset[str]
    plan_units: int | None = None

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

    def pair_units(self, control: str, variant: str) -> int:
        """
        Return how many units are planned in control and one variant together.
        """
        plan = Plan(control, self.weights, plan_units=self.plan_units)
        return plan.pair_units(variant, len(self.shares))


def read_arms(store: Store, key: str) -> Arms:
    """
    Read who was seen in which variant of an experiment.

    The plan is the one declared last, or what the logged propensities tell.

    Raises:
        RecordNotFoundError: The trail has no such experiment.
    """
    units = store.trial(key, []).units
    declared = declarations(store, key)
    if not (units or declared):
        raise no_such_experiment(store, key)
    crossed = crossed_units(units)
    seen = Counter(each.variant for each in units if each.unit not in crossed)
    weights = planned_weights(declared, units)
    control = declared[-1].declaration.control if declared else None
    if control is None and DEFAULT_CONTROL in seen:
        control = DEFAULT_CONTROL
    variants = sorted({each.variant for each in units})
    names = dict.fromkeys([*([control] if control else []), *(weights or ()), *variants])
    plan_units = declared[-1].declaration.plan_units if declared else None
    return Arms({name: seen[name] for name in names}, weights, control, crossed, plan_units)


def control_of(arms: Arms, named: str | None) -> str:
    """
    Return which variant the others are compared with.

    Raises:
        ConfigurationError: It is not clear, or there is no such variant.
    """
    chosen = chosen_control(arms.counts, named or arms.control)
    if chosen not in arms.shares:
        raise ConfigurationError(f"the control {chosen!r} has no planned share of the units")
    return chosen


def read_units(
    store: Store, key: str, word: str, crossed: frozenset[str]
) -> tuple[Metric, list[UnitSums]]:
    """
    Read the sums of a metric per unit.

    Args:
        word: Means the metric, see `metric_named`.
        crossed: Units to leave out.

    Raises:
        ConfigurationError: There is no such metric.
    """
    metric, rows = read_metric(store, key, word)
    return metric, [row for row in rows if row.count and row.unit not in crossed]
