"""
How large an experiment must be, by what its own log tells of its units.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from modeltrail.experiment.own_log import Arms
from modeltrail.stats.estimate import NotEstimable, UnitSums, ratio
from modeltrail.stats.power import (
    Plan,
    Rule,
    Spread,
    Units,
    arm_spread,
    effect_found,
    units_needed,
)
from modeltrail.stats.traffic import Traffic

RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True, slots=True)
class Size:
    """
    What one variant takes to be told from control, by one rule.

    Attributes:
        rule: Which interval decides.
        variant: None where no log was read.
        effect: What is to be found; None if nothing was asked for.
        needed: Units of control and of the variant that find it.
        seen: Units of both in the log; None without a log.
        more: Units of all arms together that have yet to come.
        days: How many days that takes.
        found_now: The effect that the units in the log find, or the units asked for.
    """

    rule: Rule
    variant: str | None
    effect: float | None
    needed: Units | NotEstimable | None
    seen: Units | None
    more: int | None
    days: float | NotEstimable | None
    found_now: float | NotEstimable | None


@dataclass(frozen=True, slots=True)
class Question:
    """
    What is asked of the size of an experiment.

    Attributes:
        effect: The difference to find, in the metric's unit of measure.
        units: Of how many units of both arms together the effect is asked.
        alpha: One less the confidence level.
        power: The probability with which the effect shall be found.
    """

    effect: float | None = None
    units: int | None = None
    alpha: float = 0.05
    power: float = 0.8


def sizes_of(plan: Plan, asked: Question) -> list[Size]:
    """
    Tell the size of an experiment whose spread is known, by each rule.
    """
    return [
        Size(
            rule=rule,
            variant=None,
            effect=asked.effect,
            needed=None if asked.effect is None else units_needed(by_rule, asked.effect),
            seen=None,
            more=None,
            days=None,
            found_now=None if asked.units is None else effect_found(by_rule, asked.units),
        )
        for rule in RULES
        for by_rule in [replace(plan, rule=rule)]
    ]


def sizes_from_log(
    arms: Arms,
    control: str,
    rows: Sequence[UnitSums],
    traffic: Traffic | NotEstimable,
    asked: Question,
) -> list[Size] | NotEstimable:
    """
    Tell the size that an experiment needs, by each variant and rule.

    Args:
        rows: Sums of the metric, each unit once.
        traffic: How fast units of all arms come.

    Returns:
        The sizes; or why there are none: an arm without a spread.
    """
    spreads = {}
    for name in arms.shares:
        spread = _spread([row for row in rows if row.variant == name], arms.counts[name])
        if isinstance(spread, NotEstimable):
            return NotEstimable(f"{name}: {spread.reason}")
        spreads[name] = spread
    found = []
    for variant in (name for name in arms.shares if name != control):
        treated = arms.treated(control, variant)
        plan = Plan(spreads[control], spreads[variant], treated, asked.alpha, asked.power)
        seen = Units(arms.counts[control], arms.counts[variant])
        units = sum(seen) if asked.units is None else asked.units
        for size in sizes_of(plan, replace(asked, units=units)):
            more = _still_to_come(arms, control, variant, size.needed)
            days = None if more is None else _days(traffic, more)
            found.append(replace(size, variant=variant, seen=seen, more=more, days=days))
    return found


def _spread(rows: Sequence[UnitSums], enrolled: int) -> Spread | NotEstimable:
    arm = ratio(rows)
    if isinstance(arm, NotEstimable):
        return arm
    # Units without a value tell nothing, and yet have to come.
    return arm_spread(replace(arm, n_units=enrolled))


def _still_to_come(
    arms: Arms, control: str, variant: str, needed: Units | NotEstimable | None
) -> int | None:
    """
    Tell how many units of all arms have yet to come: each is given to any of them.
    """
    if not isinstance(needed, Units):
        return None
    sides = ((needed.control, control), (needed.treatment, variant))
    total = max(math.ceil(units / arms.shares[name]) for units, name in sides)
    return max(total - sum(arms.counts.values()), 0)


def _days(traffic: Traffic | NotEstimable, more: int) -> float | NotEstimable:
    if more and isinstance(traffic, NotEstimable):
        return traffic
    return more / traffic.per_day if isinstance(traffic, Traffic) else 0.0
