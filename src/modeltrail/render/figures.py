"""
Numbers as people read them; what is unknown is a dash, never a zero.
"""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

UNKNOWN = "—"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANO_DIGITS = 9


def usd_from(nanousd: int) -> str:
    """
    Write nano-dollars as dollars: exact, at least two decimals, no exponent.
    """
    whole, fraction = divmod(abs(nanousd), 10**_NANO_DIGITS)
    decimals = f"{fraction:0{_NANO_DIGITS}d}".rstrip("0").ljust(2, "0")
    return f"{'-' if nanousd < 0 else ''}{whole}.{decimals}"


def money(nanousd: int | None) -> str:
    """
    Show an amount of nano-dollars.
    """
    if nanousd is None:
        return UNKNOWN
    whole, _, decimals = usd_from(abs(nanousd)).partition(".")
    return f"{'-' if nanousd < 0 else ''}${int(whole):,}.{decimals}"


def difference(nanousd: int) -> str:
    """
    Show by how much an amount of nano-dollars has changed.
    """
    return f"{'+' if nanousd > 0 else ''}{money(nanousd)}"


def count(number: int | None) -> str:
    """
    Show a whole number.
    """
    return UNKNOWN if number is None else f"{number:,}"


def percent(share: float | None) -> str:
    """
    Show a share as a percentage, to one decimal.
    """
    return UNKNOWN if share is None else f"{100 * share:.1f}%"


def seconds(us: int | None) -> str:
    """
    Show a duration, to the millisecond.
    """
    if us is None:
        return UNKNOWN
    return f"{Decimal(us).scaleb(-6):.3f}s"


def moment(us: int, *, fraction: bool = False) -> str:
    """
    Show a moment, UTC.
    """
    # Through a timedelta: a float has no microseconds to spare.
    at = _EPOCH + timedelta(microseconds=us)
    return at.strftime("%Y-%m-%d %H:%M:%S.%f" if fraction else "%Y-%m-%d %H:%M:%S")


def decimals_for(spread: float, digits: int = 2) -> int:
    """
    Tell how many decimals show a spread with so many digits; 0 to 9.
    """
    if not (math.isfinite(spread) and spread > 0):
        return _NANO_DIGITS
    return min(max(digits - 1 - math.floor(math.log10(spread)), 0), _NANO_DIGITS)
