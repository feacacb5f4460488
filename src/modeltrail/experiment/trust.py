"""
Does the method keep its promise on this very log?

An A/A test with the units of an experiment: they are assigned anew by chance, with the
planned weights, so that the variant cannot have done anything; and an interval says
whether it claims a difference: that for one look, or the always-valid one, which decides in
a comparison. For several looks the units come in an order by chance, and it is asked whether
the interval claims a difference at any of the looks.
Repeated a few hundred times the share of false alarms must be alpha. Where it is not,
units are too few, too unequal or too rare in what is measured for the interval, or
what was taken for a unit is none. (Kohavi, Tang and Xu, "Trustworthy Online Controlled
Experiments", 2020, chapter 19: the A/A test.)
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import NormalDist

from modeltrail.experiment.contrasts import at_one_look, difference_of, side
from modeltrail.experiment.plan import DEFAULT_PLAN_UNITS
from modeltrail.stats.estimate import Interval, NotEstimable, UnitSums
from modeltrail.stats.sequential import LEAST_UNITS, always_valid
from modeltrail.stats.shares import wilson

# Of the interval of the measured rate: one check of a hundred is outside by chance.
RATE_ALPHA = 0.01
LEAST_REPETITIONS = 100
# Beyond that the interval of the measured rate means little.
_MOST_REFUSED = 0.05


@dataclass(frozen=True, slots=True)
class Method:
    """
    Which interval claims a difference, and how often it is looked at.

    Attributes:
        always_valid: Whether it is the one that holds at every look.
        looks: At equal numbers of new units; the last one at all units.
        plan_units: For how many units of both arms the always-valid interval is narrowest.
        is_share: Whether each call has 0 or 1: a comparison treats shares in its own way.
    """

    always_valid: bool = False
    looks: int = 1
    plan_units: int = DEFAULT_PLAN_UNITS
    is_share: bool = False


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """
    How often a difference was claimed where there was none.

    Attributes:
        n_units: Units that were assigned anew.
        repetitions: How often, without those that gave no interval.
        refused: Repetitions that gave no interval.
        alarms: Repetitions whose interval excluded 0.
        rate: alarms / repetitions.
        rate_interval: Wilson's interval of the rate, at 99 %.
        alpha: The rate that the method promises.
        at_most: Whether a lower rate keeps the promise, too.
    """

    n_units: int
    repetitions: int
    refused: int
    alarms: int
    rate: float
    rate_interval: Interval
    alpha: float
    at_most: bool = False

    @property
    def kept(self) -> bool:
        """
        Whether the promised rate is in the interval of the measured one, or above it where
        it was promised as the highest.
        """
        lower, upper = self.rate_interval
        return lower <= self.alpha and (self.at_most or self.alpha <= upper)


def false_alarms(
    units: Sequence[UnitSums],
    treated: float,
    *,
    alpha: float = 0.05,
    repetitions: int = 500,
    seed: int = 0,
    method: Method = Method(),
    progress: Callable[[int], None] = lambda _: None,
) -> FalseAlarms | NotEstimable:
    """
    Measure how often an interval claims a difference that is not there.

    Args:
        units: Sums of each unit; whatever variant it was in is forgotten. A unit listed
            twice was in two variants: it is left out, as in a comparison.
        treated: Probability of treatment, between 0 and 1.
        alpha: One less the confidence level of the interval.
        repetitions: How often to assign anew, at least 100.
        seed: The same seed on the same sums gives the same answer, whatever the units are called.
        method: Which interval, and at how many looks; by default that for one look, at one.
        progress: Called after each repetition with how many are done.

    Returns:
        The measured rate; or why there is none: fewer than 95 of 100 repetitions gave
        an interval.

    Raises:
        ValueError: The share, alpha or the repetitions make no sense.
    """
    _check(treated, alpha, repetitions, method)
    times = Counter(unit.unit for unit in units)
    kept = sorted((unit for unit in units if times[unit.unit] == 1), key=_size)
    random = Random(seed)  # noqa: S311 - a simulation, no secret
    claims: Counter[bool | NotEstimable] = Counter()
    for number in range(1, repetitions + 1):
        claims[_claimed(kept, treated, alpha, random, method)] += 1
        progress(number)
    alarms, told = claims[True], claims[True] + claims[False]
    refused = repetitions - told
    if refused > _MOST_REFUSED * repetitions:
        reason = next(each.reason for each in claims if isinstance(each, NotEstimable))
        return NotEstimable(
            f"{refused:,} of {repetitions:,} repetitions gave no interval: {reason}"
        )
    z = -NormalDist().inv_cdf(RATE_ALPHA / 2)
    return FalseAlarms(
        n_units=len(kept),
        repetitions=told,
        refused=refused,
        alarms=alarms,
        rate=alarms / told,
        rate_interval=wilson(alarms, told, z),
        alpha=alpha,
        at_most=method.always_valid,
    )


def _size(unit: UnitSums) -> tuple[float, float]:
    # Not by its reference: that depends on the trail's key, and so would the answer.
    return unit.count, unit.total


def _check(treated: float, alpha: float, repetitions: int, method: Method) -> None:
    if not 0 < treated < 1:
        raise ValueError(f"the probability of treatment must lie between 0 and 1, not {treated!r}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha!r}")
    if method.looks < 1 or (method.always_valid and not alpha < 0.5):
        raise ValueError("it takes a look, and for the always-valid interval an alpha below 0.5")
    if repetitions < LEAST_REPETITIONS:
        raise ValueError(
            f"{repetitions} repetitions tell nothing: {LEAST_REPETITIONS} are the least"
        )


def _claimed(
    units: Sequence[UnitSums], treated: float, alpha: float, random: Random, method: Method
) -> bool | NotEstimable:
    """
    Assign the units anew; tell whether a difference is claimed at any look.
    """
    drawn = [(unit, random.random() < treated) for unit in units]
    if method.looks > 1:
        random.shuffle(drawn)
    found: bool | NotEstimable = False
    for look in range(1, method.looks + 1):
        seen = drawn[: round(len(drawn) * look / method.looks)]
        found = _claimed_of(seen, alpha, method)
        if found is True:
            return True
    # Early looks at too few units are none; the last one is at all of them.
    return found


def _claimed_of(
    seen: Sequence[tuple[UnitSums, bool]], alpha: float, method: Method
) -> bool | NotEstimable:
    arms = [[unit for unit, is_treated in seen if is_treated is each] for each in (False, True)]
    if method.always_valid and min(map(len, arms)) < LEAST_UNITS:
        return NotEstimable(f"an always-valid look needs {LEAST_UNITS} units in each arm")
    control, treatment = side("control", arms[0]), side("treatment", arms[1])
    if isinstance(control.found, NotEstimable):
        return control.found
    if isinstance(treatment.found, NotEstimable):
        return treatment.found
    is_share = method.is_share
    found = difference_of(control.found, treatment.found, is_share=is_share, alpha=alpha)
    if isinstance(found, NotEstimable):
        return found
    if method.always_valid:
        at = (found.difference, found.standard_error, len(seen), method.plan_units, alpha)
        interval = always_valid(*at)
    else:
        interval, *_ = at_one_look(control, treatment, found, is_share=is_share, alpha=alpha)
    return not interval.lower <= 0 <= interval.upper
