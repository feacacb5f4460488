"""
What was planned of an experiment, by its declarations or by what its calls were logged with.
"""

from collections.abc import Iterable, Mapping, Sequence

from modeltrail.errors import ConfigurationError, RecordNotFoundError
from modeltrail.experiment.declaration import Declared
from modeltrail.storage import Store
from modeltrail.storage.trials import TrialUnit

DEFAULT_CONTROL = "control"


def no_such_experiment(store: Store, key: str) -> RecordNotFoundError:
    """
    Say that no call belongs to an experiment, and to which ones calls do.
    """
    known = ", ".join(store.experiments()) or "none"
    return RecordNotFoundError(f"no call belongs to an experiment {key!r}; known: {known}")


def planned_weights(
    declared: Sequence[Declared], units: Iterable[TrialUnit]
) -> Mapping[str, float] | None:
    """
    Return the planned share of each variant; None if it is not known, or was changed on the way.
    """
    if not declared:
        return weights_from(units)
    # Weights that were changed on the way are those of no unit in particular.
    weights = [dict(each.declaration.arms) for each in declared]
    return weights[-1] if all(each == weights[0] for each in weights) else None


def weights_from(units: Iterable[TrialUnit]) -> dict[str, float] | None:
    """
    Return the planned share of each variant, by the propensities that were logged.

    None if they do not tell: one is missing, or the plan was changed on the
    way, so that a variant has more than one.
    """
    logged: dict[str, set[int | None]] = {}
    for each in units:
        logged.setdefault(each.variant, set()).add(each.propensity_ppm)
    if not logged or any(len(found) > 1 or not all(found) for found in logged.values()):
        return None
    planned = {variant: sum(filter(None, found)) for variant, found in sorted(logged.items())}
    everything = sum(planned.values())
    return {variant: share / everything for variant, share in planned.items()}


def chosen_control(arms: Iterable[str], named: str | None) -> str:
    """
    Return the variant that others are compared with.

    Args:
        arms: All variants.
        named: The one that was asked for or declared; by default the one named `control`.

    Raises:
        ConfigurationError: There is no such variant.
    """
    known = list(arms)
    chosen = DEFAULT_CONTROL if named is None else named
    if chosen in known:
        return chosen
    listed = ", ".join(known) or "none"
    if named is None:
        raise ConfigurationError(f"which variant is the control? name it with --control: {listed}")
    raise ConfigurationError(f"no variant is named {named!r}; choose from {listed}")
