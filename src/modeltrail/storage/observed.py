"""
What single calls of an experiment were like: for quantiles, which no sums per unit give.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, select

from modeltrail.errors import ConfigurationError
from modeltrail.storage.queries import Queries
from modeltrail.storage.trials import InPhase, assigned

# Of what each call has a value.
OBSERVED: Mapping[str, Callable[[Any], ColumnElement[int]]] = {
    "latency": lambda c: c.latency_us,
    "time_to_first_chunk": lambda c: c.time_to_first_chunk_us,
    "cost": lambda c: c.cost_nanousd,
    "tokens": lambda c: c.input_tokens + c.output_tokens,
}


class UnitValues(NamedTuple):
    """
    The values of one unit's calls in one variant, and in one feature if that was asked for.

    Attributes:
        feature: None if calls have none, or if it was not asked for.
        values: Whole numbers in the column's own unit, in no order.
    """

    variant: str
    unit: str
    feature: str | None
    values: "array[int]"


class ObservedQueries(Queries):
    """
    Reads of single calls of experiments.
    """

    def trial_values(
        self,
        experiment: str,
        name: str,
        *,
        by_feature: bool = False,
        phase: InPhase | None = None,
    ) -> list[UnitValues]:
        """
        Return a value of each call that has one, unit by unit: eight bytes for each in memory.

        Args:
            experiment: Its key.
            name: One of `OBSERVED`.
            by_feature: Whether each unit's calls are listed feature by feature.
            phase: Only the calls of this phase; by default all.

        Raises:
            ConfigurationError: Calls have no such value.
        """
        if name not in OBSERVED:
            raise ConfigurationError(f"calls have no value {name!r}: {', '.join(OBSERVED)}")
        calls = self._summable()
        value = OBSERVED[name](calls.c)
        keys = [calls.c.variant, calls.c.unit_ref, *([calls.c.feature] if by_feature else [])]
        found = self._listed(
            select(*keys, value).where(
                *assigned(calls, calls.c.experiment == experiment, phase), value.is_not(None)
            )
        )
        return [
            UnitValues(key[0], key[1], key[2] if by_feature else None, values)
            for key, values in sorted(found.items(), key=_order)
        ]

    def _listed(self, query: Select[Any]) -> "Mapping[tuple[Any, ...], array[int]]":
        listed: defaultdict[tuple[Any, ...], array[int]] = defaultdict(lambda: array("q"))
        for *key, value in self._streamed(query):
            listed[tuple(key)].append(value)
        return listed


def _order(item: "tuple[tuple[Any, ...], array[int]]") -> tuple[str, ...]:
    return tuple(each or "" for each in item[0])
