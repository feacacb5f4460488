"""
GrowthBook's arithmetic of assignment: hashes, ranges of buckets, namespaces.

Pure functions, after https://docs.growthbook.io/lib/build-your-own, so that an
experiment may be moved between the two without moving its units.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

HashVersion = Literal[1, 2]

# 32-bit FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/.
_FNV_OFFSET = 2166136261
_FNV_PRIME = 16777619


class Namespace(NamedTuple):
    """
    A part of all units that experiments which exclude each other share out.

    Attributes:
        id: Names what is shared out; experiments that exclude each other have
            the same.
        start: Where this experiment's part begins on [0, 1], included.
        end: Where it ends, excluded.
    """

    id: str
    start: float
    end: float


def hash_unit(seed: str, unit: str, version: HashVersion = 2) -> float:
    """
    Place a unit on [0, 1) by GrowthBook's hash.

    Version 1 is biased where two experiments run at once: their splits may be
    related. It is there for experiments that began with it.

    Characters beyond the basic plane (emoji) are hashed as one code point, as
    GrowthBook's Python SDK does; its JavaScript SDK hashes two surrogates and
    may differ there.

    Args:
        seed: Seed of the experiment.
        unit: Plain value of the unit.
        version: Version of the hash.

    Returns:
        At least 0 and below 1: a multiple of 1/10,000, in version 1 of 1/1,000.

    Raises:
        KeyError: There is no such version.
    """
    return _HASHES[version](seed, unit)


def bucket_ranges(weights: Sequence[float], coverage: float) -> list[tuple[float, float]]:
    """
    Give each arm its half-open range of buckets.

    Ranges start where they would at full coverage, so that raising the
    coverage enrolls further units and moves none.

    Args:
        weights: Weight per arm, in order, adding up to 1.
        coverage: Share of all units to enroll, from 0 to 1.

    Returns:
        Start (inclusive) and end (exclusive) per arm.
    """
    ranges = []
    # Plain float addition on purpose: a more exact sum would put a unit at an
    # edge into another arm than GrowthBook does.
    start = 0.0
    for weight in weights:
        ranges.append((start, start + coverage * weight))
        start += weight
    return ranges


def choose_range(bucket: float, ranges: Sequence[tuple[float, float]]) -> int | None:
    """
    Find the first range that a bucket lies in.

    Args:
        bucket: A place on [0, 1).
        ranges: Half-open ranges.

    Returns:
        Index of the range; None if the bucket lies in none.
    """
    for index, (start, end) in enumerate(ranges):
        if start <= bucket < end:
            return index
    return None


def in_namespace(unit: str, namespace: Namespace) -> bool:
    """
    Tell whether a unit belongs to an experiment's part of a namespace.

    The hash is always of version 1, as GrowthBook's is.
    """
    return namespace.start <= hash_unit(f"__{namespace.id}", unit, 1) < namespace.end


def _fnv1a32(text: str) -> int:
    state = _FNV_OFFSET
    for character in text:
        state = (state ^ ord(character)) * _FNV_PRIME & 0xFFFFFFFF
    return state


def _hash_1(seed: str, unit: str) -> float:
    return _fnv1a32(unit + seed) % 1_000 / 1_000


def _hash_2(seed: str, unit: str) -> float:
    return _fnv1a32(str(_fnv1a32(seed + unit))) % 10_000 / 10_000


_HASHES: Mapping[HashVersion, Callable[[str, str], float]] = {1: _hash_1, 2: _hash_2}
HASH_VERSIONS = tuple(_HASHES)
