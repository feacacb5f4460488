"""
What calls cost: arithmetic on sums, without any reading of its own.
"""

from collections.abc import Sequence

from modeltrail.stats.exact import rounded, sum_known
from modeltrail.storage.queries import Group


def cost_per_thousand_calls(group: Group) -> int | None:
    """
    Return what a thousand calls cost, in nano-dollars; None if that is unknown.

    Of the calls whose cost is known: those without would make it look cheap.
    """
    priced = group.calls - group.unpriced
    if group.cost_nanousd is None or priced == 0:
        return None
    return rounded(group.cost_nanousd * 1000, priced)


def total(groups: Sequence[Group]) -> Group:
    """
    Return all groups as one; a sum is None only where no group knows it.
    """
    return Group(
        key=(),
        calls=sum(group.calls for group in groups),
        errors=sum(group.errors for group in groups),
        unpriced=sum(group.unpriced for group in groups),
        input_tokens=sum_known(group.input_tokens for group in groups),
        output_tokens=sum_known(group.output_tokens for group in groups),
        cost_nanousd=sum_known(group.cost_nanousd for group in groups),
    )
