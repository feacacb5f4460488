"""
From a trail to a comparison: which sums are compared, and with what weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from modeltrail.errors import ConfigurationError, RecordNotFoundError
from modeltrail.experiment.compare import Comparison, Metric, compare
from modeltrail.stats.estimate import UnitSums
from modeltrail.storage import Filters, Store
from modeltrail.storage.queries import Propensity

DEFAULT_CONTROL = "control"
_USD_PER_NANOUSD = 1e-9
# Metric -> what `Queries.call_sums` knows it as, and the scale of its totals.
CALL_METRICS: Mapping[Metric, tuple[str, float]] = {
    Metric("cost_per_call", "usd", "lower", "Cost of a call whose cost is known."): (
        "cost",
        _USD_PER_NANOUSD,
    ),
    Metric("error_share", "share", "lower", "Share of calls that ended with an error."): (
        "error",
        1,
    ),
    Metric("latency", "us", "lower", "Time from the start of a call to its end."): ("latency", 1),
    Metric("output_tokens", "tokens", None, "Output tokens of a call."): ("output_tokens", 1),
}


def analyse(
    store: Store, key: str, *, control: str | None = None, alpha: float = 0.05
) -> Comparison:
    """
    Compare the variants of an experiment by the calls and outcomes of a trail.

    Args:
        key: The experiment's key.
        control: The variant to compare with; by default the one named `control`.
        alpha: One less the confidence level.

    Raises:
        RecordNotFoundError: The trail has no such experiment.
        ConfigurationError: Which variant is the control is not clear, or alpha
            is no such number.
    """
    arms = _arms(store, key)
    control = _control(arms, control)
    rows = {
        metric: _scaled(store.call_sums(key, name), scale)
        for metric, (name, scale) in CALL_METRICS.items()
    }
    taken = {metric.name for metric in CALL_METRICS}
    for name in store.outcome_names(key):
        shown = f"outcome:{name}" if name in taken else name
        rows[Metric(shown, "score", "higher", "An outcome of the units.")] = store.outcome_sums(
            key, name
        )
    return compare(
        key,
        list(rows),
        {metric.name: listed for metric, listed in rows.items()},
        control=control,
        weights=weights_from(store.propensities(key), control),
        alpha=alpha,
    )


def weights_from(logged: Sequence[Propensity], control: str) -> dict[str, float] | None:
    """
    Return the planned share of each variant, by the propensities that were logged.

    None if they do not tell: one is missing, or the plan was changed on the
    way, so that a variant has more than one.
    """
    constant = all(each.unknown == 0 and each.least == each.most for each in logged)
    planned = {each.variant: each.least or 0 for each in logged}
    if not constant or not planned.get(control):
        return None
    everything = sum(planned.values())
    return {variant: share / everything for variant, share in planned.items()}


def _arms(store: Store, key: str) -> list[str]:
    groups = store.sums(["variant"], Filters(experiment=key))
    if not groups:
        known = ", ".join(store.experiments()) or "none"
        raise RecordNotFoundError(f"no call belongs to an experiment {key!r}; known: {known}")
    return sorted(group.key[0] for group in groups if group.key[0] is not None)


def _control(arms: Sequence[str], named: str | None) -> str:
    chosen = DEFAULT_CONTROL if named is None else named
    if chosen in arms:
        return chosen
    listed = ", ".join(arms) or "none"
    if named is None:
        raise ConfigurationError(f"which variant is the control? name it with --control: {listed}")
    raise ConfigurationError(f"no variant is named {named!r}; choose from {listed}")


def _scaled(rows: Sequence[UnitSums], scale: float) -> list[UnitSums]:
    return [replace(row, total=row.total * scale) for row in rows]
