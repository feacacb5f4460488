"""
Routes on a log in which each call went to one arm.

What a policy would have been worth comes from `modeltrail.stats.offpolicy`: by the
propensities that were logged, or, where there are none, by stratifying, which is
observational and says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.cheapest import (
    FOLDS,
    Recommendation,
    agreeing,
    best_single,
    check,
    choose,
    fitted,
)
from modeltrail.experiment.routing import Answer, Mean, Worth, by_model
from modeltrail.stats.estimate import (
    Difference,
    NotEstimable,
    UnitSums,
    ratio,
    ratio_interval,
)
from modeltrail.stats.expected import fold
from modeltrail.stats.offpolicy import (
    LEAST_EFFECTIVE,
    Evaluation,
    LoggedCall,
    Policy,
    Value,
    Weights,
    evaluate,
    observational,
    policy_difference,
)

Basis = Literal["randomised", "observational"]
# For the features that a table of choices does not name.
OTHERS = "*"
# How the features of either half of the units are told apart.
_HALVES = tuple(f" (half {number})" for number in range(1, FOLDS + 1))
_SAME = NotEstimable("the policy is the baseline itself")
_NO_DIFFERENCE = NotEstimable("the log has no propensities: no difference can be told")

Choices = Mapping[str, Mapping[str, float]]


class Calls(NamedTuple):
    """
    One log, twice: with the quality and with the cost of a call as its reward.

    Attributes:
        cost: In nano-dollars; only the calls whose cost is known.
    """

    quality: Sequence[LoggedCall]
    cost: Sequence[LoggedCall]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """
    What a policy would have been worth on the calls of a log.

    Attributes:
        basis: `observational` where a propensity is missing: then the figures are
            right only if nothing but the feature decided who got which arm.
        n_calls: Calls of the log.
        no_propensity: Calls that do not tell with which probability they were given their arm.
        weights: How far the policy is from the log.
        logged_quality: What the log's own calls were worth, by the same units.
        quality: Of a call under the policy: three estimates.
        logged_cost: In nano-dollars.
        cost: In nano-dollars.
        is_invalid: The logged propensities cannot be those with which the log was made.
    """

    basis: Basis
    n_calls: int
    no_propensity: int
    weights: Weights | NotEstimable
    logged_quality: Mean | NotEstimable
    quality: Evaluation
    logged_cost: Mean | NotEstimable
    cost: Evaluation
    is_invalid: bool


def policy_of(choices: Choices) -> Policy:
    """
    Return the policy of a table: from feature to the probability of each arm.

    Args:
        choices: The features, `*` for those that it does not name, and "" for
            calls without one.
    """

    def policy(feature: str) -> Mapping[str, float]:
        found = choices.get(feature, choices.get(OTHERS))
        if found is None:
            raise ConfigurationError(
                f"the policy does not say what calls of {feature!r} get; name it, or {OTHERS} for "
                "all others"
            )
        return found

    return policy


def what_if(calls: Calls, policy: Policy, *, alpha: float = 0.05) -> WhatIf:
    """
    Tell what another policy would have been worth.

    Raises:
        ConfigurationError: The policy does not know a feature, or its
            probabilities do not add up to 1.
    """
    basis: Basis = "randomised" if _is_randomised(calls) else "observational"
    try:
        quality, cost = (_evaluated(log, policy, basis, alpha) for log in calls)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return WhatIf(
        basis=basis,
        n_calls=len(calls.quality),
        no_propensity=sum(call.propensity is None for call in calls.quality),
        weights=quality.weights,
        logged_quality=_mean(calls.quality, alpha),
        quality=quality,
        logged_cost=_mean(calls.cost, alpha),
        cost=cost,
        is_invalid=basis == "randomised" and (_is_invalid(quality) or _is_impossible(calls)),
    )


def cheapest_by_log(
    answers: Sequence[Answer],
    calls: Calls,
    *,
    margin: float,
    alpha: float = 0.05,
    baseline: str | None = None,
) -> Recommendation | NotEstimable:
    """
    Recommend for each segment the cheapest model that is not worse, on calls that went to one each.

    The choices are those of `cheapest_not_worse`, on independent groups of calls; the
    policy's worth is the self-normalised value of the log on units that did not choose.

    Args:
        answers: Each to a question of its own.
        calls: The same ones, with their propensities.

    Returns:
        The recommendation; or that there is nothing to choose between.

    Raises:
        ConfigurationError: Margin, alpha or baseline is none.
    """
    models = sorted(by_model(answers))
    check(margin, alpha, baseline, models)
    if len(models) < 2:
        return NotEstimable(f"there is nothing to choose between: {len(models)} in all")
    routes, best = fitted(answers, margin, alpha, baseline)
    halves = Calls(*(_by_half(log) for log in calls))
    routed = _of_halves({half: routes[half] for half in range(FOLDS)}, best)
    single = _of_halves({}, best)
    cost, quality = _gaps(halves, single, routed, alpha)
    choices = choose(answers, margin, alpha, baseline)
    return Recommendation(
        margin=margin,
        alpha=alpha,
        baseline=baseline or best_single(answers),
        choices=choices,
        alike=agreeing(choices, routes, best),
        policy=_worth(halves, routed, alpha),
        single=_worth(halves, single, alpha),
        singles=tuple(best),
        random=_worth(halves, lambda _: dict.fromkeys(models, 1 / len(models)), alpha),
        cost_nanousd=cost,
        quality=quality,
    )


def _is_randomised(calls: Calls) -> bool:
    return all(call.propensity is not None for call in calls.quality)


def _evaluated(log: Sequence[LoggedCall], policy: Policy, basis: Basis, alpha: float) -> Evaluation:
    if basis == "randomised":
        return evaluate(log, policy, alpha=alpha)
    value = observational(log, policy, alpha=alpha)
    none = NotEstimable("the log has no propensities")
    return Evaluation(none, none, value, none)


def _is_invalid(found: Evaluation) -> bool:
    # Refused though the sample is large enough: the weights do not average to 1.
    return (
        isinstance(found.snips, NotEstimable)
        and isinstance(found.weights, Weights)
        and found.weights.effective >= LEAST_EFFECTIVE
    )


def _is_impossible(calls: Calls) -> bool:
    # What was given to a call had a probability above 0.
    return not all(call.propensity and 0 < call.propensity <= 1 for call in calls.quality)


def _mean(log: Sequence[LoggedCall], alpha: float) -> Mean | NotEstimable:
    sums: dict[str, tuple[float, int]] = {}
    for call in log:
        total, count = sums.get(call.unit, (0.0, 0))
        sums[call.unit] = total + call.reward, count + 1
    found = ratio([UnitSums("log", unit, *each) for unit, each in sums.items()])
    if isinstance(found, NotEstimable):
        return found
    return Mean(found.estimate, ratio_interval(found, alpha=alpha))


def _by_half(log: Sequence[LoggedCall]) -> list[LoggedCall]:
    # The policy differs by half, and may look at nothing but the feature. A refusal names it.
    return [
        call._replace(feature=f"{call.feature}{_HALVES[fold(call.unit, FOLDS)]}") for call in log
    ]


def _of_halves(routes: Mapping[int, Mapping[str, str]], best: Sequence[str]) -> Policy:
    def policy(feature: str) -> Mapping[str, float]:
        half = next(each for each in range(FOLDS) if feature.endswith(_HALVES[each]))
        name = feature.removesuffix(_HALVES[half])
        return {routes.get(half, {}).get(name, best[half]): 1.0}

    return policy


def _worth(calls: Calls, policy: Policy, alpha: float) -> Worth | NotEstimable:
    cost, quality = (
        evaluate(log, policy, alpha=alpha).snips
        if _is_randomised(calls)
        else observational(log, policy, alpha=alpha)
        for log in (calls.cost, calls.quality)
    )
    if isinstance(quality, NotEstimable):
        return quality
    if isinstance(cost, NotEstimable):
        return NotEstimable(f"by calls of a known cost, {cost.reason}")
    return Worth(_mean_of(cost), _mean_of(quality))


def _mean_of(value: Value) -> Mean:
    return Mean(value.value, value.interval)


def _gaps(
    calls: Calls, control: Policy, treatment: Policy, alpha: float
) -> tuple[Difference | NotEstimable, Difference | NotEstimable]:
    if all(control(call.feature) == treatment(call.feature) for call in calls.quality):
        return _SAME, _SAME
    if not _is_randomised(calls):
        return _NO_DIFFERENCE, _NO_DIFFERENCE
    cost, quality = (
        policy_difference(log, control, treatment, alpha=alpha).snips
        for log in (calls.cost, calls.quality)
    )
    return cost, quality
