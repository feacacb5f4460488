"""
The tables of the page, from the results alone.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from benchmarks.peers.catalogue import FRAMEWORKS
from benchmarks.peers.estimates import Estimate, baseline, count, extra, total
from benchmarks.peers.ingest import PLACES

Found = dict[str, Any]
OURS = "ours"
CLOCKS = {"caller": "caller's thread", "process": "whole process"}
NOT_RUN = "not run"
UNRESOLVED = "not resolved"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """
    Return a Markdown table.
    """
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def runs(results: Found) -> str:
    """
    Tell when, where and how often each section was measured.
    """
    rows = [
        (
            name,
            section["about"]["date"],
            section["about"]["machine"],
            section["about"]["python"],
            str(section["about"]["load"]),
            str(section["rounds"]),
            str(section.get("launches", section["rounds"])),
        )
        for name, section in sorted(results.items())
    ]
    heads = ("measured", "date", "machine", "Python", "load before", "rounds", "launches")
    return table(heads, rows)


def peers(results: Found) -> str:
    """
    Tell who was measured, with what versions.
    """
    known = {
        name: about
        for section in results.values()
        for name, about in section["about"]["peers"].items()
        if name != "none"
    }
    rows = [
        (
            about["title"],
            _versions(about["versions"]) if about["error"] is None else NOT_RUN,
            _versions(about["frameworks"]),
            about["kept"],
        )
        for about in known.values()
    ]
    return table(("", "versions", "frameworks", "counted in"), rows)


def survival(section: Found) -> str:
    """
    Tell how many calls were left after each ending.
    """
    rows = [
        (_title(section, name), *(_survivors(found, ending) for ending in section["endings"]))
        for name, found in section["peers"].items()
    ]
    return table((f"of {section['calls']} calls", *section["endings"]), rows)


def overhead(section: Found, framework: str) -> str:
    """
    Tell what each peer adds to a call of a framework.
    """
    found = section["frameworks"][framework]
    ours = {clock: extra(found.get(OURS, {}).get("blocks", []), clock) for clock in CLOCKS}
    rows = [
        (_title(section, name), *_costs(each["blocks"], ours), _arrived(each))
        for name, each in found.items()
    ]
    heads = chain.from_iterable((f"{clock}, us", "launches", "x ours") for clock in CLOCKS.values())
    return table((FRAMEWORKS[framework], "alone, us", *heads, "arrived"), rows)


def ingest(section: Found) -> str:
    """
    Tell what a record takes in each store.
    """
    found = section["places"]
    ours = total(found.get("ours-sqlite", {}).get("blocks", []), "process", "server")
    rows = [_place(name, each["blocks"], ours, _arrived(each)) for name, each in found.items()]
    heads = ("store", "process, us", "server, us", "in all, us", "launches", "x ours", "arrived")
    return table(heads, rows)


def losses(results: Found) -> list[str]:
    """
    Return a sentence for each figure in which somebody else is better than ours.
    """
    return [
        sentence for name in LOSSES if name in results for sentence in LOSSES[name](results[name])
    ]


def failures(results: Found) -> list[str]:
    """
    Return a sentence for each measurement that could not be made.
    """
    return [
        f"{_title(section, name)}, {what}: {error}"
        for section in results.values()
        for name, what, error in _errors(section)
    ]


def _versions(found: Found) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items()) or "-"


def _title(section: Found, name: str) -> str:
    return section["about"]["peers"][PLACES[name].peer if name in PLACES else name]["title"]


def _survivors(found: Found, ending: str) -> str:
    """
    Tell how many were there at once and, if that is another number, after the next opening.
    """
    each = found.get(ending, {})
    if "arrived" not in each:
        return NOT_RUN
    hung = " (hung)" if any(each["hung"]) else ""
    later = each.get("reopened", each["arrived"])
    if later == each["arrived"]:
        return _range(later) + hung
    return f"{_range(later)} (before the next open: {_range(each['arrived'])}){hung}"


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} .. {high}"


def _costs(blocks: Any, ours: dict[str, Estimate | None]) -> list[str]:
    if not blocks:
        return [NOT_RUN, *["-"] * 3 * len(CLOCKS)]
    cells = [f"{baseline(blocks, 'caller'):.0f}"]
    for clock, reference in ours.items():
        estimate = extra(blocks, clock)
        cells += [*_shown(estimate), _ratio(estimate, reference)]
    return cells


def _place(name: str, blocks: Any, ours: Estimate | None, arrived: str) -> list[str]:
    title = PLACES[name].title
    if not blocks:
        return [title, NOT_RUN, *["-"] * 5]
    parts = [_shown(total(blocks, part))[0] for part in ("process", "server")]
    in_all = total(blocks, "process", "server")
    server = parts[1] if PLACES[name].server else "-"
    return [title, parts[0], server, *_shown(in_all), _ratio(in_all, ours), arrived]


def _shown(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return "too few rounds", "-"
    middle, low, high = (f"{each:.0f}" for each in estimate.interval)
    resolved = "" if estimate.resolved else f", {UNRESOLVED}"
    return f"{middle} [{low} .. {high}]{resolved}", f"{estimate.low:.0f} .. {estimate.high:.0f}"


def _ratio(estimate: Estimate | None, ours: Estimate | None) -> str:
    if not (estimate and ours and estimate.resolved and ours.resolved):
        return "-"
    return f"{estimate.interval.estimate / ours.interval.estimate:.1f}"


def _arrived(found: Found) -> str:
    calls, missing = (count(found["blocks"], what) for what in ("calls", "missing"))
    return f"{calls - missing} of {calls}"


def _lost_survival(section: Found) -> list[str]:
    ours = section["peers"].get(OURS, {})
    return [
        f"{_title(section, name)} had more calls when the process had ended than ours had before "
        f"the next open: after {', '.join(better)}."
        for name, found in section["peers"].items()
        if (better := [each for each in section["endings"] if _has_more(found, ours, each)])
    ]


def _has_more(found: Found, ours: Found, ending: str) -> bool:
    each, own = (side.get(ending, {}).get("arrived") for side in (found, ours))
    return bool(each and own) and min(each) > min(own)


def _lost_overhead(section: Found) -> list[str]:
    return [
        f"{FRAMEWORKS[framework]}, {CLOCKS[clock]}: {_title(section, name)} adds less."
        for framework, found in section["frameworks"].items()
        for name, each in found.items()
        for clock in CLOCKS
        if _is_less(
            extra(each["blocks"], clock), extra(found.get(OURS, {}).get("blocks", []), clock)
        )
    ]


def _lost_ingest(section: Found) -> list[str]:
    found = section["places"]
    ours = total(found.get("ours-sqlite", {}).get("blocks", []), "process", "server")
    return [
        f"A record until it is durable: {PLACES[name].title} takes less."
        for name, each in found.items()
        if _is_less(total(each["blocks"], "process", "server"), ours)
    ]


def _is_less(estimate: Estimate | None, ours: Estimate | None) -> bool:
    return bool(estimate and ours and estimate.is_below(ours))


def _errors(section: Found) -> list[tuple[str, str, str]]:
    """
    Return peer, what was to be measured, and why it was not.
    """
    groups = section.get("frameworks", {}) | {"its store": section.get("places", {})}
    found = [
        (name, FRAMEWORKS.get(group, group), each["error"])
        for group, members in groups.items()
        for name, each in members.items()
        if "error" in each
    ]
    for name, endings in section.get("peers", {}).items():
        whole = {"all endings": endings} if "error" in endings else endings
        found += [(name, each, told["error"]) for each, told in whole.items() if "error" in told]
    return found


LOSSES: dict[str, Callable[[Found], list[str]]] = {
    "survival": _lost_survival,
    "overhead": _lost_overhead,
    "ingest": _lost_ingest,
}
