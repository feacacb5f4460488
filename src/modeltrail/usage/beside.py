"""
What reports of usage say beside their tokens: what a call cost, and how it was served.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

NANO = 10**9


class Charge(NamedTuple):
    """
    Where a provider says what it has charged.

    Attributes:
        path: The amount.
        per_dollar: How many units of it are a US dollar.
        on_top: Path of what another company charges for the same call.
        if_true: Path of the flag with which that is charged; with it and without
            the other amount the cost is not known.
    """

    path: str
    per_dollar: int = 1
    on_top: str | None = None
    if_true: str | None = None


# The first that is there counts.
CHARGES = (
    # Perplexity, in dollars: docs.perplexity.ai/api-reference/chat-completions-post (`cost`).
    Charge("cost.total_cost"),
    # OpenRouter: what its account is charged. `upstream_inference_cost` is what the provider
    # charges to the caller's own key; it stands in other reports, too, where it is within the
    # cost: openrouter.ai/docs/cookbook/administration/usage-accounting, forgecode#1641.
    Charge("cost", on_top="cost_details.upstream_inference_cost", if_true="is_byok"),
    # xAI, in ticks, 1 dollar is 10^10 of them: docs.x.ai/developers/cost-tracking.
    Charge("cost_in_usd_ticks", per_dollar=10**10),
)
# Path -> what it says -> the tier of service that it means. Anthropic's fast mode and its answers
# from the United States only have prices of their own, beside its service tiers:
# platform.claude.com/docs/en/build-with-claude/fast-mode, .../data-residency.
TIERS: Mapping[str, Mapping[str, str]] = {
    "speed": {"fast": "fast"},
    "inference_geo": {"us": "us-only"},
}
# The service tiers on top of which they come, and where it says so.
SERVICE_TIER = "service_tier"
BELOW = frozenset({"batch", "priority"})
# All that is kept of texts.
WORDS = BELOW | {word for meanings in TIERS.values() for word in meanings}
_TELLING = (
    *(path for each in CHARGES for path in (each.path, each.on_top, each.if_true) if path),
    *TIERS,
)
# All paths of the above.
BESIDE = (*_TELLING, SERVICE_TIER)
_FIRST_STEPS = frozenset(path.partition(".")[0] for path in _TELLING)


def beside(reported: object) -> dict[str, Any]:
    """
    Return the columns that a report of usage fills beside its tokens.
    """
    if not isinstance(reported, dict) or _FIRST_STEPS.isdisjoint(reported):  # as nearly always
        return {}
    found = {
        "service_tier": reported_tier(reported),
        "cost_reported_nanousd": reported_cost_nanousd(reported),
    }
    return {name: value for name, value in found.items() if value is not None}


def reported_cost_nanousd(reported: object) -> int | None:
    """
    Return what a provider says that it has charged, rounded half-even to a nano-dollar.
    """
    for charge in CHARGES:
        if (amount := _amount(reported, charge.path)) is None:
            continue
        if charge.if_true and _at(reported, charge.if_true) is True:
            more = _amount(reported, charge.on_top or "")
            return None if more is None else round((amount + more) * NANO / charge.per_dollar)
        return round(amount * NANO / charge.per_dollar)
    return None


def reported_tier(reported: object) -> str | None:
    """
    Return the tier of service that a report tells of by other names; of several all.
    """
    told = ((_at(reported, path), meanings) for path, meanings in TIERS.items())
    found = [
        meanings[said] for said, meanings in told if isinstance(said, str) and said in meanings
    ]
    below = _at(reported, SERVICE_TIER)
    if found and isinstance(below, str) and below in BELOW:
        found.insert(0, below)
    return "-".join(found) or None


def _amount(reported: object, path: str) -> Decimal | None:
    value = _at(reported, path)
    # `type`, for bool is an int in Python.
    if type(value) not in {int, float}:
        return None
    # A float's shortest text is what was sent; its binary value is not.
    amount = Decimal(repr(value))
    return amount if amount.is_finite() and amount >= 0 else None


def _at(reported: Any, path: str) -> Any:
    for step in path.split("."):
        if not isinstance(reported, dict):
            return None
        reported = reported.get(step)
    return reported
