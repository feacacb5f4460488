"""
What calls would cost by the prices of today's knowledge, and the amendments that say so.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from modeltrail.ids import now_us, uuid7
from modeltrail.prices import Cost, PriceBook, cost_of
from modeltrail.record import CallRecord
from modeltrail.storage.rows import Batch, Row, event_row

WHY = "prices-recomputed"
# Amendments of so many calls are stored in one transaction.
CALLS_AT_ONCE = 5_000


class Change(NamedTuple):
    """
    A call whose cost is another one.

    Attributes:
        before: The cost that it has, None if it has none.
        cost: The one that it should have.
    """

    record: CallRecord
    before: int | None
    cost: Cost


class ModelChange(NamedTuple):
    """
    The calls of a model whose cost is another one, summed up.

    Attributes:
        newly_priced: How many of them had no cost.
        before_nanousd: What they cost; those without a cost as nothing.
        after_nanousd: What they should cost; likewise.
    """

    provider: str | None
    model: str | None
    calls: int
    newly_priced: int
    before_nanousd: int
    after_nanousd: int


def changes(records: Iterable[CallRecord], book: PriceBook) -> Iterator[Change]:
    """
    Find the calls whose cost is not the one of these prices.

    A cost stays where these prices know none, where it is the application's
    own (without a price), and, without a file of prices, where it comes from
    such a file.
    """
    for record in records:
        if _is_settled(record, book):
            continue
        cost = cost_of(msgspec.structs.asdict(record), book)
        if cost.source in {"none", "reported"} and record.cost_nanousd is not None:
            continue
        if cost.nanousd != record.cost_nanousd:
            yield Change(record, record.cost_nanousd, cost)


def _is_settled(record: CallRecord, book: PriceBook) -> bool:
    if record.cost_nanousd is None or record.cost_source != "custom":
        return False
    return record.price_id is None or not book.prices


def by_model(found: Iterable[Change]) -> list[ModelChange]:
    """
    Sum changes up, the largest difference first.
    """
    sums: dict[tuple[str | None, str | None], ModelChange] = {}
    for record, before, cost in found:
        key = (record.provider, record.response_model or record.request_model)
        known = sums.get(key, ModelChange(*key, 0, 0, 0, 0))
        sums[key] = known._replace(
            calls=known.calls + 1,
            newly_priced=known.newly_priced + (before is None),
            before_nanousd=known.before_nanousd + (before or 0),
            after_nanousd=known.after_nanousd + (cost.nanousd or 0),
        )
    return sorted(sums.values(), key=lambda each: -abs(each.after_nanousd - each.before_nanousd))


def amendments(found: Sequence[Change], *, prices: str, window: str) -> Iterator[Batch]:
    """
    Return what is to be stored: an event that tells of all, then the new costs.

    Args:
        prices: By what prices it was done.
        window: Of which calls.
    """
    now = now_us()
    event_id = uuid7(now)
    detail = {
        "prices": prices,
        "window": window,
        "calls": len(found),
        "before_nanousd": sum(each.before or 0 for each in found),
        "after_nanousd": sum(each.cost.nanousd or 0 for each in found),
    }
    yield Batch(event=[event_row(WHY, detail, event_id)])
    for start in range(0, len(found), CALLS_AT_ONCE):
        part = found[start : start + CALLS_AT_ONCE]
        yield Batch(amendment=[row for each in part for row in _rows(each, now, event_id)])


def _rows(change: Change, now: int, event_id: str) -> Iterator[Row]:
    record, cost = change.record, change.cost
    fields = {
        "cost_nanousd": cost.nanousd,
        "cost_source": cost.source,
        "price_id": cost.price_id,
    }
    for field, value in fields.items():
        text = msgspec.json.encode(value).decode()
        origin = f"{event_id}:{record.id}"
        yield (record.id, record.started_at_us, now, field, text, WHY, origin)
