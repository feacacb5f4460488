"""
The prices that providers publish, in the form of genai-prices.

That is imported when a trail is opened (some 0.4 s of CPU) and not before. Its
general calculation takes some 200 us, so for prices that are plain rates per
token the rates are worked out once per price and applied as exact decimals.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from modeltrail.prices import data, residency
from modeltrail.prices.cost import HOUR_WRITES, MILLION, Rates, Subject, dollars, is_plain
from modeltrail.record import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

# Words of providers for what is served at the standard price.
STANDARD_TIERS = frozenset({"default", "standard", "auto", "on_demand"})
# A tier -> what the price data calls it, by provider; others go by their own word.
TIERS: Mapping[str, Sequence[Mapping[str, str]]] = {
    "batch": ({"processing": "batch"},),
    "fast": ({"service_tier": "fast"}, {"speed": "fast"}),
}
_KINDS = ("audio", "image", "video")
# A figure of `usage_detail` -> what the price data calls it.
UNITS: Mapping[str, str] = {
    HOUR_WRITES: "cache_write_1h_tokens",
    **{f"input_{kind}_tokens": f"input_{kind}_tokens" for kind in _KINDS},
    **{f"output_{kind}_tokens": f"output_{kind}_tokens" for kind in _KINDS},
    **{f"cache_read_input_{kind}_tokens": f"cache_{kind}_read_tokens" for kind in _KINDS},
    "citation_tokens": "output_citation_tokens",
    "web_searches": "web_searches",
}
# A price -> the figure without which a call that has this price is not known to the full.
NEEDED: Mapping[str, str] = {"output_citation_mtok": "citation_tokens"}
# Perplexity's request costs more the more it has searched, of which the price data has but one
# figure: docs.perplexity.ai/getting-started/pricing; vercel/ai#13705 paid $0.005, not $0.012.
NOT_BY_COUNT = ("requests_kcount",)


class Listed(Struct, frozen=True):
    """
    What a call costs by the published price.
    """

    dollars: Decimal
    price_id: str


def find(usage: Usage, subject: Subject) -> Listed | None:
    """
    Price usage that is complete; None if the price or the tier is not known.
    """
    found = priced(subject)
    if found is None:
        return None
    model_price, price_id = found
    rates = plain_rates(model_price) if is_plain(usage) else None
    amount = dollars(usage, rates) if rates else _general(usage, model_price)
    return None if amount is None else Listed(amount, price_id)


def rates_at(subject: Subject) -> Rates | None:
    """
    Return the published rates of a model; None if it is unknown or billed in another way.
    """
    found = priced(subject)
    return None if found is None else plain_rates(found[0])


def priced(subject: Subject) -> "tuple[ModelPrice, str] | None":
    """
    Return the price of a model and its id; None if the price or the tier is not known.
    """
    known = _find(data.in_force().name, subject.provider, subject.model)
    if known is None:
        return None
    info, price_id = known
    at = datetime.fromtimestamp(subject.at_us / MILLION, UTC)
    tier = (subject.service_tier or "default").lower()
    # Whatever an unknown tier costs, it is not the standard price.
    found = _at_tier(info, at, tier) or _in_us_only(info, at, tier, price_id)
    named = price_id if tier in STANDARD_TIERS else f"{price_id}:{tier}"
    return None if found is None else (found, named)


def _at_tier(info: "ModelInfo", at: datetime, tier: str) -> "ModelPrice | None":
    if tier in STANDARD_TIERS:
        return info.get_prices(at)
    return _variant(info, at, TIERS.get(tier, ({"service_tier": tier},)))


def _in_us_only(info: "ModelInfo", at: datetime, tier: str, price_id: str) -> "ModelPrice | None":
    if not (tier.endswith(residency.US_ONLY) and f":{residency.COMPANY}/" in price_id):
        return None
    elsewhere = _at_tier(info, at, residency.tier_elsewhere(tier))
    factor = residency.factor(info.id)
    if elsewhere is None or factor is None:
        return None
    return residency.times(elsewhere, factor)


# By the identities of a standard price and what changes it there; the values hold both.
_VARIANTS: "dict[tuple[int, ...], tuple[list[Any], ModelPrice]]" = {}


def _variant(
    info: "ModelInfo", at: datetime, names: Iterable[Mapping[str, str]]
) -> "ModelPrice | None":
    """
    Return the price of a tier, None if none is known; the same object each time.
    """
    active = [
        each
        for each in info.price_variants or ()
        if each.constraint is None or each.constraint.active(at)
    ]
    found = ((when, [each for each in active if each.when == when]) for when in names)
    when, changes = next(((when, those) for when, those in found if those), ({}, []))
    if not changes:
        return None
    parts = [info.get_prices(at), *changes]
    key = tuple(map(id, parts))
    if key not in _VARIANTS:
        _VARIANTS[key] = (parts, info.get_prices(at, dict(when)))
    return _VARIANTS[key][1]


@lru_cache(maxsize=1024)
def _find(data_name: str, provider: str | None, model: str) -> "tuple[ModelInfo, str] | None":
    """
    Return what is known of a model, and the id of its price.
    """
    try:
        found = data.in_force().snapshot.find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    company, info = found
    by = "" if provider else ":by-model-name"
    return info, f"genai-prices:{data_name}:{company.id}/{info.id}{by}"


# Keyed by identity, since a price cannot be hashed; the value holds the price
# so that its identity is not given to another one.
_RATES: "dict[int, tuple[ModelPrice, Rates | None]]" = {}


def plain_rates(model_price: "ModelPrice") -> Rates | None:
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
        hour_creation=_hour_rate(prices.get("cache_write_1h_mtok")),
        output=per_token(output_tokens=MILLION),
    )


def _hour_rate(per_million: object) -> Decimal | None:
    return per_million / MILLION if isinstance(per_million, Decimal) else None


def _general(usage: Usage, model_price: "ModelPrice") -> Decimal | None:
    detail = usage.detail or {}
    if detail.get(HOUR_WRITES) and model_price.cache_write_1h_mtok is None:
        return None  # its price is another one than that of the writes kept for 5 minutes
    if _is_open(detail, vars(model_price)):
        return None
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_input_tokens,
        "cache_write_tokens": usage.cache_creation_input_tokens,
        "output_reasoning_tokens": usage.reasoning_output_tokens,
        **_kinds_not_cached(usage),
        **{unit: detail.get(figure) for figure, unit in UNITS.items() if figure in detail},
    }
    reported = {name: count for name, count in counts.items() if count is not None}
    try:
        return model_price.calc_price(_general_usage(**reported))["total_price"]
    except ValueError:
        return None  # the figures do not add up: better no price than a wrong one


def _is_open(detail: Mapping[str, int], price: Mapping[str, object]) -> bool:
    """
    Tell whether a call has a price of something that its usage does not tell.
    """
    return any(price.get(name) is not None for name in NOT_BY_COUNT) or any(
        price.get(name) is not None and figure not in detail for name, figure in NEEDED.items()
    )


def _kinds_not_cached(usage: Usage) -> dict[str, int]:
    """
    Return 0 for the kinds of input of which none is cached, since all that is cached is of others.
    """
    detail = usage.detail or {}
    cached = {name: count for name, count in detail.items() if name.startswith("cache_read_input_")}
    if sum(cached.values()) != (usage.cache_read_input_tokens or 0):
        return {}
    return {
        UNITS[f"cache_read_input_{kind}_tokens"]: 0
        for kind in _KINDS
        if f"input_{kind}_tokens" in detail
    }


def _general_usage(**counts: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from genai_prices import Usage as GeneralUsage

    return GeneralUsage(**counts)
