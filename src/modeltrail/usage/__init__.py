"""
Read the tokens of a call from what a provider or framework reported.

A dialect is data (`modeltrail.usage.dialects`); all of them are read by one
function.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec.structs import replace

from modeltrail.record import LARGEST, USAGE_COLUMNS, Usage
from modeltrail.usage.beside import BESIDE, WORDS
from modeltrail.usage.dialects import DIALECTS, PARTS, WITHIN, Dialect

MISSING = Usage(source="missing")
Tree = dict[str, Any]


def _tree(paths: Iterable[str]) -> Tree:
    root: Tree = {}
    # The longest first: what is a figure in one report has parts in another.
    for path in sorted(paths, key=lambda path: -path.count(".")):
        *parts, last = path.split(".")
        branch = root
        for part in parts:
            branch = branch.setdefault(part, {})
        branch.setdefault(last, None)
    return root


# All that is ever looked at: None is a count, a dict what lies within.
_KNOWN = _tree([*(path for dialect in DIALECTS for path in dialect.paths()), *BESIDE])
# Amounts are fractions, and a flag tells what one of them is.
_NUMBERS = frozenset({int, float, bool})


class Reading(NamedTuple):
    """
    What a dialect finds in a report.

    Attributes:
        fields: Paths that are there and what each is; of two for one field the last counts.
        beside: Those of them that the total leaves out.
    """

    dialect: Dialect
    fields: tuple[tuple[str, str], ...]
    beside: tuple[str, ...]


def known_counts(reported: Any) -> dict[str, Any]:
    """
    Keep of a report what a dialect knows, and nothing else: counts, amounts, flags, a few words.

    What a provider reports beside may be anything, texts included.
    """
    return _known(reported, _KNOWN) if isinstance(reported, dict) else {}


def _known(reported: dict[str, Any], tree: Tree) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in reported.items():
        if type(value) in _NUMBERS:
            if key in tree:
                kept[key] = value
        elif branch := tree.get(key):
            if isinstance(value, dict):
                kept[key] = _known(value, branch)
            elif isinstance(value, list):
                kept[key] = _known(parts_of(value), branch)
        elif isinstance(value, str) and value in WORDS and key in tree:
            kept[key] = value
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
    counts: dict[str, int] = {}
    if isinstance(reported, dict):
        _count(reported, _KNOWN, "", counts)
    readings = _readings(tuple(counts))
    if not readings:
        return MISSING
    usage = _fitting(readings, counts)
    return usage if is_consistent(usage) else replace(usage, source="partial")


def _count(reported: Mapping[str, Any], tree: Tree, within: str, counts: dict[str, int]) -> None:
    """
    Add the counts of a report by their paths.
    """
    for key, value in reported.items():
        if key not in tree:
            continue
        # `type`, for bool is an int in Python, and a flag is no count.
        if type(value) is int and 0 <= value <= LARGEST:
            counts[within + key] = value
        elif (branch := tree[key]) and isinstance(value, dict | list):
            parts = value if isinstance(value, dict) else parts_of(value)
            _count(parts, branch, f"{within}{key}.", counts)


def parts_of(listed: list[Any]) -> dict[str, int]:
    """
    Return the tokens of each kind in a list of parts; what is no part is passed over.
    """
    parts: dict[str, int] = {}
    for each in listed:
        for kind, count in PARTS if isinstance(each, dict) else ():
            name, tokens = each.get(kind), each.get(count)
            if isinstance(name, str) and type(tokens) is int:
                # Google's kinds are enums that are texts, too.
                name = str.__str__(name)
                parts[name] = parts.get(name, 0) + tokens
    return parts


@lru_cache(maxsize=256)  # a provider reports the same figures with each call
def _readings(paths: tuple[str, ...]) -> tuple[Reading, ...]:
    """
    Return the dialects of a report with these paths: the first that is marked, and those that
    share its marks.
    """
    there = frozenset(paths)
    found = next((each for each in DIALECTS if there.issuperset(each.marks)), None)
    return tuple(_reading(each, there) for each in DIALECTS if found and each.marks == found.marks)


def _reading(dialect: Dialect, there: frozenset[str]) -> Reading:
    fields = tuple(item for item in dialect.fields.items() if item[0] in there)
    beside = tuple(path for path, field in fields if field in dialect.beside)
    return Reading(dialect, fields, beside)


def _fitting(readings: tuple[Reading, ...], counts: Mapping[str, int]) -> Usage:
    """
    Return the first reading that comes to the total, if one is reported.
    """
    total = counts.get(readings[0].dialect.total or "")
    for reading in readings:
        usage = _read(reading, counts)
        beside = sum(map(counts.__getitem__, reading.beside))
        # 0 is what frameworks say that do not know.
        if not total or total == (usage.input_tokens or 0) + (usage.output_tokens or 0) - beside:
            return usage
    return replace(_read(readings[0], counts), source="partial")


def is_consistent(usage: Usage) -> bool:
    """
    Tell whether the parts fit into their totals.
    """
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    reasoning = usage.reasoning_output_tokens or 0
    detail = usage.detail or {}
    return (
        _fits(usage.input_tokens, cached)
        and _fits(usage.output_tokens, reasoning)
        and all(
            _fits(_total(usage, detail, total), sum(detail.get(part, 0) for part in parts))
            for total, parts in (WITHIN.items() if detail else ())
        )
    )


def _total(usage: Usage, detail: Mapping[str, int], name: str) -> int | None:
    found: int | None = getattr(usage, name) if name in USAGE_COLUMNS else detail.get(name)
    return found


def _fits(total: int | None, parts: int) -> bool:
    return total is None or parts <= total


def _read(reading: Reading, counts: Mapping[str, int]) -> Usage:
    figures = {field: counts[path] for path, field in reading.fields}
    if not any(figures.values()):
        # LiteLLM says 0 of everything where a provider said nothing.
        return MISSING
    for name, total in reading.dialect.apart.items():
        if name in figures:
            figures[total] = figures.get(total, 0) + figures[name]
    columns = {name: figures.pop(name) for name in USAGE_COLUMNS if name in figures}
    usage = Usage(**columns, detail=figures or None, source="provider")
    if usage.input_tokens == 0:
        # Every model reads something: gateways that do not know the input say 0.
        return replace(usage, input_tokens=None, source="partial")
    return usage
