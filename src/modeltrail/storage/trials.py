"""
What the units of an experiment did: sums per variant and unit, and per feature if asked.

No call leaves the database: one pass over an experiment's calls gives all metrics.
Calls are those that were assigned, whatever served them; those in shadow do not count.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    String,
    and_,
    case,
    cast,
    func,
    null,
    or_,
    select,
)

from modeltrail.storage.measures import Measure, in_pairs, sums_of
from modeltrail.storage.queries import CALLS, STORED, Queries, one_if

# An experiment with more than this share of all calls is read by reading all of them.
SCAN_SHARE = 0.2
# Stands for a propensity that is not known.
_UNKNOWN_PPM = -1


class InPhase(NamedTuple):
    """
    Restricts reads to the calls of one phase.

    Attributes:
        name: The phase that calls were recorded with; None means those without one.
    """

    name: str | None


class TrialUnit(NamedTuple):
    """
    What one unit did in one variant, on the whole or in one feature.

    Attributes:
        feature: None on the whole, or if calls have none.
        unpriced: Calls that ended well and whose cost is not known.
        first_at_us: When the first of them started.
        first_feature: The feature of that one; None if it has none.
        propensity_ppm: With what probability it was given the variant; None if calls do
            not tell, or tell different ones.
        sums: Total and count of each measure, in the order asked for.
    """

    variant: str
    unit: str
    feature: str | None
    calls: int
    unpriced: int
    first_at_us: int
    first_feature: str | None
    propensity_ppm: int | None
    sums: tuple[tuple[int, int], ...]


class Trial(NamedTuple):
    """
    The calls of an experiment, summed up.

    Attributes:
        of_features: The same feature by feature; none if that was not asked for.
        unassigned: Calls without a variant or without a unit; they are in no sum.
        unit_type: What was randomised; None if the first call does not tell.
    """

    units: list[TrialUnit]
    unassigned: int
    unit_type: str | None
    of_features: Sequence[TrialUnit] = ()


class _Size(NamedTuple):
    calls: int
    unassigned: int
    unit_type: str | None


class Trials(Queries):
    """
    Reads of experiments.
    """

    def trial(
        self,
        experiment: str,
        measures: Sequence[Measure],
        *,
        by_feature: bool = False,
        phase: InPhase | None = None,
    ) -> Trial:
        """
        Return what the units of an experiment did.

        Args:
            experiment: Its key.
            measures: What to sum up.
            by_feature: Whether each unit's calls are summed up feature by feature, too.
            phase: Only the calls of this phase; by default all.

        Raises:
            ConfigurationError: A measure is unknown, or has a cap that it cannot have.
        """
        calls = self._summable()
        columns = [sum for each in measures for sum in sums_of(calls, each)]
        size = self._size(experiment)
        of_it = assigned(calls, self._of_it(calls, experiment, size), phase)
        query = _trial_query(calls, of_it, columns, by_feature)
        units = [_trial_unit(row) for row in self._streamed(query)]
        if not by_feature:
            return Trial(units, size.unassigned, size.unit_type)
        whole = [_whole(list(own)) for _, own in groupby(units, itemgetter(0, 1))]
        return Trial(whole, size.unassigned, size.unit_type, units)

    def trial_phases(self, experiment: str) -> list[str | None]:
        """
        Return the phases that assigned calls of an experiment were recorded with.
        """
        calls = self._summable()
        of_it = assigned(calls, self._of_it(calls, experiment))
        query = select(calls.c.phase).where(*of_it).distinct()
        found = [row["phase"] for row in self._rows(query)]
        return sorted(found, key=lambda name: name or "")

    def _of_it(
        self, calls: FromClause, experiment: str, size: _Size | None = None
    ) -> ColumnElement[bool]:
        """
        Return what tells an experiment's calls; how many they are decides how they are found.

        Args:
            size: Of the experiment, if it is known.
        """
        told = calls.c.experiment
        is_large = (size or self._size(experiment)).calls > self.last_seq() * SCAN_SHARE
        return self._many(told, [experiment]) if is_large else told == experiment

    def _size(self, experiment: str) -> _Size:
        # Late facts change no assignment, and in SQLite an index has all of it.
        c = (STORED if self._engine.dialect.name == "sqlite" else CALLS).c
        of_it = c.experiment == experiment
        sized = select(
            func.count().label("calls"),
            func.count(case((or_(c.variant.is_(None), c.unit_ref.is_(None)), 1))).label("lacking"),
        )
        kind = select(c.unit_type).where(of_it).limit(1)
        (row,), first = self._rows(sized.where(of_it)), self._rows(kind)
        return _Size(row["calls"], row["lacking"], first[0]["unit_type"] if first else None)


def _trial_query(
    calls: FromClause,
    of_it: Sequence[ColumnElement[bool]],
    columns: Sequence[ColumnElement[Any]],
    by_feature: bool,
) -> Select[Any]:
    """
    Return the query for the rows of units; by feature, those of one unit follow each other.
    """
    c = calls.c
    # The unit first: most comparisons of a sort end there.
    keys = [c.unit_ref, c.variant, *([c.feature] if by_feature else [])]
    ppm = func.coalesce(c.propensity_ppm, _UNKNOWN_PPM)
    found = (
        select(
            c.variant,
            c.unit_ref,
            c.feature if by_feature else null(),
            func.count().label("calls"),
            func.sum(one_if(and_(c.cost_nanousd.is_(None), c.status == "ok"))).label("unpriced"),
            # Of one feature it is enough to put the text together once.
            _beginning(func.min(c.started_at_us), c)
            if by_feature
            else func.min(_beginning(c.started_at_us, c)),
            func.min(ppm).label("least_ppm"),
            func.max(ppm).label("most_ppm"),
            *(each.label(f"sum_{place}") for place, each in enumerate(columns)),
        )
        .where(*of_it)
        .group_by(*keys)
    )
    return found.order_by(*keys) if by_feature else found


def _beginning(at_us: ColumnElement[int], c: Any) -> ColumnElement[str]:
    """
    Return a text of which the least tells the first call's feature: a time of 16 digits before it.
    """
    return cast(at_us, String(20)) + " " + func.coalesce(c.feature, "")


def assigned(
    calls: FromClause, of_it: ColumnElement[bool], phase: InPhase | None = None
) -> list[ColumnElement[bool]]:
    """
    Return what calls must fulfil to count.

    Args:
        of_it: That they are of the experiment.
    """
    c = calls.c
    return [
        of_it,
        c.variant.is_not(None),
        c.unit_ref.is_not(None),
        not_in_shadow(calls),
        *([] if phase is None else [c.phase.is_not_distinct_from(phase.name)]),
    ]


def not_in_shadow(calls: FromClause) -> ColumnElement[bool]:
    """
    Return what calls must fulfil not to be in shadow.
    """
    return or_(calls.c.shadow.is_(None), calls.c.shadow.is_(False))


def _trial_unit(row: Sequence[Any]) -> TrialUnit:
    variant, unit, feature, calls, unpriced, first, least_ppm, most_ppm, *found = row
    first_at_us, _, first_feature = first.partition(" ")
    return TrialUnit(
        variant,
        unit,
        feature,
        calls,
        int(unpriced),
        int(first_at_us),
        first_feature or None,
        _propensity(least_ppm, most_ppm),
        in_pairs(found),
    )


def _whole(parts: Sequence[TrialUnit]) -> TrialUnit:
    """
    Put what a unit did in its features together.
    """
    first = min(parts, key=lambda each: (each.first_at_us, each.first_feature or ""))
    ppm = {each.propensity_ppm for each in parts}
    return first._replace(
        feature=None,
        calls=sum(each.calls for each in parts),
        unpriced=sum(each.unpriced for each in parts),
        propensity_ppm=first.propensity_ppm if len(ppm) == 1 else None,
        sums=tuple(
            (sum(total for total, _ in each), sum(count for _, count in each))
            for each in zip(*(each.sums for each in parts), strict=True)
        ),
    )


def _propensity(least_ppm: int, most_ppm: int) -> int | None:
    return least_ppm if least_ppm == most_ppm != _UNKNOWN_PPM else None
