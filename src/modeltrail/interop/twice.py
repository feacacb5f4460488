"""
Exports that tell the same of the same time: counted twice they would look like retries.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations

from modeltrail.errors import ConfigurationError
from modeltrail.interop.export import HOUR_US, SECOND_US, Export, UsageBucket

# The longest bucket of each width that providers count by; the first may be cut.
WIDTHS = {"minute": 60 * SECOND_US, "hour": HOUR_US, "day": 24 * HOUR_US}


def refuse_twice(exports: Sequence[Export]) -> None:
    """
    Refuse to count the same figures of the same time twice.

    Raises:
        ConfigurationError: Two files, or two pages of one, tell the same.
    """
    for each in exports:
        if _has_page_twice(each):
            raise ConfigurationError(f"{each.name} has a page twice; leave one out")
    for one, other in combinations(exports, 2):
        if one.format == other.format and _tell_the_same(one, other):
            raise ConfigurationError(f"{one.name} and {other.name} tell the same; leave one out")
    for format in sorted({each.format for each in exports if each.kind != "calls"}):
        own = [each for each in exports if each.format == format]
        for widths in combinations(WIDTHS, 2):
            _refuse_widths(own, *widths)


def _has_page_twice(export: Export) -> bool:
    repeated = {span for span, number in Counter(export.spans).items() if number > 1}
    # Within one bucket groups may be equal, such as costs of nothing.
    told = Counter(each for each in export.buckets if (each.start_us, each.end_us) in repeated)
    return any(number > 1 and _has_figures(each) for each, number in told.items())


def _tell_the_same(one: Export, other: Export) -> bool:
    if one.kind == "calls":  # calls of one moment may be alike
        return bool(
            {each.request_id for each in one.calls} & {each.request_id for each in other.calls}
        )
    return any(_has_figures(each) for each in set(one.buckets) & set(other.buckets))


def _has_figures(bucket: UsageBucket) -> bool:
    return any((bucket.requests, bucket.input_tokens, bucket.output_tokens, bucket.cost_nanousd))


def _refuse_widths(exports: Sequence[Export], narrow: str, wide: str) -> None:
    fine = _groups(exports, narrow, WIDTHS[wide])
    coarse = _groups(exports, wide, WIDTHS[wide])
    for group in fine.keys() & coarse.keys():
        names = " and ".join(sorted({fine[group], coarse[group]}))
        raise ConfigurationError(
            f"the same time is told by {narrow} and by {wide} in {names}; leave one out"
        )


def _groups(exports: Sequence[Export], width: str, within_us: int) -> dict[tuple[object, ...], str]:
    """
    Return which groups are told by buckets of a width, in which longer buckets, by which file.
    """
    found: dict[tuple[object, ...], str] = {}
    for name, each in _of_width(exports, width):
        place = each.start_us // within_us
        found[(place, each.model, each.key, each.project, each.batch)] = name
    return found


def _of_width(exports: Sequence[Export], width: str) -> Iterator[tuple[str, UsageBucket]]:
    for export in exports:
        for each in export.buckets:
            length_us = each.end_us - each.start_us
            own = next((name for name, most in WIDTHS.items() if length_us <= most), None)
            if own == width and _has_figures(each):
                yield export.name, each
