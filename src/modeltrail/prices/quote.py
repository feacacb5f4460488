"""
The price of a call, one's own before the published one.
"""

import os
from collections.abc import Mapping

from modeltrail.prices import data, listed
from modeltrail.prices.book import NO_BOOK, PriceBook
from modeltrail.prices.cost import (
    HOUR_WRITES,
    UNPRICED,
    Cost,
    ListPrice,
    Rates,
    Subject,
    is_complete,
    is_plain,
    nano,
)
from modeltrail.record import CostSource, Operation, Usage


def load(environ: Mapping[str, str] = os.environ) -> None:
    """
    Load the published prices, on the thread that opens a trail.

    Not on the writer's: genai-prices imports an HTTP client, and a library
    that looks for that client in `sys.modules` while it is half imported, as
    openai does at every request, would fail in the application's own call.

    Raises:
        ConfigurationError: The file of newer prices is damaged.
    """
    data.use(environ)
    # Pricing anything at all imports the rest of it.
    one = Usage(input_tokens=1, output_tokens=1, source="provider")
    price(one, Subject("openai", "gpt-4o-mini", 0), operation="chat")


def price(
    usage: Usage, subject: Subject, *, operation: Operation, book: PriceBook = NO_BOOK
) -> Cost:
    """
    Price a call by its usage, at the price of its time.

    Returns:
        The cost, rounded half-even to a nano-dollar. An unknown model or
        tier, or usage that leaves a billed count open, costs None: never 0.
    """
    if not is_complete(usage, operation):
        return UNPRICED
    if (own := book.find(subject)) is not None:
        return own.cost(usage, subject)
    found = listed.find(usage, subject)
    return UNPRICED if found is None else Cost(nano(found.dollars), "genai-prices", found.price_id)


def list_price(usage: Usage, subject: Subject, *, operation: Operation) -> ListPrice | None:
    """
    Return the rates of a call, None if its price is more than rates times tokens, or unknown.

    More are prices that change with the size of the input, prices of audio,
    and of what is written to a cache for an hour.
    """
    if not is_complete(usage, operation) or not is_plain(usage):
        return None
    if (usage.detail or {}).get(HOUR_WRITES):
        return None
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    found = listed.priced(subject)
    rates = found and listed.plain_rates(found[0])
    if not (found and rates) or cached > (usage.input_tokens or 0):
        return None
    return ListPrice(found[1], rates)


def rates_of(subject: Subject, book: PriceBook = NO_BOOK) -> tuple[Rates, CostSource, str] | None:
    """
    Return the rates of a model, where they come from, and the id of the price.

    Returns:
        None if it has no price, or one that is not a rate per kind of token.
    """
    if (own := book.find(subject)) is not None:
        rates = own.rates(subject)
        return None if rates is None else (rates, "custom", own.price_id)
    found = listed.priced(subject)
    rates = found and listed.plain_rates(found[0])
    return None if not (found and rates) else (rates, "genai-prices", found[1])
