"""
The cost of a record, from its columns.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from modeltrail.prices.book import NO_BOOK, PriceBook
from modeltrail.prices.cost import CACHED, UNPRICED, Cost, Subject
from modeltrail.prices.quote import price
from modeltrail.record import USAGE_COLUMNS, Usage


def cost_of(columns: Mapping[str, Any], book: PriceBook = NO_BOOK) -> Cost:
    """
    Return what a call cost: what its usage costs, else what the framework or provider says.
    """
    if columns.get("cache_hit"):
        return CACHED
    computed = _computed(columns, book)
    reported = columns.get("cost_reported_nanousd")
    if computed.nanousd is None and reported is not None:
        return Cost(reported, "reported")
    return computed


def _computed(columns: Mapping[str, Any], book: PriceBook) -> Cost:
    model = columns.get("response_model") or columns.get("request_model")
    if model is None:
        return UNPRICED
    subject = Subject(
        columns.get("provider"), model, columns["started_at_us"], columns.get("service_tier")
    )
    return price(_usage_of(columns), subject, operation=columns["operation"], book=book)


def _usage_of(columns: Mapping[str, Any]) -> Usage:
    found = {name: columns[name] for name in USAGE_COLUMNS if name in columns}
    detail = columns.get("usage_detail")
    return Usage(
        **found,
        detail=msgspec.json.decode(detail) if detail else None,
        source=columns.get("usage_source", "missing"),
    )
