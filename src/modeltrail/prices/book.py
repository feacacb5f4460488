"""
Prices of one's own: negotiated rates, discounts, models that nobody lists.
"""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from modeltrail.errors import ConfigurationError
from modeltrail.prices import listed
from modeltrail.prices.cost import (
    MILLION,
    SEEN_INPUT,
    UNPRICED,
    Cost,
    Rates,
    Subject,
    dollars,
    is_plain,
    nano,
)
from modeltrail.record import Usage

ONE = Decimal(1)
_RATES = ("input", "output", "cache_read", "cache_write", "cache_write_1h")


class OwnPrice(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}
):
    """
    One price of a file: rates, or a discount on the published ones.

    Attributes:
        model: The model that answered; `*` stands for any characters.
        provider: Who served it; None is anybody.
        service_tier: The tier that served it; None is any.
        since: The first day on which it holds (UTC); None is always.
        until: The first day on which it does not any more.
        id: A name for it, which its price id has.
        input: US dollars for a million input tokens; the others likewise.
            Tokens of caches cost as much as this if their rate is not given.
        output: None if the model has no output, as for embeddings.
        discount_percent: How much less than the published price, instead of rates.
    """

    model: str
    provider: str | None = None
    service_tier: str | None = None
    since: date | None = None
    until: date | None = None
    id: str | None = None
    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    discount_percent: Decimal | None = None

    def __post_init__(self) -> None:
        """
        Refuse what is no price.
        """
        given = [value for name in _RATES if (value := getattr(self, name)) is not None]
        if (self.discount_percent is None) == (not given):
            raise ValueError("give either rates or `discount_percent`")
        if given and self.input is None:
            raise ValueError("give the rate of `input`")
        if any(not value.is_finite() or value < 0 for value in given):
            raise ValueError("a rate is less than 0 or not a number")
        if self.discount_percent is not None and not 0 <= self.discount_percent <= 100:
            raise ValueError("`discount_percent` is between 0 and 100")
        if self.since and self.until and self.since >= self.until:
            raise ValueError("`until` is not after `from`")

    @property
    def price_id(self) -> str:
        """
        What stands on the records: a name, and a digest of what the price says.
        """
        said = msgspec.json.encode(self, order="deterministic")
        return f"custom:{self.id or self.model}:{hashlib.sha256(said).hexdigest()[:8]}"

    def fits(self, subject: Subject) -> bool:
        """
        Tell whether it is the price of that, then.
        """
        day = datetime.fromtimestamp(subject.at_us / MILLION, UTC).date()
        return (
            _is(self.provider, subject.provider)
            and _is(self.service_tier, subject.service_tier)
            and (self.since is None or self.since <= day)
            and (self.until is None or day < self.until)
            and fnmatchcase(subject.model.lower(), self.model.lower())
        )

    def rates(self, subject: Subject) -> Rates | None:
        """
        Return its rates; None if it is a discount on none.
        """
        if self.discount_percent is None:
            return self._own_rates()
        published = listed.rates_at(subject)
        return None if published is None else published.times(ONE - self.discount_percent / 100)

    def cost(self, usage: Usage, subject: Subject) -> Cost:
        """
        Price usage that is complete.
        """
        amount = self._dollars(usage, subject)
        return UNPRICED if amount is None else Cost(nano(amount), "custom", self.price_id)

    def _dollars(self, usage: Usage, subject: Subject) -> Decimal | None:
        if self.discount_percent is None:
            # Its rates say nothing of audio, of pictures in the answer and of searches.
            is_known = is_plain(usage, but_for=SEEN_INPUT)
            return dollars(usage, self._own_rates()) if is_known else None
        found = listed.find(usage, subject)
        return None if found is None else found.dollars * (ONE - self.discount_percent / 100)

    def _own_rates(self) -> Rates:
        assert self.input is not None

        def per_token(given: Decimal | None, otherwise: Decimal) -> Decimal:
            return (otherwise if given is None else given) / MILLION

        write = self.input if self.cache_write is None else self.cache_write
        return Rates(
            uncached_input=per_token(self.input, self.input),
            cache_read=per_token(self.cache_read, self.input),
            cache_creation=per_token(write, write),
            hour_creation=per_token(self.cache_write_1h, write),
            output=None if self.output is None else self.output / MILLION,
        )


def _is(wanted: str | None, name: str | None) -> bool:
    # However people write it: a price that silently never holds is a wrong bill.
    return wanted is None or (name is not None and wanted.lower() == name.lower())


class PriceBook(msgspec.Struct, frozen=True):
    """
    Prices of one's own, the first that fits being the one that holds.
    """

    prices: Sequence[OwnPrice] = ()

    def find(self, subject: Subject) -> OwnPrice | None:
        """
        Return the price of that, None if it has none.
        """
        return next((each for each in self.prices if each.fits(subject)), None)


NO_BOOK = PriceBook()


def read_book(path: str | Path | None) -> PriceBook:
    """
    Read a file of prices; None is no file.

    Raises:
        ConfigurationError: The file cannot be read, or an entry is no price.
    """
    if not path:
        return NO_BOOK
    try:
        content = tomllib.loads(Path(path).read_text("utf-8"), parse_float=Decimal)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the prices in {path} cannot be read: {error}") from error
    if content.keys() - {"price"} or not isinstance(entries := content.get("price", []), list):
        raise ConfigurationError(f"the prices in {path} are to be a list of [[price]]")
    return PriceBook(tuple(_entry(path, place, each) for place, each in enumerate(entries, 1)))


def _entry(path: str | Path, place: int, entry: Mapping[str, Any]) -> OwnPrice:
    try:
        return msgspec.convert(entry, OwnPrice, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"price {place} in {path} does not hold: {error}") from error
