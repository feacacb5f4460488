"""
When the units of an experiment came.
"""

from typing import NamedTuple

from sqlalchemy import BigInteger, Text, column, func, select, table

from modeltrail.storage.queries import CALLS, Queries

_EXPOSURES = table(
    "exposures", column("experiment", Text), column("unit_ref"), column("at_us", BigInteger)
)


class Arrivals(NamedTuple):
    """
    How the units of an experiment came.

    Attributes:
        first_us: When each unit made its first call, microseconds UTC, the earliest first.
        last_us: When the last call of all was made; 0 if there is none.
    """

    first_us: list[int]
    last_us: int


class ArrivalQueries(Queries):
    """
    Reads of when experiments got their units.
    """

    def arrivals(self, experiment: str) -> Arrivals:
        """
        Return when the units of an experiment came.

        Args:
            experiment: Its key.
        """
        first = (
            select(func.min(_EXPOSURES.c.at_us).label("at_us"))
            .where(_EXPOSURES.c.experiment == experiment)
            .group_by(_EXPOSURES.c.unit_ref)
        )
        last = select(func.max(CALLS.c.started_at_us).label("at_us")).where(
            CALLS.c.experiment == experiment
        )
        found = sorted(int(row["at_us"]) for row in self._rows(first))
        return Arrivals(found, int(self._rows(last)[0]["at_us"] or 0))
