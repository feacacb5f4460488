"""
The log of an experiment, phase by phase where its plan was changed on the way.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from modeltrail.experiment.metrics import Source
from modeltrail.experiment.phases import OfUnit, Phases, first_phases, in_first_phase
from modeltrail.storage import Store
from modeltrail.storage.measures import Measure
from modeltrail.storage.observed import UnitValues
from modeltrail.storage.trial_outcomes import OutcomeSums
from modeltrail.storage.trials import InPhase, Trial

Weights = Mapping[InPhase, Mapping[str, float] | None]
_Row = TypeVar("_Row", bound=OfUnit)


@dataclass(frozen=True, slots=True)
class Log:
    """
    What units did, each in the phase in which it was seen first.

    Attributes:
        weights: The phases to read and their planned weights; empty for all calls at once.
        phases: Which unit belongs to which; None without phases.
    """

    store: Store
    key: str
    weights: Weights
    phases: Phases | None

    def outcomes(
        self, names: Sequence[str] | None = None, *, by_feature: bool = False
    ) -> list[OutcomeSums]:
        """
        Return the outcomes of units.

        Args:
            names: Which; by default all.
            by_feature: Whether outcomes of calls are summed up feature by feature.
        """
        return self._kept(
            lambda phase: self.store.trial_outcomes(
                self.key, names, by_feature=by_feature, phase=phase
            )
        )

    def values(
        self, sources: Iterable[Source], *, by_feature: bool = False
    ) -> dict[str, list[UnitValues]]:
        """
        Return the values of single calls that some metrics are made of, by their name.
        """
        names = dict.fromkeys(source.observed for source in sources if source.observed)
        return {name: self._values(name, by_feature) for name in names}

    def _values(self, name: str, by_feature: bool) -> list[UnitValues]:
        return self._kept(
            lambda phase: self.store.trial_values(
                self.key, name, by_feature=by_feature, phase=phase
            )
        )

    def _kept(self, read: Callable[[InPhase | None], list[_Row]]) -> list[_Row]:
        if self.phases is None:
            return read(None)
        return in_first_phase({phase: read(phase) for phase in self.weights}, self.phases)


def read_log(
    store: Store,
    key: str,
    measures: Sequence[Measure],
    weights: Weights,
    *,
    by_feature: bool = False,
) -> tuple[Trial, Log]:
    """
    Read the sums of an experiment's units, and find out in which phase each belongs.

    Args:
        by_feature: Whether they are summed up feature by feature, too.
    """
    if not weights:
        trial = store.trial(key, measures, by_feature=by_feature)
        return trial, Log(store, key, weights, None)
    trials = {
        phase: store.trial(key, measures, by_feature=by_feature, phase=phase) for phase in weights
    }
    phases = first_phases(trials, weights)
    units = in_first_phase({phase: each.units for phase, each in trials.items()}, phases)
    parts = in_first_phase({phase: each.of_features for phase, each in trials.items()}, phases)
    trial = next(iter(trials.values()))._replace(units=units, of_features=parts)
    return trial, Log(store, key, weights, phases)
