"""
Which variant a unit gets: a pure function of the experiment and the unit.

The same unit always gets the same variant, in every process and without any
stored state, and what a router did later (fallback, cooldown) cannot change
it. The arithmetic is version 2 of GrowthBook's hash and bucket ranges
(https://docs.growthbook.io/lib/build-your-own), so that an experiment may be
moved between the two without moving its units. Where GrowthBook repairs a
definition in silence (weights that do not add up become equal weights),
this module refuses it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from modeltrail.errors import ConfigurationError

# 32-bit FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/.
_FNV_OFFSET = 2166136261
_FNV_PRIME = 16777619
_BUCKETS = 10_000
_WEIGHT_TOLERANCE = 1e-6
_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Assignment:
    """
    What one unit was given in one experiment.

    Attributes:
        experiment: Key of the experiment.
        variant: Name of the arm; None if the unit is not enrolled.
        bucket: Place of the unit on [0, 1), in steps of 1/10,000.
        propensity_ppm: Probability of this variant when the unit was drawn,
            coverage times weight, in parts per million; None if not enrolled.
        unit: The unit's plain value, in memory only and not in the `repr`;
            what is stored is keyed.
        unit_type: What is randomised: `user`, `session` or `call`.
    """

    experiment: str
    variant: str | None
    bucket: float
    propensity_ppm: int | None
    unit: str = field(repr=False)
    unit_type: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """
    A running experiment, from which units get their variants.

    Example:
        experiment = Experiment("cheaper-model", {"control": 0.5, "mini": 0.5})
        model = models[experiment.assign("u-17").variant or "control"]

    Args:
        key: Name of the experiment; also the seed of its hash. Keep it for as
            long as units shall keep their variants.
        arms: Weight per arm, adding up to 1. Their order fixes the buckets:
            do not reorder the arms of a running experiment.
        unit: What is randomised: `user`, `session` or `call`.
        coverage: Share of all units to enroll, from 0 to 1.
        bind: Called with every assignment, enrolled or not; for example to tag
            the calls made from here on.

    Raises:
        ConfigurationError: The definition cannot work.
    """

    key: str
    arms: Mapping[str, float]
    unit: str = "user"
    coverage: float = 1.0
    bind: Callable[[Assignment], None] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_definition(self.key, self.arms, self.coverage)
        # A copy: an arm added to the caller's dict later would move units unseen.
        object.__setattr__(self, "arms", dict(self.arms))

    def assign(self, unit: str) -> Assignment:
        """
        Give the unit its variant, and bind it.

        Args:
            unit: Plain value of the unit, such as a user id. An empty one is
                not enrolled: all unknown users would share one variant.

        Returns:
            The assignment; the same for the same unit, always.
        """
        assignment = assign(self.key, unit, self.arms, coverage=self.coverage, unit_type=self.unit)
        if self.bind is not None:
            self.bind(assignment)
        return assignment


def assign(
    experiment: str,
    unit: str,
    arms: Mapping[str, float],
    *,
    coverage: float = 1.0,
    seed: str | None = None,
    unit_type: str = "user",
) -> Assignment:
    """
    Give a unit its variant in an experiment.

    Args:
        experiment: Key of the experiment.
        unit: Plain value of the unit; an empty one is not enrolled.
        arms: Weight per arm, adding up to 1; their order fixes the buckets.
        coverage: Share of all units to enroll, from 0 to 1.
        seed: Seed of the hash if it is not the experiment's key; the same seed
            in two experiments gives them the same split.
        unit_type: What is randomised: `user`, `session` or `call`.

    Returns:
        The assignment; `variant` is None for a unit outside the coverage.

    Raises:
        ConfigurationError: The definition cannot work.
    """
    _check_definition(experiment, arms, coverage)
    bucket = hash_unit(experiment if seed is None else seed, unit)
    index = choose_range(bucket, bucket_ranges(list(arms.values()), coverage)) if unit else None
    variant = None if index is None else list(arms)[index]
    return Assignment(
        experiment=experiment,
        variant=variant,
        bucket=bucket,
        propensity_ppm=None if variant is None else round(coverage * arms[variant] * _PPM),
        unit=unit,
        unit_type=unit_type,
    )


def hash_unit(seed: str, unit: str) -> float:
    """
    Place a unit on [0, 1) by GrowthBook's hash version 2.

    Characters beyond the basic plane (emoji) are hashed as one code point, as
    GrowthBook's Python SDK does; its JavaScript SDK hashes two surrogates and
    may differ there.

    Args:
        seed: Seed of the experiment.
        unit: Plain value of the unit.

    Returns:
        A multiple of 1/10,000, at least 0 and below 1.
    """
    return _fnv1a32(str(_fnv1a32(seed + unit))) % _BUCKETS / _BUCKETS


def bucket_ranges(weights: Sequence[float], coverage: float) -> list[tuple[float, float]]:
    """
    Give each arm its half-open range of buckets.

    Ranges start where they would at full coverage, so that raising the
    coverage enrolls further units and moves none.

    Args:
        weights: Weight per arm, in order, adding up to 1.
        coverage: Share of all units to enroll, from 0 to 1.

    Returns:
        Start (inclusive) and end (exclusive) per arm.
    """
    ranges = []
    # Plain float addition on purpose: a more exact sum would put a unit at an
    # edge into another arm than GrowthBook does.
    start = 0.0
    for weight in weights:
        ranges.append((start, start + coverage * weight))
        start += weight
    return ranges


def choose_range(bucket: float, ranges: Sequence[tuple[float, float]]) -> int | None:
    """
    Find the first range that a bucket lies in.

    Args:
        bucket: A place on [0, 1).
        ranges: Half-open ranges.

    Returns:
        Index of the range; None if the bucket lies in none.
    """
    for index, (start, end) in enumerate(ranges):
        if start <= bucket < end:
            return index
    return None


def _fnv1a32(text: str) -> int:
    state = _FNV_OFFSET
    for character in text:
        state = (state ^ ord(character)) * _FNV_PRIME & 0xFFFFFFFF
    return state


def _check_definition(experiment: str, arms: Mapping[str, float], coverage: float) -> None:
    if not experiment:
        raise ConfigurationError("an experiment needs a key")
    if len(arms) < 2:
        raise ConfigurationError(f"experiment {experiment!r} needs at least two arms")
    if not all(arms):
        raise ConfigurationError(f"experiment {experiment!r} has an arm without a name")
    if not all(math.isfinite(weight) and weight >= 0 for weight in arms.values()):
        raise ConfigurationError(f"weights of {experiment!r} must be finite and 0 or more")
    total = math.fsum(arms.values())
    if abs(total - 1) > _WEIGHT_TOLERANCE:
        raise ConfigurationError(f"weights of {experiment!r} add up to {total:g}, not to 1")
    if not 0 <= coverage <= 1:
        raise ConfigurationError(f"coverage of {experiment!r} must lie between 0 and 1")
