"""
What is compared: metrics by name, and from which sums each is made.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from modeltrail.errors import ConfigurationError
from modeltrail.storage.trials import CAPPED, Measure

UnitOfMeasure = Literal["usd", "us", "share", "score", "tokens"]
OUTCOME = "outcome:"
_CAP = ":cap="
_USD_PER_NANOUSD = 1e-9


@dataclass(frozen=True, slots=True)
class Metric:
    """
    What is compared: a sum over calls divided by their number.

    Attributes:
        name: Key of the metric, such as `cost` or `outcome:resolved`.
        unit_of_measure: Unit of the ratio, and of margins and caps: dollars,
            microseconds, a share from 0 to 1, a score, or tokens.
        better: Which direction is good; None where neither is.
        description: One sentence for the reader of a report.
    """

    name: str
    unit_of_measure: UnitOfMeasure
    better: Literal["lower", "higher"] | None = None
    description: str = ""


class Source(NamedTuple):
    """
    From where the sums of a metric come.

    Attributes:
        measure: What of the calls to sum up; None for an outcome.
        outcome: Name of the outcome; None for a measure of calls.
        scale: What makes a total one in the metric's unit of measure.
    """

    measure: Measure | None
    outcome: str | None
    scale: float = 1.0


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
        word: `cost`, `cost:cap=0.25`, `errors`, `outcome:NAME`, or the name of an outcome.
        outcomes: The outcomes that there are; True where all values are 0 or 1.

    Raises:
        ConfigurationError: It means none, or has a cap that it cannot have.
    """
    plain = ALIASES.get(word, word)
    if plain in CALL_METRICS:
        return _of_calls(CALL_METRICS[plain], None)
    if plain.removeprefix(OUTCOME) in outcomes:
        return _of_outcomes(plain.removeprefix(OUTCOME), outcomes)
    name, found, cap = plain.rpartition(_CAP)
    name = ALIASES.get(name, name)
    if found and name in CALL_METRICS:
        return _of_calls(CALL_METRICS[name], _number(word, cap))
    known = [*CALL_METRICS, *(f"{OUTCOME}{each}" for each in sorted(outcomes))]
    raise ConfigurationError(f"no metric is named {word!r}; choose from {', '.join(known)}")


def may_be_outcome(word: str) -> bool:
    """
    Tell whether the outcomes must be known to say what a word means.
    """
    return ALIASES.get(word, word) not in CALL_METRICS


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


def _of_outcomes(name: str, outcomes: Mapping[str, bool]) -> tuple[Metric, Source]:
    unit: UnitOfMeasure = "share" if outcomes[name] else "score"
    described = "Share of outcomes that are 1." if outcomes[name] else "Mean of the outcomes."
    return Metric(f"{OUTCOME}{name}", unit, "higher", described), Source(None, name)


def _number(word: str, cap: str) -> float:
    try:
        number = float(cap)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise ConfigurationError(f"the cap of {word!r} is no number above 0")
    return number
