"""
How an experiment is to be judged: what was planned before there was data.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from modeltrail.errors import ConfigurationError

# As GrowthBook's tuning parameter: any fixed number is valid, a near one is narrow.
DEFAULT_PLAN_UNITS = 5_000


class Margin(NamedTuple):
    """
    A metric that a variant must not make worse, and by how much it may.

    Attributes:
        margin: Absolute, in the metric's unit of measure, more than 0.
    """

    metric: str
    margin: float


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What was said before the data.

    Attributes:
        control: The variant that others are compared with.
        weights: Planned share of units per variant; None if unknown, then
            the sample ratio is not judged.
        primary: Name of the metric that decides; None if none does alone.
        guardrails: Metrics that a variant must not make worse.
        plan_units: Planned number of units, all arms together; None if none was.
        alpha: One less the confidence level.
        unit_type: What is randomised: `user`, `session` or `call`; None if unknown.
    """

    control: str
    weights: Mapping[str, float] | None = None
    primary: str | None = None
    guardrails: tuple[Margin, ...] = ()
    plan_units: int | None = None
    alpha: float = 0.05
    unit_type: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise ConfigurationError(f"alpha must lie between 0 and 0.5, not {self.alpha!r}")
        if self.plan_units is not None and self.plan_units < 1:
            raise ConfigurationError("the planned number of units must be at least 1")
        if self.weights is not None and not self.weights.get(self.control, 0) > 0:
            raise ConfigurationError(f"control {self.control!r} has no planned weight")
        for name, margin in self.guardrails:
            if not (math.isfinite(margin) and margin > 0):
                raise ConfigurationError(f"the margin of {name!r} must be a number above 0")

    @property
    def deciding(self) -> frozenset[str]:
        """
        The names of the metrics that decide, or must not be worse.
        """
        named = {each.metric for each in self.guardrails}
        return frozenset(named if self.primary is None else {*named, self.primary})

    def pair_units(self, variant: str, arms: int) -> int:
        """
        Return how many units are planned in control and one variant together.

        It must not depend on the data, or the interval would not be always valid.

        Args:
            variant: The other arm.
            arms: How many arms there are, for a plan without weights.
        """
        if self.plan_units is None:
            return DEFAULT_PLAN_UNITS
        share = 2 / max(arms, 2)
        if self.weights is not None and self.weights.get(variant, 0) > 0:
            total = math.fsum(self.weights.values())
            share = (self.weights[self.control] + self.weights[variant]) / total
        return max(round(self.plan_units * share), 1)
