"""
What an experiment is to show, said before there is data.

A declaration is an event of the trail. Its id is made of its content, so that
declaring the same again, at every start and in every process, adds nothing,
while a declaration that was changed on the way is there beside the first one,
with the time of the change.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import msgspec

from modeltrail.errors import ConfigurationError
from modeltrail.experiment.assign import Assignment, Experiment
from modeltrail.experiment.buckets import HashVersion, Namespace
from modeltrail.experiment.metrics import metric_named, outcome_named
from modeltrail.storage import Store

KIND = "experiment"
# Ids of declarations are version 5 UUIDs (RFC 9562) within this one.
_ALL_DECLARATIONS = UUID("6f2c0f0e-6d0c-4d43-9a2e-0f6f1b7a5d11")


@dataclass(frozen=True, slots=True)
class Guardrail:
    """
    A metric that a variant must not make worse.

    Attributes:
        metric: Its name, such as `errors`.
        margin: How much worse still counts as not worse: absolute, in the
            metric's unit of measure, more than 0.

    Raises:
        ConfigurationError: It has no name, or the margin is no such number.
    """

    metric: str
    margin: float

    def __post_init__(self) -> None:
        if not self.metric:
            raise ConfigurationError("a guardrail needs the name of its metric")
        if not (math.isfinite(self.margin) and self.margin > 0):
            raise ConfigurationError(
                f"the margin of guardrail {self.metric!r} must be more than 0 and finite, "
                f"not {self.margin!r}"
            )


@dataclass(frozen=True, slots=True)
class Declaration:
    """
    How an experiment is run, and how it will be judged.

    Attributes:
        key: Names the experiment.
        arms: Variant -> weight, in the order that fixes the buckets.
        unit: What is randomised: `user`, `session` or `call`.
        coverage: The share of units that take part.
        control: The arm that others are compared with; None if it was not said.
        primary: The metric that decides; None if it was not said.
        guardrails: Metrics that a variant must not make worse.
        plan_units: How many units, in all arms together, are planned; None if
            it was not said.
        alpha: One less the confidence level.
        seed: Seed of the hash if it is not the key.
        namespace: The part of all units that the experiment may have.
        hash_version: Version of GrowthBook's hash.

    Raises:
        ConfigurationError: The experiment cannot work, or cannot be judged so.
    """

    key: str
    arms: Mapping[str, float]
    unit: str
    coverage: float = 1.0
    control: str | None = None
    primary: str | None = None
    guardrails: tuple[Guardrail, ...] = ()
    plan_units: int | None = None
    alpha: float = 0.05
    seed: str | None = None
    namespace: Namespace | None = None
    hash_version: HashVersion = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "arms", dict(self.arms))
        self.experiment()
        self._check_judgement()

    def experiment(self, bind: Callable[[Assignment], None] | None = None) -> Experiment:
        """
        Return the experiment, to assign units.

        Args:
            bind: Called with every assignment.
        """
        return Experiment(
            self.key,
            self.arms,
            unit=self.unit,
            coverage=self.coverage,
            seed=self.seed,
            namespace=self.namespace,
            hash_version=self.hash_version,
            bind=bind,
        )

    @property
    def phase(self) -> str:
        """
        The phase that the calls of this plan are recorded with.
        """
        return self.experiment().phase

    @property
    def enrolled(self) -> float:
        """
        The share of all units that take part.
        """
        part = 1.0 if self.namespace is None else self.namespace.end - self.namespace.start
        return self.coverage * part

    @property
    def detail(self) -> str:
        """
        The declaration as JSON: the detail of its event.
        """
        # Without what was not said, so that an id stays when there is more that can be said.
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        said = {name: value for name, value in given.items() if value is not None}
        # Pairs, since the order of arms counts and that of a JSON object does not; floats,
        # since 1 and 1.0 are the same declaration.
        said["arms"] = [(name, float(weight)) for name, weight in self.arms.items()]
        said["coverage"] = float(self.coverage)
        said["guardrails"] = [(each.metric, float(each.margin)) for each in self.guardrails]
        said["phase"] = self.phase
        return msgspec.json.encode(said, order="sorted").decode()

    @property
    def id(self) -> str:
        """
        The id of its event, made of its content.
        """
        return str(uuid5(_ALL_DECLARATIONS, self.detail))

    def _check_judgement(self) -> None:
        if self.control is not None and self.control not in self.arms:
            arms = ", ".join(self.arms)
            raise ConfigurationError(
                f"the control {self.control!r} of {self.key!r} is none of its arms: {arms}"
            )
        if self.primary == "":
            raise ConfigurationError(f"the primary metric of {self.key!r} has no name")
        guarded = [each.metric for each in self.guardrails]
        if len(set(guarded)) < len(guarded):
            raise ConfigurationError(f"two guardrails of {self.key!r} have the same metric")
        for word in filter(None, (self.primary, *guarded)):
            if outcome_named(word) is None:  # else it may be told later
                metric_named(word, {})
        if self.plan_units is not None and not (self.plan_units > 0 and self.plan_units % 1 == 0):
            raise ConfigurationError(
                f"the planned units of {self.key!r} must be a whole number above 0, "
                f"not {self.plan_units!r}"
            )
        if not 0 < self.alpha < 0.5:
            raise ConfigurationError(
                f"alpha of {self.key!r} must lie between 0 and 0.5, not {self.alpha!r}"
            )


class Declared(NamedTuple):
    """
    A declaration, and when it was made first.

    Attributes:
        at_us: Microseconds UTC.
    """

    declaration: Declaration
    at_us: int


def declarations(store: Store, key: str) -> list[Declared]:
    """
    Return what was declared of an experiment, oldest first.
    """
    told = [(msgspec.json.decode(event.detail), event.at_us) for event in store.events(KIND)]
    return [Declared(_declaration(said), at_us) for said, at_us in told if said["key"] == key]


def _declaration(said: dict[str, Any]) -> Declaration:
    # What a later version may say beside is passed over.
    known = {each.name: said[each.name] for each in fields(Declaration) if each.name in said}
    known["arms"] = dict(known["arms"])
    known["guardrails"] = tuple(Guardrail(*each) for each in known["guardrails"])
    if "namespace" in known:
        known["namespace"] = Namespace(*known["namespace"])
    return Declaration(**known)
