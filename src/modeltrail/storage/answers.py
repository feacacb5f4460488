"""
Named reads for those who choose routes: single calls, and how good they were.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Float, Select, cast, func, select

from modeltrail.storage.dimensions import Keys
from modeltrail.storage.outcomes import counting
from modeltrail.storage.queries import CALLS, Filters, Queries, conditions, whole

# What calls to one question have in common, beside the dimensions.
TRACE = "trace"
_OWN = (
    "id",
    "trace_id",
    "session_ref",
    "unit_ref",
    "user_ref",
    "status",
    "cost_nanousd",
    "propensity_ppm",
    "phase",
)


class RoutedCall(NamedTuple):
    """
    What a choice of routes needs of one call.

    Attributes:
        id: The call's.
        arm: The variant that it was assigned, or the model that served it: what
            is chosen between. None if the call does not tell.
        segment: Kind of call that a route may depend on; None if it has none.
        question: What calls that answer the same question have in common; None if
            nothing was asked for, or the call does not tell.
        cost_nanousd: None if unknown.
        propensity_ppm: Probability of the variant, parts per million; None if
            it was not logged.
        phase: The plan by which the variant was drawn.
    """

    id: str
    trace_id: str | None
    session_ref: str | None
    unit_ref: str | None
    user_ref: str | None
    status: str
    cost_nanousd: int | None
    propensity_ppm: int | None
    phase: str | None
    arm: str | None
    segment: str | None
    question: str | None


class OutcomeValues(NamedTuple):
    """
    The values of one outcome, by what it belongs to.

    Attributes:
        of_call: The value recorded last, by call id; of a trace and a session likewise.
        of_unit: The mean of all values, by unit: a unit does one thing after another.
    """

    of_call: Mapping[str, float]
    of_trace: Mapping[str, float]
    of_session: Mapping[str, float]
    of_unit: Mapping[str, float]


class AnswerQueries(Queries):
    """
    Reads of what was answered, by whom, at what cost, and how well.
    """

    def routed_calls(
        self,
        arm: str,
        segment: str,
        filters: Filters = Filters(),
        *,
        question: str | None = None,
    ) -> Iterator[RoutedCall]:
        """
        Return single calls, in the order they were stored, as they are read.

        A hit of a cache says nothing about a model, and is left out. Nobody saw what
        was answered in shadow; it counts only where answers to the same
        question are put together.

        Args:
            arm: The dimension to choose between.
            segment: The dimension that a route may depend on.
            question: The dimension that calls to the same question share, or `trace`.

        Raises:
            ConfigurationError: A dimension is unknown.
        """
        dialect = self._engine.dialect.name
        pair = [] if question in {None, TRACE} else [str(question)]
        keys = Keys([arm, segment, *pair], CALLS, dialect)
        wanted = [*conditions(filters), _is_not(CALLS.c.cache_hit)]
        if question is None:
            wanted.append(_is_not(CALLS.c.shadow))
        own = [CALLS.c[name] for name in _OWN]
        query = select(*own, *keys.columns).where(*wanted).order_by(CALLS.c.seq)
        return (_routed(row, keys, question) for row in self._streamed(query))

    def outcome_values(self, name: str) -> OutcomeValues:
        """
        Return an outcome's values: of a call, trace or session the last, of a unit the mean.
        """
        return OutcomeValues(
            of_call=self._last(name, "call_id"),
            of_trace=self._last(name, "trace_id"),
            of_session=self._last(name, "session_ref"),
            of_unit=self._means(name),
        )

    def _last(self, name: str, link: str) -> dict[str, float]:
        told = counting(link)
        query = select(told.c[link].label("whose"), cast(told.c.value, Float).label("value"))
        return self._by_subject(query.where(told.c.name == name))

    def _means(self, name: str) -> dict[str, float]:
        told = counting("unit_ref").c
        query = (
            select(told.unit_ref.label("whose"), func.avg(cast(told.value, Float)).label("value"))
            .where(told.name == name, told.unit_ref.is_not(None))
            .group_by(told.unit_ref)
        )
        return self._by_subject(query)

    def _by_subject(self, query: Select[Any]) -> dict[str, float]:
        return {str(whose): float(value) for whose, value in self._streamed(query)}


def _is_not(flag: Any) -> Any:
    return func.coalesce(flag, False).is_(False)


def _routed(row: Sequence[Any], keys: Keys, question: str | None) -> RoutedCall:
    id, trace_id, session_ref, unit_ref, user_ref, status, cost_nanousd, ppm, phase, *found = row
    arm, segment, *pair = keys.read(found)
    return RoutedCall(
        str(id),
        trace_id,
        session_ref,
        unit_ref,
        user_ref,
        status,
        whole(cost_nanousd),
        ppm,
        phase,
        arm,
        segment,
        trace_id if question == TRACE else (pair[0] if pair else None),
    )
