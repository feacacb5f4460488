"""
What another routing policy would have been worth, from a log that was randomised.

Each call of the log was given its variant with a probability that was
logged, the propensity p. A target policy would have taken variant a for feature
x with probability pi(a|x). A call that the policy would have taken more often
than the log did counts for more, w = pi(a|x) / p, and the policy's value, the
mean reward of a call under it, is estimated in three ways:

- IPS, inverse propensity score: mean of w r (Horvitz and Thompson, J. Am. Stat.
  Assoc. 47 (1952) 663).
- SNIPS, self-normalised: sum w r / sum w (Hajek 1971; Swaminathan and Joachims,
  "The self-normalized estimator for counterfactual learning", NeurIPS 2015).
- DR, doubly robust: mean of sum_a pi(a|x) q(a, x) + w (r - q(a, x)) (Dudik,
  Langford and Li, ICML 2011, arXiv 1103.4601), where q is the mean of the variant
  on the feature, learnt from other units: see `expected`.

All are ratios of sums per unit, and so have the jackknife variance over units of
`estimate`: calls of one user are not taken for independent. With one call per
unit it is, for IPS and DR, the variance of a mean, and for SNIPS, up to terms of
order 1/n, the linearised sum (w (r - v))^2 / (sum w)^2.

What the log cannot carry is refused, not estimated badly: see `evaluate`.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from modeltrail.stats.estimate import (
    Difference,
    Interval,
    NotEstimable,
    UnitSums,
    ratio,
    ratio_interval,
)
from modeltrail.stats.expected import CrossedMeans, PlainMeans
from modeltrail.stats.paired import paired_difference

# Fewer equally weighted units than this say too little for an interval to hold its level.
LEAST_EFFECTIVE = 100
_ROUNDING = 1e-9
# A log tells propensities to some decimals only: 1/3 as .333333. Weights that all are
# 1.000001 for that reason have no standard error to be within.
_ROUNDED_LOG = 1e-4

Policy = Callable[[str], Mapping[str, float]]
"""From a feature to the probability of each variant."""
_Plan = Mapping[str, Mapping[str, float]]


class LoggedCall(NamedTuple):
    """
    One call of a log, and what it was worth.

    Attributes:
        unit: What was randomised or belongs together: a user, a session, the call.
        feature: What a policy may look at.
        variant: The variant that was assigned, whatever served it in the end.
        propensity: Probability with which it was assigned, above 0 up to 1;
            None if it was not logged.
        reward: Any number whose mean is asked for: 0 or 1, a score, a cost.
    """

    unit: str
    feature: str
    variant: str
    propensity: float | None
    reward: float


@dataclass(frozen=True, slots=True)
class Weights:
    """
    How far the policy is from the log.

    Attributes:
        n_calls: Calls of the log.
        n_units: Units of the log.
        effective: Effective sample size, (sum w)^2 / sum w^2 over units (Kish,
            Survey Sampling, 1965): how many equally weighted units say as much.
        largest: The largest weight of a call.
        mean: Mean weight of a call; 1 is expected, if the propensities are true.
        standard_error: Of the mean.
    """

    n_calls: int
    n_units: int
    effective: float
    largest: float
    mean: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class Value:
    """
    The mean reward of a call under a policy.

    Attributes:
        value: The estimate, in the reward's unit of measure.
        standard_error: By the jackknife over units.
        interval: Fixed-horizon t interval on the effective units less 1; or why
            there is none.
    """

    value: float
    standard_error: float
    interval: Interval | NotEstimable


@dataclass(frozen=True, slots=True)
class Evaluation:
    """
    A policy's value; the same reason in all three where it is refused.

    Attributes:
        weights: How far the policy is from the log; or why that is unknown.
        snips: The headline: within the range of the rewards, and indifferent
            to a constant added to them.
        doubly_robust: The second opinion, usually with the narrower interval.
        ips: The plain one, without bias and with the widest interval.
    """

    weights: Weights | NotEstimable
    snips: Value | NotEstimable
    doubly_robust: Value | NotEstimable
    ips: Value | NotEstimable


class PolicyDifference(NamedTuple):
    """
    Treatment less control, for one look, by each of the three.
    """

    snips: Difference | NotEstimable
    doubly_robust: Difference | NotEstimable
    ips: Difference | NotEstimable


class _Sums(NamedTuple):
    snips: list[UnitSums]
    doubly_robust: list[UnitSums]
    ips: list[UnitSums]


class _Means(Protocol):
    def expected(self, unit: str, feature: str, variant: str) -> float: ...


def always(variant: str) -> Policy:
    """
    Give the policy that takes one variant for every call.
    """
    return lambda _: {variant: 1.0}


def by_feature(choices: Mapping[str, str]) -> Policy:
    """
    Give the policy that takes for each feature the variant named.
    """
    return lambda feature: {choices[feature]: 1.0}


def evaluate(log: Sequence[LoggedCall], policy: Policy, *, alpha: float = 0.05) -> Evaluation:
    """
    Estimate what the calls of a log would have earned under another policy.

    Args:
        log: The calls.
        policy: The probabilities of the variants, by feature.
        alpha: One less the confidence level.

    Returns:
        The value; or why there is none: a propensity is missing or is none, the
        policy takes a variant of which the log has no call for that feature, the
        weights do not average to 1 within three standard errors (then the propensities are
        not those of the log), or the effective sample is below `LEAST_EFFECTIVE`.

    Raises:
        ValueError: The policy's probabilities are none.
    """
    plan = _plan(log, policy)
    refusal = _refuse_log(log) or _refuse_rewards(log) or _refuse_overlap(log, plan)
    if refusal:
        return _refused(NotEstimable(refusal), NotEstimable(refusal))
    weighted = _weighted(log, plan)
    weights = _weights(log, weighted)
    if isinstance(weights, NotEstimable):
        return _refused(weights, weights)
    refusal = _refuse_weights(weights)
    if refusal:
        return _refused(weights, NotEstimable(refusal))
    values = (_value(sums, weights.effective, alpha) for sums in _sums(log, plan, weighted))
    return Evaluation(weights, *values)


def policy_difference(
    log: Sequence[LoggedCall], control: Policy, treatment: Policy, *, alpha: float = 0.05
) -> PolicyDifference:
    """
    Compare two policies on one log: treatment less control, for one look.

    The same units value both policies, and so the variance of the difference is
    that of `modeltrail.stats.paired`.

    Returns:
        The differences; or why there is none: either policy is refused.

    Raises:
        ValueError: A policy's probabilities are none.
    """
    for policy in (control, treatment):
        snips = evaluate(log, policy, alpha=alpha).snips
        if isinstance(snips, NotEstimable):
            return PolicyDifference(snips, snips, snips)
    both = []
    for policy in (control, treatment):
        plan = _plan(log, policy)
        both.append(_sums(log, plan, _weighted(log, plan)))
    return PolicyDifference(
        *(paired_difference(*pair, alpha=alpha) for pair in zip(*both, strict=True))
    )


def observational(
    log: Sequence[LoggedCall], policy: Policy, *, alpha: float = 0.05
) -> Value | NotEstimable:
    """
    Estimate a policy's value from a log WITHOUT propensities, by stratifying.

    The mean of each variant within each feature, weighted as the policy and the
    features are (post-stratification). It is right only if within a feature
    nothing that bears on the reward decided which variant a call was given: an
    assumption that the log cannot check. Show it as observational, never beside
    randomised figures as their equal.

    Its variance is that of its influence function: the doubly robust sum with
    observed shares for propensities and observed means for q.

    Returns:
        The value; or why there is none: no overlap, or too small an effective sample.

    Raises:
        ValueError: The policy's probabilities are none.
    """
    plan = _plan(log, policy)
    refusal = _refuse_overlap(log, plan) or _refuse_rewards(log)
    if refusal:
        return NotEstimable(refusal)
    cells = Counter((call.feature, call.variant) for call in log)
    features = Counter(call.feature for call in log)
    filled = [
        call._replace(propensity=cells[call.feature, call.variant] / features[call.feature])
        for call in log
    ]
    weighted = _weighted(filled, plan)
    weights = _weights(filled, weighted)
    if isinstance(weights, NotEstimable):
        return weights
    refusal = _refuse_few(weights)
    if refusal:
        return NotEstimable(refusal)
    sums = _robust_sums(filled, plan, weighted, PlainMeans(_rows(filled)))
    return _value(sums, weights.effective, alpha)


def _known(call: LoggedCall) -> float:
    return math.nan if call.propensity is None else call.propensity


def _plan(log: Iterable[LoggedCall], policy: Policy) -> _Plan:
    plan = {feature: policy(feature) for feature in {call.feature for call in log}}
    for feature, chances in plan.items():
        total = math.fsum(chances.values())
        # So written that NaN is refused, too.
        if not (all(chance >= 0 for chance in chances.values()) and abs(total - 1) <= _ROUNDING):
            raise ValueError(f"the policy's probabilities for {feature!r} do not add up to 1")
    return plan


def _refuse_log(log: Sequence[LoggedCall]) -> str | None:
    unknown = sum(call.propensity is None for call in log)
    if unknown:
        return (
            f"{unknown} of {len(log)} calls have no propensity: what another policy would have "
            "earned can only be told from a log that says how likely each assignment was"
        )
    if not all(0 < _known(call) <= 1 for call in log):
        return "a propensity is not above 0 and at most 1"
    return None


def _refuse_rewards(log: Sequence[LoggedCall]) -> str | None:
    if not all(math.isfinite(call.reward) for call in log):
        return "a reward is not a finite number"
    return None


def _refuse_overlap(log: Iterable[LoggedCall], plan: _Plan) -> str | None:
    seen = {(call.feature, call.variant) for call in log}
    wanted = {
        (feature, variant)
        for feature, chances in plan.items()
        for variant, chance in chances.items()
        if chance > 0
    }
    missing = sorted(wanted - seen)
    if not missing:
        return None
    feature, variant = missing[0]
    return (
        f"no overlap: the policy takes {variant!r} for {feature!r}, of which the log has no call "
        f"({len(missing)} such in all)"
    )


def _refuse_weights(weights: Weights) -> str | None:
    # First of all, as it tells most: too few units make the mean weight wild as well.
    few = _refuse_few(weights)
    if few:
        return few
    if abs(weights.mean - 1) > 3 * weights.standard_error + _ROUNDED_LOG:
        return (
            f"the weights average {weights.mean:.3g} instead of 1, by more than three standard "
            "errors: the logged propensities are not those with which the log was made"
        )
    return None


def _refuse_few(weights: Weights) -> str | None:
    if weights.effective >= LEAST_EFFECTIVE:
        return None
    return (
        f"the effective sample is {weights.effective:.1f} of {weights.n_units:,} units, the "
        f"largest weight {weights.largest:,.0f}: {LEAST_EFFECTIVE} is the least; "
        "the policy is too far from the log"
    )


def _refused(weights: Weights | NotEstimable, reason: NotEstimable) -> Evaluation:
    return Evaluation(weights, reason, reason, reason)


def _weights(log: Sequence[LoggedCall], weighted: Sequence[float]) -> Weights | NotEstimable:
    ones = [1.0] * len(log)
    mean = ratio(_by_unit(log, weighted, ones))
    if isinstance(mean, NotEstimable):
        return mean
    sums = _by_unit(log, ones, weighted)
    total = math.fsum(weighted)
    return Weights(
        n_calls=len(log),
        n_units=mean.n_units,
        # As shares, so that squares of large weights cannot overflow.
        effective=1 / math.fsum((row.count / total) ** 2 for row in sums),
        largest=max(weighted),
        mean=mean.estimate,
        standard_error=mean.standard_error,
    )


def _sums(
    log: Sequence[LoggedCall],
    plan: _Plan,
    weighted: Sequence[float],
) -> _Sums:
    earned = [w * call.reward for w, call in zip(weighted, log, strict=True)]
    return _Sums(
        _by_unit(log, earned, weighted),
        _robust_sums(log, plan, weighted, CrossedMeans(_rows(log))),
        _by_unit(log, earned, [1.0] * len(log)),
    )


def _robust_sums(
    log: Sequence[LoggedCall],
    plan: _Plan,
    weighted: Sequence[float],
    means: _Means,
) -> list[UnitSums]:
    earned = []
    for w, call in zip(weighted, log, strict=True):
        planned = math.fsum(
            chance * means.expected(call.unit, call.feature, variant)
            for variant, chance in plan[call.feature].items()
            if chance
        )
        surprise = call.reward - means.expected(call.unit, call.feature, call.variant)
        earned.append(planned + w * surprise)
    return _by_unit(log, earned, [1.0] * len(log))


def _rows(log: Iterable[LoggedCall]) -> Iterator[tuple[str, str, str, float]]:
    return ((call.unit, call.feature, call.variant, call.reward) for call in log)


def _weighted(log: Iterable[LoggedCall], plan: _Plan) -> list[float]:
    return [plan[call.feature].get(call.variant, 0.0) / _known(call) for call in log]


def _by_unit(
    log: Sequence[LoggedCall], totals: Iterable[float], counts: Iterable[float]
) -> list[UnitSums]:
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for call, total, count in zip(log, totals, counts, strict=True):
        unit = sums[call.unit]
        unit[0] += total
        unit[1] += count
    return [UnitSums("policy", unit, total, count) for unit, (total, count) in sums.items()]


def _value(sums: Sequence[UnitSums], effective: float, alpha: float) -> Value | NotEstimable:
    arm = ratio(sums)
    if isinstance(arm, NotEstimable):
        return arm
    careful = replace(arm, k_eff=min(arm.k_eff, effective))
    return Value(arm.estimate, arm.standard_error, ratio_interval(careful, alpha=alpha))
