"""
An experiment whose plan was changed on the way: its phases, which are compared one by one.

Other weights or another coverage begin a new phase. Whoever throws the calls of all phases
together compares a variant that was seen mostly on Mondays with one of Fridays (Crook,
Frasca, Kohavi and Longbotham, "Seven Pitfalls to Avoid when Running Controlled Experiments
on the Web", KDD 2009, section 4: Simpson's paradox when weights change). So differences are
taken within each phase, see `modeltrail.experiment.strata`.

A unit belongs to the phase in which it was seen first, and only its calls in that phase
count: all calls of a phase are from the same time, and a unit that other weights have moved to
another variant stays where it began. Who comes back in a later phase may depend on the
variant; who comes for the first time cannot.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from modeltrail.experiment.checks import Check, Exposed
from modeltrail.experiment.declaration import Declared
from modeltrail.stats.sequential import LEAST_UNITS
from modeltrail.storage import Store
from modeltrail.storage.trials import InPhase, Trial

# The worst of several counts.
_ORDER = ("ok", "warn", "unknown", "fail")


class OfUnit(Protocol):
    """
    What is known of one unit.
    """

    @property
    def unit(self) -> str:
        """
        Its reference.
        """


_Row = TypeVar("_Row", bound=OfUnit)


@dataclass(frozen=True, slots=True)
class Phases:
    """
    The phases of an experiment that have units.

    Attributes:
        weights: Planned share of units per variant in each, in the order of their
            declaration; None for calls of no declared phase.
        of_unit: In which phase each unit was seen first.
        returned: How many units were seen in a later phase as well.
    """

    weights: Mapping[str, Mapping[str, float] | None]
    of_unit: Mapping[str, str]
    returned: int


def phase_weights(
    store: Store, key: str, declared: Sequence[Declared]
) -> dict[InPhase, Mapping[str, float] | None]:
    """
    Return the planned weights of each phase that has calls.

    Nothing if there is one phase only, or if calls do not tell theirs.
    """
    planned = {each.declaration.phase: each.declaration.arms for each in declared}
    if len(planned) < 2:
        return {}
    seen = store.trial_phases(key)
    if planned.keys().isdisjoint(seen):
        return {}
    others = [name for name in seen if name not in planned]
    return {
        InPhase(name): planned.get(name or "")
        for name in [*(name for name in planned if name in seen), *others]
    }


def first_phases(
    trials: Mapping[InPhase, Trial], weights: Mapping[InPhase, Mapping[str, float] | None]
) -> Phases:
    """
    Find out in which phase each unit was seen first.
    """
    first: dict[str, tuple[int, InPhase]] = {}
    returned: set[str] = set()
    for phase, trial in trials.items():
        for each in trial.units:
            known = first.get(each.unit)
            if known is not None and known[1] != phase:
                returned.add(each.unit)
            if known is None or each.first_at_us < known[0]:
                first[each.unit] = each.first_at_us, phase
    return Phases(
        weights={label(phase): shares for phase, shares in weights.items()},
        of_unit={unit: label(phase) for unit, (_, phase) in first.items()},
        returned=len(returned),
    )


def label(phase: InPhase) -> str:
    """
    Return how a phase is called in reports.
    """
    return phase.name or "undeclared"


def in_first_phase(found: Mapping[InPhase, Sequence[_Row]], phases: Phases) -> list[_Row]:
    """
    Return what units did in the first phase of each.
    """
    return [
        row
        for phase, rows in found.items()
        for row in rows
        if phases.of_unit.get(row.unit) == label(phase)
    ]


def per_phase(
    phases: Phases | None,
    rows: Sequence[Exposed],
    check: Callable[[str | None, Sequence[Exposed]], Check],
) -> Check:
    """
    Check each phase by itself; the worst counts.

    Args:
        check: Is given a phase and its units; without phases None and all.
    """
    if phases is None:
        return check(None, rows)
    found = {
        phase: check(phase, [row for row in rows if phases.of_unit[row.unit] == phase])
        for phase in phases.weights
    }
    status = max((each.status for each in found.values()), key=_ORDER.index)
    worst = [each for each in found.values() if each.status == status]
    all_concerned = any(not each.concerns for each in worst)
    return Check(
        worst[0].name,
        status,
        "; ".join(f"phase {phase}: {each.detail}" for phase, each in found.items()),
        () if all_concerned else tuple(dict.fromkeys(c for each in worst for c in each.concerns)),
    )


def check_phases(phases: Phases, exposed: Sequence[Exposed]) -> Check:
    """
    Tell how the phases are weighted, and what is not in the figures.
    """
    units = dict.fromkeys(phases.weights, 0)
    small = set()
    for phase in units:
        arms: dict[str, int] = dict.fromkeys(phases.weights[phase] or (), 0)
        for each in exposed:
            if phases.of_unit[each.unit] == phase:
                arms[each.variant] = arms.get(each.variant, 0) + 1
        units[phase] = sum(arms.values())
        if min(arms.values(), default=0) < LEAST_UNITS:
            small.add(phase)
    listed = ", ".join(f"{phase} {number:,}" for phase, number in units.items())
    said = [f"compared within each, weighted by units: {listed}"]
    if phases.returned:
        said.append(
            f"{phases.returned:,} units came back in a later phase: their calls there are in no "
            "figure"
        )
    said += [
        f"{phase} has not {LEAST_UNITS} units of each variant: not in the difference from those"
        for phase in units
        if phase in small
    ]
    return Check("phases", "warn" if small else "ok", "; ".join(said))
