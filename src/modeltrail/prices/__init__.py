"""
What a call cost: usage x model x the price at the call's time.

A price of the user's own (`PriceBook`) wins over the published one.
"""

from modeltrail.prices.book import NO_BOOK, PriceBook, read_book
from modeltrail.prices.columns import cost_of
from modeltrail.prices.cost import HOUR_WRITES, MILLION, Cost, ListPrice, Rates, Subject
from modeltrail.prices.listed import rates_at
from modeltrail.prices.quote import list_price, load, price, rates_of

__all__ = (
    "HOUR_WRITES",
    "MILLION",
    "NO_BOOK",
    "Cost",
    "ListPrice",
    "PriceBook",
    "Rates",
    "Subject",
    "cost_of",
    "list_price",
    "load",
    "price",
    "rates_at",
    "rates_of",
    "read_book",
)
