"""
Read the tokens of a call from what a provider or framework reported.

A dialect is data (`modeltrail.usage.dialects`); all of them are read by one
function.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from modeltrail.record import USAGE_COLUMNS, Usage
from modeltrail.usage.dialects import DIALECTS, Dialect

MISSING = Usage(source="missing")
Tree = dict[str, Any]


def _tree(paths: Iterable[str]) -> Tree:
    root: Tree = {}
    for path in paths:
        *parts, last = path.split(".")
        branch = root
        for part in parts:
            branch = branch.setdefault(part, {})
        branch.setdefault(last, None)
    return root


# All that is ever looked at: None is a count, a dict what lies within.
_KNOWN = _tree(path for dialect in DIALECTS for path in dialect.paths())
_STEPS = {path: tuple(path.split(".")) for dialect in DIALECTS for path in dialect.paths()}


def known_counts(reported: Any) -> dict[str, Any]:
    """
    Keep of a report the counts that a dialect knows, and nothing else.

    What a provider reports beside may be anything, texts included.
    """
    return _known(reported, _KNOWN) if isinstance(reported, dict) else {}


def _known(reported: dict[str, Any], tree: Tree) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in reported.items():
        if type(value) is int:
            if key in tree:
                kept[key] = value
        elif (branch := tree.get(key)) and isinstance(value, dict):
            kept[key] = _known(value, branch)
    return kept


def read_usage(reported: Any) -> Usage:
    """
    Read what was reported; what was not stays None.

    Args:
        reported: The usage object of a provider or framework as a dict, what
            is nested in it as dicts. Anything else says nothing.

    Returns:
        Usage whose `source` is `provider` if input tokens were found,
        `partial` if only some figures were found or the figures contradict
        each other, and `missing` if nothing was found.
    """
    if not isinstance(reported, dict):
        return MISSING
    found = next((each for each in DIALECTS if _is_marked(reported, each)), None)
    if found is None:
        return MISSING
    usages = [_read(each, reported) for each in DIALECTS if each.marks == found.marks]
    fitting = (usage for usage in usages if _comes_to(usage, reported, found.total))
    usage = next(fitting, None) or replace(usages[0], source="partial")
    return usage if is_consistent(usage) else replace(usage, source="partial")


def _is_marked(reported: Mapping[str, Any], dialect: Dialect) -> bool:
    return all(_at(reported, mark) is not None for mark in dialect.marks)


def is_consistent(usage: Usage) -> bool:
    """
    Tell whether the parts fit into their totals.
    """
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    reasoning = usage.reasoning_output_tokens or 0
    return _fits(usage.input_tokens, cached) and _fits(usage.output_tokens, reasoning)


def _fits(total: int | None, parts: int) -> bool:
    return total is None or parts <= total


def _comes_to(usage: Usage, reported: Mapping[str, Any], path: str | None) -> bool:
    """
    Tell whether input and output come to the total, if one is reported.
    """
    total = path and _at(reported, path)
    # 0 is what frameworks say that do not know.
    return not total or total == (usage.input_tokens or 0) + (usage.output_tokens or 0)


def _read(dialect: Dialect, reported: Mapping[str, Any]) -> Usage:
    figures = {
        field: count
        for path, field in dialect.fields.items()
        if (count := _at(reported, path)) is not None
    }
    if not any(figures.values()):
        # LiteLLM says 0 of everything where a provider said nothing.
        return MISSING
    for name, total in dialect.apart.items():
        if name in figures:
            figures[total] = figures.get(total, 0) + figures[name]
    columns = {name: figures.pop(name) for name in USAGE_COLUMNS if name in figures}
    usage = Usage(**columns, detail=figures or None, source="provider")
    if usage.input_tokens == 0:
        # Every model reads something: gateways that do not know the input say 0.
        return replace(usage, input_tokens=None, source="partial")
    return usage


def _at(reported: Mapping[str, Any], path: str) -> int | None:
    value: Any = reported
    for step in _STEPS[path]:
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    # `type`, for bool is an int in Python, and a flag is no count.
    return value if type(value) is int and value >= 0 else None
