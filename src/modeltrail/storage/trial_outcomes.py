"""
What came of the calls of an experiment: sums of outcomes per variant and unit.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, and_, case, func, not_, select, true

from modeltrail.storage.outcomes import LINKS, OUTCOMES, counting, in_micros
from modeltrail.storage.queries import one_if
from modeltrail.storage.trials import InPhase, Trials, assigned


class OutcomeSums(NamedTuple):
    """
    An outcome of one unit in one variant.

    Attributes:
        name: Of the outcome.
        feature: Of the call that it belongs to; None for outcomes of traces,
            sessions and units, which belong to no feature.
        total_micros: The sum of its values, in millionths.
        values: How many there are.
        others: How many are neither 0 nor 1.
        early: How many more there are that were known before the unit's first call, and are
            in no other figure.
    """

    name: str
    variant: str
    unit: str
    feature: str | None
    total_micros: int
    values: int
    others: int
    early: int = 0


class TrialOutcomes(Trials):
    """
    Reads of the outcomes of experiments.
    """

    def trial_outcomes(
        self,
        experiment: str,
        names: Sequence[str] | None = None,
        *,
        by_feature: bool = False,
        phase: InPhase | None = None,
    ) -> list[OutcomeSums]:
        """
        Return the outcomes of an experiment, whether they are of calls, traces, sessions or units.

        A trace or a session whose calls are of several variants or units gives its
        outcome to each of them. Of what is told again of the same call, trace or
        session the last counts; of a unit all that became known since its first call:
        what it did before no variant can have changed.

        Args:
            experiment: Its key.
            names: Which outcomes; by default all.
            by_feature: Whether outcomes of calls are summed up feature by feature.
            phase: Only outcomes of the calls of this phase; by default all.
        """
        names = self.all_outcome_names() if names is None else names
        found: list[OutcomeSums] = []
        for link in self._used_links():
            owners = self._owners(experiment, link, phase, by_feature=by_feature)
            query = _outcome_query(owners, self._told(link, names), link)
            found += [_outcome_sums(row) for row in self._rows(query)]
        return found

    def all_outcome_names(self) -> list[str]:
        """
        Return the names of all outcomes.
        """
        return sorted(row["name"] for row in self._rows(select(OUTCOMES.c.name).distinct()))

    def _used_links(self) -> list[str]:
        used = [func.count(OUTCOMES.c[link]).label(link) for link in LINKS]
        (row,) = self._rows(select(*used))
        return [link for link in LINKS if row[link]]

    def _owners(
        self, experiment: str, link: str, phase: InPhase | None = None, *, by_feature: bool = False
    ) -> FromClause:
        """
        Return to whom the outcomes of an experiment belong, as `_owners_of` does.
        """
        calls = self._summable()
        of_it = assigned(calls, self._many(calls.c.experiment, [experiment]), phase)
        return _owners_of(calls, link, of_it, by_feature=by_feature)

    def _told(self, link: str, names: Sequence[str]) -> FromClause:
        """
        Return the outcomes of some names that count.
        """
        name = OUTCOMES.c.name
        # An index finds those of a unit; the others are found by what they belong to.
        named = name.in_(names) if link == "unit_ref" else self._many(name, names)
        return counting(link, named)


def _outcome_query(owners: FromClause, told: FromClause, link: str) -> Select[Any]:
    keys = [told.c.name, *(each for each in owners.c if each.name not in {"link", "since_us"})]
    counts = told.c.at_us >= owners.c.since_us if link == "unit_ref" else true()
    value = told.c.value
    return (
        select(
            *keys,
            func.sum(case((counts, in_micros(value)), else_=0)).label("total_micros"),
            func.sum(one_if(counts)).label("values"),
            func.sum(one_if(and_(counts, value.not_in((0, 1))))).label("others"),
            func.sum(one_if(not_(counts))).label("early"),
        )
        .join(owners, owners.c.link == told.c[link])
        .group_by(*keys)
    )


def _owners_of(
    calls: FromClause,
    link: str,
    of_it: Sequence[ColumnElement[bool]],
    *,
    by_feature: bool = False,
) -> FromClause:
    """
    Return to whom outcomes belong: their `link`, with the variant and the unit of its calls.

    Args:
        link: One of `LINKS`. Those of a unit have `since_us`, when its first call started.
        of_it: What calls must fulfil to count.
        by_feature: Whether those of a call have its feature.
    """
    c = calls.c
    if link == "unit_ref":
        since = func.min(c.started_at_us).label("since_us")
        owners = select(c.unit_ref.label("link"), c.variant, c.unit_ref, since)
        return owners.where(*of_it).group_by(c.unit_ref, c.variant).subquery("owners")
    if link == "call_id":
        feature = [c.feature] if by_feature else []
        owners = select(c.id.label("link"), c.variant, c.unit_ref, *feature)
        return owners.where(*of_it).subquery("owners")
    owners = select(c[link].label("link"), c.variant, c.unit_ref)
    return owners.where(*of_it).distinct().subquery("owners")


def _outcome_sums(row: Mapping[str, Any]) -> OutcomeSums:
    return OutcomeSums(
        name=row["name"],
        variant=row["variant"],
        unit=row["unit_ref"],
        feature=row.get("feature"),
        total_micros=int(row["total_micros"] or 0),
        values=int(row["values"]),
        others=int(row["others"]),
        early=int(row["early"]),
    )
