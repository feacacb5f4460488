"""
What is priced, and the price that it has.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from msgspec import Struct

from modeltrail.record import CostSource, Operation, Usage

MILLION = 1_000_000
# Others are billed by the picture, the second or the search, too, which no usage tells.
BY_TOKEN: frozenset[Operation] = frozenset({"chat", "text_completion", "embeddings"})
HOUR_WRITES = "cache_creation_1h_input_tokens"
# Of the figures beside the columns these are billed as what they are a part of.
_NO_PRICE_OF_THEIR_OWN = frozenset(
    {
        "cache_creation_5m_input_tokens",
        "cache_read_input_document_tokens",
        "cache_read_input_text_tokens",
        "input_document_tokens",
        "output_document_tokens",
        "tool_input_tokens",
        *(f"tool_input_{kind}_tokens" for kind in ("audio", "document", "image", "video")),
    }
)
# Mostly billed as input of any kind is; prices that say otherwise are found by their figures.
SEEN_INPUT = frozenset(
    f"{part}_{kind}_tokens" for part in ("input", "cache_read_input") for kind in ("image", "video")
)


class Cost(Struct, frozen=True):
    """
    An amount and where it comes from.

    Attributes:
        nanousd: Billionths of a US dollar, None if the price is not known.
        price_id: The price used, None if there was none.
    """

    nanousd: int | None
    source: CostSource
    price_id: str | None = None


UNPRICED = Cost(None, "none")
CACHED = Cost(0, "cache")


class Subject(Struct, frozen=True):
    """
    What a price is asked for.

    Attributes:
        provider: Who served the model; None looks the model up by its name
            alone, which the price's id then says.
        model: The model that answered, or else the one asked for.
        at_us: When the call started, microseconds UTC.
        service_tier: The tier that served it, in the provider's word.
    """

    provider: str | None
    model: str
    at_us: int
    service_tier: str | None = None


class Rates(NamedTuple):
    """
    US dollars for one token of each kind.

    Attributes:
        hour_creation: Of a token that is kept in the cache for an hour; None
            if that is not known.
        output: None if that is not known, or there is none.
    """

    uncached_input: Decimal
    cache_read: Decimal
    cache_creation: Decimal
    hour_creation: Decimal | None
    output: Decimal | None

    def times(self, factor: Decimal) -> "Rates":
        """
        Return all of them, so many times as high.
        """
        return Rates(*(None if rate is None else rate * factor for rate in self))  # type: ignore[arg-type]


class ListPrice(NamedTuple):
    """
    What each token of a call costs by the published price.
    """

    price_id: str
    rates: Rates


def is_complete(usage: Usage, operation: Operation) -> bool:
    """
    Tell whether usage has all that is billed.
    """
    if operation not in BY_TOKEN or usage.input_tokens is None or usage.source == "partial":
        return False
    return usage.output_tokens is not None or operation == "embeddings"


def is_plain(usage: Usage, *, but_for: frozenset[str] = frozenset()) -> bool:
    """
    Tell whether `Rates` are all that it takes to price usage: no audio, pictures or searches.

    Args:
        but_for: Figures that do not matter.
    """
    if not (detail := usage.detail):
        return True
    plain = _NO_PRICE_OF_THEIR_OWN | {HOUR_WRITES} | but_for
    return not any(detail[name] for name in detail.keys() - plain)


def dollars(usage: Usage, rates: Rates) -> Decimal | None:
    """
    Return what complete and plain usage costs; None if a rate of it is not known, or its figures
    do not add up.
    """
    read = usage.cache_read_input_tokens or 0
    creation = usage.cache_creation_input_tokens or 0
    hour = (usage.detail or {}).get(HOUR_WRITES, 0)
    output = usage.output_tokens or 0
    uncached = (usage.input_tokens or 0) - read - creation
    if uncached < 0 or hour > creation:
        return None
    if (hour and rates.hour_creation is None) or (output and rates.output is None):
        return None
    amount = rates.uncached_input * uncached + (rates.output or 0) * output
    if read or creation:
        amount += rates.cache_read * read + rates.cache_creation * (creation - hour)
    return amount + (rates.hour_creation or 0) * hour if hour else amount


def nano(amount: Decimal) -> int:
    """
    Return dollars in nano-dollars, rounded half-even.
    """
    return int((amount * 10**9).to_integral_value(ROUND_HALF_EVEN))
