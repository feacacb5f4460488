"""
Calls as they are stored.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from modeltrail.record import CallRecord
from modeltrail.render.figures import count, money

if TYPE_CHECKING:
    from modeltrail.storage import Filters, Numbered, Store

# On PostgreSQL a number is given before its commit, so that a smaller one may
# appear after a larger one: that far back we look again.
OVERLAP = 1000


@dataclass(slots=True)
class Tally:
    """
    What was seen so far.
    """

    calls: int = 0
    errors: int = 0
    unpriced: int = 0
    cost_nanousd: int = 0

    def add(self, record: CallRecord) -> None:
        """
        Count a call.
        """
        self.calls += 1
        self.errors += record.status == "error"
        self.unpriced += record.cost_nanousd is None
        self.cost_nanousd += record.cost_nanousd or 0

    def summary(self) -> str:
        """
        Say it in a line.
        """
        return (
            f"calls {count(self.calls)}, errors {count(self.errors)}, "
            f"known cost {money(self.cost_nanousd)}, without one {count(self.unpriced)}"
        )


def follow(store: "Store", filters: "Filters", wait: Callable[[], object]) -> "Iterator[Numbered]":
    """
    Go through the calls stored from now on, as they come.

    Args:
        wait: Called whenever there is nothing new.
    """
    last = store.last_seq()
    known = {each.seq for each in _recent(store, filters, last) if each.seq <= last}
    return _new(store, filters, wait, last, known)


def _new(
    store: "Store", filters: "Filters", wait: Callable[[], object], last: int, known: set[int]
) -> "Iterator[Numbered]":
    while True:
        found = [each for each in _recent(store, filters, last) if each.seq not in known]
        yield from found
        last = max([last, *(each.seq for each in found)])
        known = {seq for seq in known if seq > last - OVERLAP}
        known |= {each.seq for each in found}
        wait()


def _recent(store: "Store", filters: "Filters", last: int) -> "list[Numbered]":
    again = msgspec.structs.replace(filters, after_seq=max(last - OVERLAP, 0))
    return store.calls(again, limit=None, newest_first=False)
