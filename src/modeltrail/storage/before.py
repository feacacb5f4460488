"""
What the units of an experiment did before it began.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import func, select

from modeltrail.errors import ConfigurationError
from modeltrail.storage.measures import Measure, in_pairs, sums_of
from modeltrail.storage.queries import CALLS, Queries
from modeltrail.storage.trials import assigned, not_in_shadow

# Unit type -> by what its calls are known that no experiment has assigned.
REFERENCES: Mapping[str, str] = {"user": "user_ref", "session": "session_ref"}


class UnitBefore(NamedTuple):
    """
    What one unit did before.

    Attributes:
        sums: Total and count of each measure, in the order asked for.
    """

    unit: str
    sums: tuple[tuple[int, int], ...]


class BeforeQueries(Queries):
    """
    Reads of calls from before an experiment.
    """

    def before_trial(self, experiment: str, measures: Sequence[Measure]) -> list[UnitBefore]:
        """
        Return what an experiment's units did before its first assigned call.

        Users and sessions are found by their own references: an experiment that
        randomises users keys them as calls key theirs.

        Args:
            experiment: Its key.
            measures: What to sum up.

        Raises:
            ConfigurationError: Its units are neither users nor sessions, or a measure
                is unknown.
        """
        first = (
            select(CALLS.c.unit_type)
            .where(*assigned(CALLS, CALLS.c.experiment == experiment))
            .limit(1)
        )
        kind = str(next((row["unit_type"] for row in self._rows(first)), None))
        if kind not in REFERENCES:
            raise ConfigurationError(
                f"what units of type {kind} did before the experiment is not known: only "
                f"{' and '.join(f'{each}s' for each in REFERENCES)} have calls before"
            )
        calls = self._summable()
        own = assigned(calls, calls.c.experiment == experiment)
        began = select(func.min(calls.c.started_at_us)).where(*own).scalar_subquery()
        reference = calls.c[REFERENCES[kind]]
        columns = [each for measure in measures for each in sums_of(calls, measure)]
        query = (
            select(
                reference.label("unit"),
                *(each.label(f"sum_{place}") for place, each in enumerate(columns)),
            )
            .where(
                calls.c.started_at_us < began,
                reference.in_(select(calls.c.unit_ref).where(*own)),
                not_in_shadow(calls),
            )
            .group_by(reference)
            .order_by(reference)
        )
        return [UnitBefore(unit, in_pairs(sums)) for unit, *sums in self._streamed(query)]
