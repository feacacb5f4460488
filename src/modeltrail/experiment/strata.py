"""
Two arms compared within phases, and the differences put together.

With d_s the difference within phase s, v_s its variance and n_s the units of both arms in
it, the answer is sum W_s d_s with variance sum W_s^2 v_s and W_s = n_s / sum n_s: units are in
one phase each, so that phases are independent. (Miratrix, Sekhon and Yu, J. R. Stat.
Soc. B 75 (2013) 369, for strata known before the assignment.)

Why by units and not by inverse variance: estimated variances go up and down with the
estimates they belong to, for costs and rare errors above all, so that such weights are biased;
and what they estimate changes with the spread where phases have different effects. With
shares of units the estimate is a mean of one number per unit, whatever its phase: that
is what the confidence sequence asks for, and it then holds for the running mean of
the effects on the units so far (Waudby-Smith et al., Annals of Statistics 52 (2024) 2613,
section 3 on effects that vary in time).

A phase counts once it has `LEAST_UNITS` of both arms: the spread of fewer is not known.
Which do depends on no outcome.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from modeltrail.experiment.contrasts import Side, side, with_spread
from modeltrail.experiment.metrics import Metric
from modeltrail.experiment.phases import Phases
from modeltrail.stats.estimate import NotEstimable, RatioEstimate, UnitSums
from modeltrail.stats.sequential import LEAST_UNITS


class Sides(NamedTuple):
    """
    Control and one variant.
    """

    control: Side
    treatment: Side


class _Estimated(NamedTuple):
    rows: Sequence[UnitSums]
    found: RatioEstimate


def sides_of(
    metric: Metric,
    names: Sequence[str],
    rows: Sequence[UnitSums],
    phases: Phases | None,
) -> dict[str, Sides]:
    """
    Estimate control and each variant.

    Args:
        names: All variants, control first.
        rows: One per variant and unit.
        phases: Within which they are compared; None if there is one only.

    Returns:
        Both sides per variant. Those of control may differ: a phase that one variant
        was not in does not count for it.
    """
    listed: dict[str, list[UnitSums]] = {name: [] for name in names}
    for row in rows:
        listed.setdefault(row.variant, []).append(row)
    if phases is None:
        arms = {name: side(name, listed[name], metric.p) for name in names}
        return {name: Sides(arms[names[0]], arms[name]) for name in names[1:]}
    cells = {name: _by_phase(metric, name, listed[name], phases) for name in names}
    return {
        name: _within(names[0], cells[names[0]], name, cells[name], listed) for name in names[1:]
    }


def _by_phase(
    metric: Metric, name: str, rows: Sequence[UnitSums], phases: Phases
) -> dict[str, _Estimated]:
    """
    Estimate an arm in each phase in which it can be.
    """
    cells: defaultdict[str, list[UnitSums]] = defaultdict(list)
    for row in rows:
        cells[phases.of_unit[row.unit]].append(row)
    estimated: dict[str, _Estimated] = {}
    for phase in phases.weights:
        found = side(name, cells[phase], metric.p).found
        if len(cells[phase]) < LEAST_UNITS or isinstance(found, NotEstimable):
            continue
        is_share = metric.unit_of_measure == "share"
        estimated[phase] = _Estimated(cells[phase], with_spread(found) if is_share else found)
    return estimated


def _within(
    control: str,
    before: Mapping[str, _Estimated],
    treatment: str,
    after: Mapping[str, _Estimated],
    listed: Mapping[str, Sequence[UnitSums]],
) -> Sides:
    kept = [phase for phase in before if phase in after]
    if not kept:
        refusal = NotEstimable(f"no phase has {LEAST_UNITS} units of each with a value")
        return Sides(
            Side(control, listed[control], refusal), Side(treatment, listed[treatment], refusal)
        )
    units = [before[phase].found.n_units + after[phase].found.n_units for phase in kept]
    weights = {phase: number / sum(units) for phase, number in zip(kept, units, strict=True)}
    return Sides(_combined(control, before, weights), _combined(treatment, after, weights))


def _combined(name: str, cells: Mapping[str, _Estimated], weights: Mapping[str, float]) -> Side:
    """
    Put an arm's phases together; `k_eff` is what leaves Satterthwaite's degrees of freedom.
    """
    found = [cells[phase].found for phase in weights]
    parts = [w * w * cells[phase].found.variance for phase, w in weights.items()]
    variance = math.fsum(parts)
    dof = (
        1
        / math.fsum(
            (v / variance) ** 2 / (arm.k_eff - 1) for v, arm in zip(parts, found, strict=True)
        )
        if variance
        else math.fsum(arm.k_eff - 1 for arm in found)
    )
    whole = RatioEstimate(
        n_units=sum(arm.n_units for arm in found),
        k_eff=dof + 1,
        count=math.fsum(arm.count for arm in found),
        estimate=math.fsum(w * cells[phase].found.estimate for phase, w in weights.items()),
        variance=variance,
    )
    rows = [row for phase in weights for row in cells[phase].rows]
    return Side(name, rows, whole, strata=len(weights))
