"""
What is compared: metrics by name, and from which sums each is made.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from modeltrail.errors import ConfigurationError
from modeltrail.storage.measures import CAPPED, Measure

UnitOfMeasure = Literal["usd", "us", "share", "score", "tokens"]
Direction = Literal["lower", "higher"]
OUTCOME = "outcome:"
_CAP = ":cap="
_QUANTILE = ":p"
# After an outcome of which less is better, such as complaints.
_LOWER = ":lower"
_USD_PER_NANOUSD = 1e-9


@dataclass(frozen=True, slots=True)
class Metric:
    """
    What is compared: a sum over calls divided by their number, or a quantile of calls.

    Attributes:
        name: Key of the metric, such as `cost`, `latency:p95` or `outcome:resolved`.
        unit_of_measure: Unit of the ratio, and of margins and caps: dollars,
            microseconds, a share from 0 to 1, a score, or tokens.
        better: Which direction is good; None where neither is.
        description: One sentence for the reader of a report.
    """

    name: str
    unit_of_measure: UnitOfMeasure
    better: Direction | None = None
    description: str = ""

    @property
    def p(self) -> float | None:
        """
        Which quantile it is, between 0 and 1; None if it is none. It is in the name.
        """
        name, _, number = self.name.rpartition(_QUANTILE)
        return _probability(number) if name in QUANTILE_METRICS else None


class Source(NamedTuple):
    """
    From where the sums of a metric come.

    Attributes:
        measure: What of the calls to sum up; None for anything else.
        outcome: Name of the outcome; None for anything else.
        scale: What makes a total, or a value, one in the metric's unit of measure.
        observed: Which value of each call; None if sums are enough.
    """

    measure: Measure | None
    outcome: str | None
    scale: float = 1.0
    observed: str | None = None


CALL_METRICS: Mapping[str, Metric] = {
    each.name: each
    for each in (
        Metric("cost", "usd", "lower", "Cost of a call whose cost is known."),
        Metric("cost_per_ok", "usd", "lower", "Cost of all calls per call that ended well."),
        Metric("errors", "share", "lower", "Share of calls that ended with an error."),
        Metric("latency", "us", "lower", "Time from the start of a call to its end."),
        Metric("tokens", "tokens", None, "Input and output tokens of a call."),
    )
}
# Of which there are quantiles.
QUANTILE_METRICS: Mapping[str, Metric] = {
    **{name: CALL_METRICS[name] for name in ("cost", "latency", "tokens")},
    "time_to_first_chunk": Metric(
        "time_to_first_chunk", "us", "lower", "Time from the start of a call to its first chunk."
    ),
}
# What they are called elsewhere, in the record or in earlier versions.
ALIASES: Mapping[str, str] = {
    "cost_per_call": "cost",
    "error_share": "errors",
    "error_rate": "errors",
}
# Follows from cost and errors: no evidence of its own.
DERIVED = frozenset({"cost_per_ok"})


def metric_named(word: str, outcomes: Mapping[str, bool]) -> tuple[Metric, Source]:
    """
    Return the metric that a word means, and where its sums come from.

    Args:
        word: `cost`, `cost:cap=0.25`, `errors`, `latency:p95`, `outcome:NAME`, or the name
            of an outcome; `NAME:lower` means one of which less is better.
        outcomes: The outcomes that there are; True where all values are 0 or 1.

    Raises:
        ConfigurationError: It means none, or has a cap that it cannot have.
    """
    plain = ALIASES.get(word, word)
    if plain in CALL_METRICS:
        return _of_calls(CALL_METRICS[plain], None)
    outcome = plain.removeprefix(OUTCOME)
    if outcome in outcomes:
        return _of_outcomes(outcome, outcomes, "higher")
    if outcome.endswith(_LOWER) and (outcome := outcome.removesuffix(_LOWER)) in outcomes:
        return _of_outcomes(outcome, outcomes, "lower")
    name, found, cap = plain.rpartition(_CAP)
    name = ALIASES.get(name, name)
    if found and name in CALL_METRICS:
        return _of_calls(CALL_METRICS[name], _number(word, cap))
    name, found, percent = plain.rpartition(_QUANTILE)
    name = ALIASES.get(name, name)
    if found and (p := _probability(percent)) is not None:
        return _of_quantiles(name, p)
    known = [*CALL_METRICS, *(f"{OUTCOME}{each}" for each in sorted(outcomes))]
    raise ConfigurationError(f"no metric is named {word!r}; choose from {', '.join(known)}")


def may_be_outcome(word: str) -> bool:
    """
    Tell whether the outcomes must be known to say what a word means.
    """
    name, _, percent = word.rpartition(_QUANTILE)
    return ALIASES.get(word, word) not in CALL_METRICS and (
        name not in QUANTILE_METRICS or _probability(percent) is None
    )


def outcome_named(word: str) -> str | None:
    """
    Return the name of the outcome that a word means, told or not; None if calls tell the metric.
    """
    if word.startswith(OUTCOME):
        return word.removeprefix(OUTCOME).removesuffix(_LOWER)
    is_of_calls = not may_be_outcome(word) or _CAP in word
    _, found, percent = word.rpartition(_QUANTILE)
    is_quantile = bool(found) and _probability(percent) is not None
    return None if is_of_calls or is_quantile else word.removesuffix(_LOWER)


def default_words(outcomes: Sequence[str]) -> list[str]:
    """
    Return the metrics that are compared if none is asked for.
    """
    return [*(f"{OUTCOME}{name}" for name in sorted(outcomes)), *CALL_METRICS]


def _of_calls(metric: Metric, cap: float | None) -> tuple[Metric, Source]:
    scale = _USD_PER_NANOUSD if metric.unit_of_measure == "usd" else 1.0
    if cap is None:
        return metric, Source(Measure(metric.name), None, scale)
    if metric.name not in CAPPED:
        raise ConfigurationError(f"{metric.name} has no cap: {', '.join(sorted(CAPPED))} have")
    capped = replace(
        metric,
        name=f"{metric.name}{_CAP}{cap:g}",
        description=f"{metric.description} Larger values count as {cap:g}.",
    )
    return capped, Source(Measure(metric.name, round(cap / scale)), None, scale)


def _of_quantiles(name: str, p: float) -> tuple[Metric, Source]:
    if name not in QUANTILE_METRICS:
        known = ", ".join(QUANTILE_METRICS)
        raise ConfigurationError(f"{name!r} has no quantiles: {known} have")
    metric = QUANTILE_METRICS[name]
    scale = _USD_PER_NANOUSD if metric.unit_of_measure == "usd" else 1.0
    shown = f"{100 * p:g}"
    quantile = replace(
        metric,
        name=f"{name}{_QUANTILE}{shown}",
        description=f"{metric.description} What {shown}% of the calls do not exceed.",
    )
    return quantile, Source(None, None, scale, name)


def _probability(percent: str) -> float | None:
    """
    Return what `95` or `99.9` means; None if it is no percentage between 0 and 100.
    """
    try:
        number = float(percent) / 100
    except ValueError:
        return None
    return number if 0 < number < 1 else None


def _of_outcomes(
    name: str, outcomes: Mapping[str, bool], better: Direction
) -> tuple[Metric, Source]:
    unit: UnitOfMeasure = "share" if outcomes[name] else "score"
    described = "Share of outcomes that are 1." if outcomes[name] else "Mean of the outcomes."
    called = f"{OUTCOME}{name}{_LOWER if better == 'lower' else ''}"
    return Metric(called, unit, better, described), Source(None, name)


def _number(word: str, cap: str) -> float:
    try:
        number = float(cap)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise ConfigurationError(f"the cap of {word!r} is no number above 0")
    return number
