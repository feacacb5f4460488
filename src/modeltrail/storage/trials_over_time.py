"""
What the units of an experiment had done by and by: sums per variant, unit and span of time.

One pass over an experiment's calls, however many moments are looked at: what a unit had
done by some moment is the sum of what it did in the spans before.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, case, func, literal_column, select

from modeltrail.storage.measures import Measure, in_pairs, sums_of
from modeltrail.storage.outcomes import in_micros
from modeltrail.storage.trial_outcomes import TrialOutcomes
from modeltrail.storage.trials import assigned


class Times(NamedTuple):
    """
    When an experiment's calls started, microseconds UTC.
    """

    first_us: int
    last_us: int


class Spans(NamedTuple):
    """
    Spans of time of the same length, one after the other.

    Attributes:
        start_us: When the first begins; what is earlier counts as of it.
        width_us: How long each is, at least 1.
    """

    start_us: int
    width_us: int


class SpanSums(NamedTuple):
    """
    What one unit in one variant did in one span.

    Attributes:
        span: Which, from 0.
        sums: Total and count of each measure, in the order asked for.
    """

    span: int
    variant: str
    unit: str
    sums: tuple[tuple[int, int], ...]


class TrialsOverTime(TrialOutcomes):
    """
    Reads of experiments, span by span.
    """

    def trial_times(self, experiment: str) -> Times | None:
        """
        Return when an experiment's calls began and when the last one did; None if it has none.
        """
        calls = self._summable()
        at = calls.c.started_at_us
        query = select(func.min(at).label("first_us"), func.max(at).label("last_us"))
        (row,) = self._rows(query.where(*self._assigned(calls, experiment)))
        return None if row["first_us"] is None else Times(row["first_us"], row["last_us"])

    def crossed_units(self, experiment: str) -> frozenset[str]:
        """
        Return the units that were seen in more than one variant.
        """
        calls = self._summable()
        c = calls.c
        query = (
            select(c.unit_ref)
            .where(*self._assigned(calls, experiment))
            .group_by(c.unit_ref)
            .having(func.min(c.variant) < func.max(c.variant))
        )
        return frozenset(row["unit_ref"] for row in self._rows(query))

    def trial_spans(
        self, experiment: str, measures: Sequence[Measure], spans: Spans
    ) -> list[SpanSums]:
        """
        Return what units did, by the spans in which their calls started.

        Args:
            experiment: Its key.
            measures: What to sum up.

        Raises:
            ConfigurationError: A measure is unknown, or has a cap that it cannot have.
        """
        calls = self._summable()
        c = calls.c
        columns = [sum for each in measures for sum in sums_of(calls, each)]
        query = _by_span(
            select(
                c.unit_ref,
                c.variant,
                _span(c.started_at_us, spans),
                *(each.label(f"sum_{place}") for place, each in enumerate(columns)),
            ).where(*self._assigned(calls, experiment)),
            c,
        )
        return self._span_sums(query)

    def outcome_spans(self, experiment: str, name: str, spans: Spans) -> list[SpanSums]:
        """
        Return the sums of an outcome, by the spans in which it became known.

        One that was corrected counts from its correction on; of a unit those count that became
        known since its first call. The sum is in millionths.

        Args:
            experiment: Its key.
            name: Of the outcome.
        """
        found: list[SpanSums] = []
        for link in self._used_links():
            query = self._outcomes_of(experiment, name, link, spans)
            found += self._span_sums(query)
        return found

    def _span_sums(self, query: Select[Any]) -> list[SpanSums]:
        return [
            SpanSums(span, variant, unit, in_pairs(sums))
            for unit, variant, span, *sums in self._streamed(query)
        ]

    def _assigned(self, calls: FromClause, experiment: str) -> list[ColumnElement[bool]]:
        return assigned(calls, self._of_it(calls, experiment))

    def _outcomes_of(self, experiment: str, name: str, link: str, spans: Spans) -> Select[Any]:
        owners, told = self._owners(experiment, link), self._told(link, [name]).c
        counts = [told.at_us >= owners.c.since_us] if link == "unit_ref" else []
        return _by_span(
            select(
                owners.c.unit_ref,
                owners.c.variant,
                _span(told.at_us, spans),
                func.sum(in_micros(told.value)).label("sum_0"),
                func.count().label("sum_1"),
            )
            .join(owners, owners.c.link == told[link])
            .where(*counts),
            owners.c,
        )


def _span(at: Any, spans: Spans) -> ColumnElement[int]:
    since = at - spans.start_us
    return case((since < 0, 0), else_=since // spans.width_us).label("span")


def _by_span(query: Select[Any], keys: Any) -> Select[Any]:
    # By name: PostgreSQL does not see that two expressions with parameters are the same.
    return query.group_by(keys.unit_ref, keys.variant, literal_column("span"))
