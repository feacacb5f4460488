"""
The bill in the FinOps Foundation's FOCUS 1.2: charges, and their columns.

https://focus.finops.org. A charge is what one model used of one kind of token
within an hour or a day. What a call cost is stored as one amount; where the
price table has rates for its tokens, the amount is divided among the kinds in
proportion to them, to the last nano-dollar, so that the sum of all charges is
the sum of the calls. Where it has none, one charge has all tokens.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

import msgspec

from modeltrail.prices import MILLION, ListPrice, Rates, Subject, list_price, price
from modeltrail.record import Usage
from modeltrail.render.figures import usd_from
from modeltrail.stats.exact import apportion
from modeltrail.storage import BilledCall

SECOND_US = 1_000_000
# FOCUS columns by the alphabet, then our own.
COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountStatus",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "Tags",
    "x_Calls",
    "x_CostSource",
    "x_ListPriceKnown",
    "x_PriceId",
)
# Columns of numbers, in which no formula can hide.
NUMBERS = frozenset(
    name for name in COLUMNS if name.endswith(("Cost", "Price", "Quantity", "x_Calls"))
)


class Meter(NamedTuple):
    """
    What a charge counts.
    """

    name: str
    unit: str


INPUT = Meter("Input Tokens", "Tokens")
CACHE_READ = Meter("Cached Input Tokens", "Tokens")
CACHE_WRITE = Meter("Cache Write Tokens", "Tokens")
OUTPUT = Meter("Output Tokens", "Tokens")
ALL_TOKENS = Meter("Tokens", "Tokens")
REQUESTS = Meter("Requests", "Requests")
KINDS = (INPUT, CACHE_READ, CACHE_WRITE, OUTPUT)


class Company(NamedTuple):
    """
    A provider as it calls itself, and what it sells.
    """

    name: str
    service: str


COMPANIES = {
    "anthropic": Company("Anthropic", "Claude API"),
    "aws": Company("AWS", "Amazon Bedrock"),
    "azure": Company("Microsoft", "Azure OpenAI"),
    "cohere": Company("Cohere", "Cohere API"),
    "deepseek": Company("DeepSeek", "DeepSeek API"),
    "google": Company("Google", "Gemini API"),
    "groq": Company("Groq", "Groq API"),
    "mistral": Company("Mistral AI", "Mistral API"),
    "openai": Company("OpenAI", "OpenAI API"),
    "openrouter": Company("OpenRouter", "OpenRouter API"),
    "x-ai": Company("xAI", "xAI API"),
}
UNKNOWN = "unknown"


class _Key(NamedTuple):
    """
    Calls that are charged together.
    """

    period: int
    provider: str | None
    model: str | None
    cost_source: str
    tags: tuple[str | None, ...]
    price: ListPrice | None
    meter: Meter | None
    list_known: bool


class _Sums:
    """
    What calls of one key add up to.
    """

    __slots__ = ("calls", "cost_nanousd", "counts", "list_nanousd")

    def __init__(self) -> None:
        self.calls = self.cost_nanousd = self.list_nanousd = 0
        self.counts = [0] * len(KINDS)


class Bill:
    """
    Charges made of calls.

    Args:
        period_us: How long a charge's period is, microseconds.
        by: The names of the calls' tags.

    Attributes:
        left_out: Calls whose cost is not known; FOCUS allows no charge without.
        left_out_with_tokens: Those of them whose tokens are known.
    """

    def __init__(self, *, period_us: int, by: Sequence[str], account: str) -> None:
        self._period_us = period_us
        self._by = by
        self._account = account
        self._sums: dict[_Key, _Sums] = {}
        self.left_out = self.left_out_with_tokens = 0

    def add(self, call: BilledCall) -> None:
        """
        Charge a call.
        """
        if call.cost_nanousd is None:
            self.left_out += 1
            self.left_out_with_tokens += call.input_tokens is not None
            return
        usage, counts = _usage(call), _counts(call)
        found = _list_price(call, usage) if sum(counts) else None
        meter, listed = None, None
        if found is None:
            meter = ALL_TOKENS if sum(counts) else REQUESTS
            listed = _listed_nanousd(call, usage)
        key = _Key(
            period=call.started_at_us // self._period_us,
            provider=call.provider,
            model=call.model,
            cost_source=call.cost_source,
            tags=call.tags,
            price=found,
            meter=meter,
            list_known=found is not None or listed is not None,
        )
        sums = self._sums.setdefault(key, _Sums())
        sums.calls += 1
        sums.cost_nanousd += call.cost_nanousd
        sums.list_nanousd += call.cost_nanousd if listed is None else listed
        for place, count in enumerate(counts):
            sums.counts[place] += count

    def rows(self) -> Iterator[dict[str, str | None]]:
        """
        Return the charges in the order of time, each with all columns; None is null.
        """
        for key in sorted(self._sums, key=lambda key: (key.period, repr(key))):
            sums = self._sums[key]
            if key.price is None:
                yield self._whole(key, sums)
            else:
                yield from self._divided(key, sums, key.price)

    def _whole(self, key: _Key, sums: _Sums) -> dict[str, str | None]:
        """
        Charge all tokens, or the calls, as one: no price is known for each.
        """
        meter = key.meter or REQUESTS
        quantity = sum(sums.counts) if meter is ALL_TOKENS else sums.calls
        return {
            **self._common(key, sums, meter),
            **_costs(sums.cost_nanousd, usd_from(sums.list_nanousd), None),
            **_quantity(meter, quantity),
        }

    def _divided(
        self, key: _Key, sums: _Sums, listed: ListPrice
    ) -> Iterator[dict[str, str | None]]:
        """
        Charge each kind of token by itself.
        """
        rates = _by_kind(listed.rates)
        with localcontext() as context:
            context.prec = 60  # all products are exact
            list_costs = [rate * count for rate, count in zip(rates, sums.counts, strict=True)]
            weights = list_costs if any(list_costs) else [Decimal(count) for count in sums.counts]
            paid = Fraction(sums.cost_nanousd) / Fraction(sum(weights))
            parts = [paid * Fraction(weight) for weight in weights]
            shares = apportion(parts, sums.cost_nanousd)
            for meter, rate, count, list_cost, share in zip(
                KINDS, rates, sums.counts, list_costs, shares, strict=True
            ):
                if count:
                    yield {
                        **self._common(key, sums, meter),
                        **_costs(share, _plain(list_cost), _plain(rate * MILLION)),
                        **_quantity(meter, count),
                    }

    def _common(self, key: _Key, sums: _Sums, meter: Meter) -> dict[str, str | None]:
        start_us = key.period * self._period_us
        provider, model = key.provider or UNKNOWN, key.model or UNKNOWN
        company = COMPANIES.get(provider, Company(provider, provider))
        sku = f"{provider}/{model}/{meter.name}"
        tags = {
            name: value for name, value in zip(self._by, key.tags, strict=True) if value is not None
        }
        return dict.fromkeys(COLUMNS) | {
            "BillingAccountId": self._account,
            "BillingCurrency": "USD",
            **_billing_period(start_us),
            "ChargeCategory": "Usage",
            "ChargeDescription": f"{model}: {meter.name}",
            "ChargeFrequency": "Usage-Based",
            "ChargePeriodStart": _moment(start_us),
            "ChargePeriodEnd": _moment(start_us + self._period_us),
            "InvoiceIssuerName": company.name,
            "PricingCategory": "Standard",
            "PricingCurrency": "USD",
            "ProviderName": company.name,
            "PublisherName": company.name,
            "ResourceId": model,
            "ResourceName": model,
            "ResourceType": "Model",
            "ServiceCategory": "AI and Machine Learning",
            "ServiceName": company.service,
            "ServiceSubcategory": "Generative AI",
            "SkuId": sku,
            "SkuMeter": meter.name,
            "SkuPriceId": sku,
            "Tags": msgspec.json.encode(tags).decode() if self._by else None,
            "x_Calls": str(sums.calls),
            "x_CostSource": key.cost_source,
            "x_ListPriceKnown": "true" if key.list_known else "false",
            "x_PriceId": key.price.price_id if key.price else None,
        }


def _usage(call: BilledCall) -> Usage:
    detail: Mapping[str, int] | None = None
    if call.usage_detail:
        detail = msgspec.json.decode(call.usage_detail, type=dict[str, int])
    return Usage(
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cache_read_input_tokens=call.cache_read_input_tokens,
        cache_creation_input_tokens=call.cache_creation_input_tokens,
        reasoning_output_tokens=call.reasoning_output_tokens,
        detail=detail,
        source=call.usage_source,
    )


def _list_price(call: BilledCall, usage: Usage) -> ListPrice | None:
    subject = _subject(call)
    return None if subject is None else list_price(usage, subject, operation=call.operation)


def _listed_nanousd(call: BilledCall, usage: Usage) -> int | None:
    subject = _subject(call)
    return None if subject is None else price(usage, subject, operation=call.operation).nanousd


def _subject(call: BilledCall) -> Subject | None:
    if call.model is None:
        return None
    return Subject(call.provider, call.model, call.started_at_us, call.service_tier)


def _by_kind(rates: Rates) -> tuple[Decimal, ...]:
    """
    Return rates in the order of `KINDS`.
    """
    output = rates.output or Decimal(0)
    return rates.uncached_input, rates.cache_read, rates.cache_creation, output


def _counts(call: BilledCall) -> tuple[int, ...]:
    """
    Return the tokens of each kind, which add up to input and output.

    Where figures contradict each other a kind may be below zero; such calls
    are charged as a whole.
    """
    read, written = call.cache_read_input_tokens or 0, call.cache_creation_input_tokens or 0
    return (call.input_tokens or 0) - read - written, read, written, call.output_tokens or 0


def _costs(nanousd: int, list_cost: str, unit_price: str | None) -> dict[str, str | None]:
    # Contracts are not known to the trail: what was agreed is the list price.
    return {
        "BilledCost": usd_from(nanousd),
        "EffectiveCost": usd_from(nanousd),
        "ListCost": list_cost,
        "ListUnitPrice": unit_price,
        "ContractedCost": list_cost,
        "ContractedUnitPrice": unit_price,
        "PricingCurrencyContractedUnitPrice": unit_price,
        "PricingCurrencyEffectiveCost": usd_from(nanousd),
        "PricingCurrencyListUnitPrice": unit_price,
    }


def _quantity(meter: Meter, quantity: int) -> dict[str, str | None]:
    by_million = meter.unit == "Tokens"
    consumed = Decimal(quantity)
    return {
        "ConsumedQuantity": _plain(consumed),
        "ConsumedUnit": meter.unit,
        "PricingQuantity": _plain(consumed.scaleb(-6) if by_million else consumed),
        "PricingUnit": f"{MILLION} {meter.unit}" if by_million else meter.unit,
    }


def _billing_period(at_us: int) -> dict[str, str | None]:
    """
    Return the calendar month of a moment, UTC.
    """
    start = datetime.fromtimestamp(at_us // SECOND_US, UTC).replace(
        day=1, hour=0, minute=0, second=0
    )
    years, month = divmod(start.month, 12)
    end = start.replace(year=start.year + years, month=month + 1)
    return {
        "BillingPeriodStart": start.strftime(_FORMAT),
        "BillingPeriodEnd": end.strftime(_FORMAT),
    }


_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def _moment(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // SECOND_US, UTC).strftime(_FORMAT)


def _plain(number: Decimal) -> str:
    """
    Write a number without an exponent and with at least one decimal.

    Who guesses types takes it for a decimal then, be the others whole or not.
    """
    whole, _, decimals = f"{number:f}".partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}"
