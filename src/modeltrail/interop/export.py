"""
What the usage exports of all providers have in common, once they are read.
"""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from msgspec import Struct

from modeltrail.errors import ConfigurationError

# What an export tells: tokens, dollars, or each call.
ExportKind = Literal["usage", "costs", "calls"]

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UsageBucket(Struct, frozen=True, kw_only=True):
    """
    What a provider counted of one model and key within a time.

    None means that the export does not tell it, never 0.

    Attributes:
        provider: As the trail names it: openai, anthropic, aws.
        key: The id of the API key, or who called.
        project: The project or workspace.
        end_us: The end, excluded.
        input_tokens: All of them, those read from and written to a cache included.
        batch: They came through the provider's batch interface.
    """

    provider: str
    start_us: int
    end_us: int
    model: str | None = None
    key: str | None = None
    project: str | None = None
    requests: int | None = None
    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nanousd: int | None = None
    batch: bool = False


class LoggedCall(Struct, frozen=True, kw_only=True):
    """
    One call that a provider logged, by the id of its request.
    """

    provider: str
    request_id: str
    at_us: int
    model: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: str | None = None


class Export(Struct, frozen=True, kw_only=True):
    """
    One file, read.

    Attributes:
        name: Of the file.
        format: Its format, by the name that `--from` takes.
        spans: The times, from start to end, that it speaks of, those in which
            nothing was used included.
        more: The provider had more pages than the file holds.
    """

    name: str
    format: str
    provider: str
    kind: ExportKind
    buckets: tuple[UsageBucket, ...] = ()
    calls: tuple[LoggedCall, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    more: bool = False


def rfc3339_us(text: str) -> int:
    """
    Return the moment that a time of an export means, microseconds UTC.

    Raises:
        ConfigurationError: It means none.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is no time") from error
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def nanousd(amount: Decimal, currency: str, *, per_dollar: int = 1) -> int:
    """
    Return an amount in nano-dollars; what is finer is rounded half to even.

    Args:
        per_dollar: How many of the amount's units make a dollar.

    Raises:
        ConfigurationError: It is in no US dollars, or no number.
    """
    if currency.lower() != "usd":
        raise ConfigurationError(f"amounts in {currency} cannot be compared; only USD")
    if not amount.is_finite():
        raise ConfigurationError(f"{amount} is no amount")
    return int((amount * 10**9 / per_dollar).to_integral_value(ROUND_HALF_EVEN))
