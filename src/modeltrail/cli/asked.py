"""
What an answer was asked of, for who has only the page and not the command.
"""

from collections.abc import Mapping
from typing import Any

from modeltrail.render.figures import moment

_TOLD = {
    "between": "between: {}",
    "quality_is": "quality: {}",
    "pair_by": "the same question: {}",
    "score": "score: {}",
    "policy": "policy: {}",
    "margin": "margin: {}",
    "feature": "feature: {}",
    "experiment": "experiment: {}",
    "since_us": "calls from {} UTC",
    "until_us": "calls before {} UTC",
}


def asked(content: Mapping[str, Any]) -> str:
    """
    Return what was asked, in one line.

    Args:
        content: Of the JSON document of a route.
    """
    known = {name: content.get(name) for name in _TOLD}
    if "basis" not in content:
        # Elsewhere the policy is what was found.
        known["policy"] = None
    told = [_TOLD[name].format(_said(name, each)) for name, each in known.items() if each]
    return f"Asked: {'; '.join(told)}."


def _said(name: str, value: Any) -> str:
    if name == "policy":
        return ", ".join(f"{feature} gets {_chances(each)}" for feature, each in value.items())
    return moment(value) if name.endswith("_us") else str(value)


def _chances(chances: Mapping[str, float]) -> str:
    known = {arm: chance for arm, chance in chances.items() if chance}
    if len(known) == 1:
        return next(iter(known))
    return " or ".join(f"{arm} ({chance:.4g})" for arm, chance in known.items())
