"""
What it costs that Claude answers in the United States only.

1.1 times the price of every token since Claude 4.6, whatever else changes that price; nothing
for models before it, nor for searches: platform.claude.com/docs/en/about-claude/pricing ("Data
residency pricing"). LiteLLM's map has the same factor. It is known by the tier: see
`modeltrail.usage.beside`.
"""

import re
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

US_ONLY = "us-only"
COMPANY = "anthropic"
FACTOR = Decimal("1.1")
FIRST = (4, 6)
# claude-opus-4-6, claude-fable-5, claude-3-5-haiku-latest; a date is no version.
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d)(?:[-.](\d{1,2}))?(?!\d)")


def tier_elsewhere(tier: str) -> str:
    """
    Return the tier that a call in the United States has had otherwise.
    """
    return tier.removesuffix(US_ONLY).removesuffix("-") or "default"


def factor(model: str) -> Decimal | None:
    """
    Return how many times a model's price that is; None if its version cannot be told.
    """
    found = _VERSION.match(model)
    if found is None:
        return None
    return FACTOR if (int(found[1]), int(found[2] or 0)) >= FIRST else Decimal(1)


# By the identity of a price and its factor; the value holds the price.
_TIMES: "dict[tuple[int, Decimal], tuple[ModelPrice, ModelPrice]]" = {}


def times(price: "ModelPrice", factor: Decimal) -> "ModelPrice":
    """
    Return a price whose tokens cost so many times as much; the same object each time.
    """
    key = id(price), factor
    if key not in _TIMES:
        _TIMES[key] = (price, _times(price, factor))
    return _TIMES[key][1]


def _times(price: "ModelPrice", factor: Decimal) -> "ModelPrice":
    from genai_prices.types import ModelPrice, Tier, TieredPrices

    def dearer(rate: object) -> Decimal | TieredPrices | None:
        if isinstance(rate, TieredPrices):
            tiers = [Tier(start=each.start, price=each.price * factor) for each in rate.tiers]
            return TieredPrices(base=rate.base * factor, tiers=tiers)
        return rate * factor if isinstance(rate, Decimal) else None

    told = vars(price).items()
    return ModelPrice(
        **{name: dearer(rate) if name.endswith("_mtok") else rate for name, rate in told}
    )
