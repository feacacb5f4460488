"""
Which variant a unit gets: a pure function of the experiment and the unit.

The same unit always gets the same variant, in every process and without any
stored state, and what a router did later (fallback, cooldown) cannot change
it. The arithmetic is GrowthBook's (`modeltrail.experiment.buckets`). Where
GrowthBook repairs a definition in silence (weights that do not add up become
equal weights), this module refuses it.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from modeltrail.capture import storable
from modeltrail.errors import ConfigurationError
from modeltrail.experiment.buckets import (
    HASH_VERSIONS,
    HashVersion,
    Namespace,
    bucket_ranges,
    choose_range,
    hash_unit,
    in_namespace,
)
from modeltrail.experiment.growthbook_tag import write_tag

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
            in parts per million: coverage times weight, times the
            experiment's part of its namespace; None if not enrolled.
        unit: The unit's plain value, in memory only and not in the `repr`;
            what is stored is keyed.
        unit_type: What is randomised: `user`, `session` or `call`.
        phase: Names the plan that was in force; None if not enrolled.
    """

    experiment: str
    variant: str | None
    bucket: float
    propensity_ppm: int | None
    unit: str = field(repr=False)
    unit_type: str
    phase: str | None = None

    @property
    def growthbook_tag(self) -> str | None:
        """
        The assignment as `gb.exp:<key>=<variant>`, for other systems; None if not enrolled.
        """
        return None if self.variant is None else write_tag(self.experiment, self.variant)


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
        seed: Seed of the hash if it is not the experiment's key; the same seed
            in two experiments gives them the same split.
        namespace: The part of all units that this experiment may have, if it
            shares them with others.
        hash_version: Version of GrowthBook's hash.
        bind: Called with every assignment, enrolled or not; for example to tag
            the calls made from here on.

    Attributes:
        phase: Names this plan: eight hexadecimal digits that change whenever
            a unit's chances do, so with arms, weights, coverage, seed,
            namespace or hash, and are the same in every process.

    Raises:
        ConfigurationError: The definition cannot work.
    """

    key: str
    arms: Mapping[str, float]
    unit: str = "user"
    coverage: float = 1.0
    seed: str | None = None
    namespace: Namespace | None = None
    hash_version: HashVersion = 2
    bind: Callable[[Assignment], None] | None = field(default=None, repr=False, compare=False)
    phase: str = field(init=False)

    def __post_init__(self) -> None:
        _check_names(self.key, self.arms, self.unit)
        _check_weights(self.key, self.arms, self.coverage)
        _check_hash(self.key, self.namespace, self.hash_version)
        # A copy: an arm added to the caller's dict later would move units unseen.
        object.__setattr__(self, "arms", dict(self.arms))
        object.__setattr__(self, "phase", _phase(self))

    def assign(self, unit: str) -> Assignment:
        """
        Give the unit its variant, and bind it.

        Args:
            unit: Plain value of the unit, such as a user id. An empty one is
                not enrolled: all unknown users would share one variant.

        Returns:
            The assignment; the same for the same unit, always.

        Raises:
            ConfigurationError: The unit is no text.
        """
        if not isinstance(unit, str):
            # Not the value: it names somebody, and this ends in a log.
            raise ConfigurationError(
                f"{self.key!r} was asked for a unit of type {type(unit).__name__}: a unit is a "
                'text; give a number as str(...), and "" if it is not known'
            )
        bucket = hash_unit(self.key if self.seed is None else self.seed, unit, self.hash_version)
        variant = self._variant(unit, bucket)
        assignment = Assignment(
            experiment=self.key,
            variant=variant,
            bucket=bucket,
            propensity_ppm=None if variant is None else self._propensity_ppm(variant),
            unit=unit,
            unit_type=self.unit,
            phase=None if variant is None else self.phase,
        )
        if self.bind is not None:
            self.bind(assignment)
        return assignment

    def _variant(self, unit: str, bucket: float) -> str | None:
        if not unit or (self.namespace is not None and not in_namespace(unit, self.namespace)):
            return None
        index = choose_range(bucket, bucket_ranges(list(self.arms.values()), self.coverage))
        return None if index is None else list(self.arms)[index]

    def _propensity_ppm(self, variant: str) -> int:
        share = 1.0 if self.namespace is None else self.namespace.end - self.namespace.start
        return round(share * self.coverage * self.arms[variant] * _PPM)


def assign(
    experiment: str,
    unit: str,
    arms: Mapping[str, float],
    *,
    coverage: float = 1.0,
    seed: str | None = None,
    unit_type: str = "user",
    namespace: Namespace | None = None,
    hash_version: HashVersion = 2,
) -> Assignment:
    """
    Give a unit its variant in an experiment.

    Args:
        experiment: Key of the experiment.
        unit: Plain value of the unit; an empty one is not enrolled.
        arms: Weight per arm, adding up to 1; their order fixes the buckets.
        coverage: Share of all units to enroll, from 0 to 1.
        seed: Seed of the hash if it is not the experiment's key.
        unit_type: What is randomised: `user`, `session` or `call`.
        namespace: The part of all units that the experiment may have.
        hash_version: Version of GrowthBook's hash.

    Returns:
        The assignment; `variant` is None for a unit outside the coverage.

    Raises:
        ConfigurationError: The definition cannot work.
    """
    return Experiment(
        experiment,
        arms,
        unit=unit_type,
        coverage=coverage,
        seed=seed,
        namespace=namespace,
        hash_version=hash_version,
    ).assign(unit)


def _phase(plan: Experiment) -> str:
    # As floats, and as pairs: 1 and 1.0 are one weight, and the order of arms counts.
    arms = [(name, float(weight)) for name, weight in plan.arms.items()]
    drawn = (plan.unit, plan.seed, plan.namespace, plan.hash_version)
    content = msgspec.json.encode((arms, float(plan.coverage), *drawn))
    return hashlib.sha256(content).hexdigest()[:8]


def _check_names(experiment: str, arms: Mapping[str, float], unit: str) -> None:
    if not experiment:
        raise ConfigurationError("an experiment needs a key")
    if "=" in experiment:
        raise ConfigurationError(
            f"the key {experiment!r} has a '=', which ends the key in the tag "
            f"{write_tag('<key>', '<variant>')}; choose another"
        )
    if not all(arms):
        raise ConfigurationError(f"experiment {experiment!r} has an arm without a name")
    if any(storable(name) != name for name in (experiment, unit, *arms)):
        raise ConfigurationError(f"a name in {experiment!r} is no text that a database takes")


def _check_weights(experiment: str, arms: Mapping[str, float], coverage: float) -> None:
    if len(arms) < 2:
        raise ConfigurationError(f"experiment {experiment!r} needs at least two arms")
    if not all(math.isfinite(weight) and weight >= 0 for weight in arms.values()):
        raise ConfigurationError(f"weights of {experiment!r} must be finite and 0 or more")
    total = math.fsum(arms.values())
    if abs(total - 1) > _WEIGHT_TOLERANCE:
        raise ConfigurationError(f"weights of {experiment!r} add up to {total:g}, not to 1")
    if not 0 <= coverage <= 1:
        raise ConfigurationError(f"coverage of {experiment!r} must lie between 0 and 1")


def _check_hash(experiment: str, namespace: Namespace | None, version: HashVersion) -> None:
    if version not in HASH_VERSIONS:
        raise ConfigurationError(
            f"experiment {experiment!r} asks for version {version!r} of the hash; there are 1 and 2"
        )
    if namespace is not None and not 0 <= namespace.start < namespace.end <= 1:
        raise ConfigurationError(
            f"the namespace of {experiment!r} must have 0 <= start < end <= 1, not {namespace}"
        )
