"""
What a call cost: usage x model x the price at the call's time.

Prices come from the data bundled with genai-prices, which is imported when a
trail is opened (some 0.4 s of CPU) and not before. Its general calculation
takes some 200 us, so for prices that are plain rates per token the four rates
are worked out once per price and applied as exact decimals.
"""

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from modeltrail.record import CostSource, Operation, Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

MILLION = 1_000_000
# Others are billed by the picture, the second or the search, too, which no usage tells.
BY_TOKEN: frozenset[Operation] = frozenset({"chat", "text_completion", "embeddings"})


class Cost(NamedTuple):
    """
    An amount and where it comes from.

    Attributes:
        nanousd: Billionths of a US dollar, None if the price is not known.
        price_id: The price used, None if there was none.
    """

    nanousd: int | None
    source: CostSource
    price_id: str | None = None


class Rates(NamedTuple):
    """
    US dollars for one token of each kind.
    """

    uncached_input: Decimal
    cache_read: Decimal
    cache_creation: Decimal
    output: Decimal


UNPRICED = Cost(None, "none")
CACHED = Cost(0, "cache")


def load() -> None:
    """
    Load the prices, on the thread that opens a trail.

    Not on the writer's: genai-prices imports an HTTP client, and a library
    that looks for that client in `sys.modules` while it is half imported, as
    openai does at every request, would fail in the application's own call.
    """
    # Pricing anything at all imports the rest of it.
    one = Usage(input_tokens=1, output_tokens=1, source="provider")
    price(one, operation="chat", provider="openai", model="gpt-4o-mini", at_us=0)


def price(
    usage: Usage,
    *,
    operation: Operation,
    provider: str | None,
    model: str | None,
    at_us: int,
) -> Cost:
    """
    Price a call by its usage at the time it started.

    Args:
        provider: Who served the model; None looks the model up by its name
            alone, which `price_id` then says.
        model: The model that answered, or else the one asked for.
        at_us: When the call started, microseconds UTC.

    Returns:
        The cost, rounded half-even to a nano-dollar. An unknown model, or
        usage that leaves a billed count open, costs None: never 0.
    """
    if model is None or not _is_complete(usage, operation):
        return UNPRICED
    found = _find(provider, model)
    if found is None:
        return UNPRICED
    info, price_id = found
    at = datetime.fromtimestamp(at_us / MILLION, UTC)
    dollars = _dollars(usage, info.get_prices(at))
    return UNPRICED if dollars is None else Cost(_nano(dollars), "genai-prices", price_id)


def _is_complete(usage: Usage, operation: Operation) -> bool:
    if operation not in BY_TOKEN or usage.input_tokens is None or usage.source == "partial":
        return False
    return usage.output_tokens is not None or operation == "embeddings"


@lru_cache(maxsize=1024)
def _find(provider: str | None, model: str) -> "tuple[ModelInfo, str] | None":
    """
    Return what is known of a model, and the id of its price.
    """
    from genai_prices import __version__, data_snapshot

    try:
        snapshot = data_snapshot.get_snapshot()
        company, info = snapshot.find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    by = "" if provider else ":by-model-name"
    return info, f"genai-prices:{__version__}:{company.id}/{info.id}{by}"


def _dollars(usage: Usage, model_price: "ModelPrice") -> Decimal | None:
    if usage.detail or not (rates := _rates(model_price)):
        return _general(usage, model_price)
    read = usage.cache_read_input_tokens or 0
    creation = usage.cache_creation_input_tokens or 0
    uncached = (usage.input_tokens or 0) - read - creation
    if uncached < 0:
        return None  # the figures do not add up
    return (
        rates.uncached_input * uncached
        + rates.cache_read * read
        + rates.cache_creation * creation
        + rates.output * (usage.output_tokens or 0)
    )


# Keyed by identity, since a price cannot be hashed; the value holds the price
# so that its identity is not given to another one.
_RATES: "dict[int, tuple[ModelPrice, Rates | None]]" = {}


def _rates(model_price: "ModelPrice") -> Rates | None:
    """
    Return the rates of a price, None if it is not just rates per token.
    """
    known = _RATES.get(id(model_price))
    if known is None:
        known = _RATES[id(model_price)] = (model_price, _read_rates(model_price))
    return known[1]


def _read_rates(model_price: "ModelPrice") -> Rates | None:
    plain = {"input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"}
    prices = {name: value for name, value in vars(model_price).items() if value is not None}
    # Prices of other units (pictures, searches) do not touch calls that have none of them.
    if any(not isinstance(prices[name], Decimal) for name in plain & prices.keys()):
        return None
    if "requests_kcount" in prices or "output_reasoning_mtok" in prices:
        return None

    def per_token(**counts: int) -> Decimal:
        return model_price.calc_price(_general_usage(**counts))["total_price"] / MILLION

    return Rates(
        uncached_input=per_token(input_tokens=MILLION),
        cache_read=per_token(input_tokens=MILLION, cache_read_tokens=MILLION),
        cache_creation=per_token(input_tokens=MILLION, cache_write_tokens=MILLION),
        output=per_token(output_tokens=MILLION),
    )


def _general(usage: Usage, model_price: "ModelPrice") -> Decimal | None:
    detail = usage.detail or {}
    if detail.get("cache_creation_1h_input_tokens"):
        return None  # its price is another one than that of the writes kept for 5 minutes
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_input_tokens,
        "cache_write_tokens": usage.cache_creation_input_tokens,
        "output_reasoning_tokens": usage.reasoning_output_tokens,
        "input_audio_tokens": detail.get("input_audio_tokens"),
        "output_audio_tokens": detail.get("output_audio_tokens"),
    }
    reported = {name: count for name, count in counts.items() if count is not None}
    try:
        return model_price.calc_price(_general_usage(**reported))["total_price"]
    except ValueError:
        return None  # the figures do not add up: better no price than a wrong one


def _general_usage(**counts: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from genai_prices import Usage as GeneralUsage

    return GeneralUsage(**counts)


def _nano(dollars: Decimal) -> int:
    return int((dollars * 10**9).to_integral_value(ROUND_HALF_EVEN))
