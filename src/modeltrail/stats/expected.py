"""
What a variant earns on a feature: the outcome model of the doubly robust value.

The mean reward of a feature's calls with the variant, drawn towards the mean of
all calls with the variant by the weight of five of them, so that a feature with
few calls is not believed at its word: (sum + 5 mean) / (n + 5).

Crossed, it is learnt for each unit from the other four of five folds of units
(cross-fitting: Chernozhukov et al., Econometrics Journal 21 (2018) C1), so that
nothing is expected of a unit that was learnt from itself.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable

FOLDS = 5
# Calls of the same variant that the mean of the variant counts for.
_PRIOR_CALLS = 5

_Key = tuple[str, ...]


def fold(unit: str, folds: int = FOLDS) -> int:
    """
    Give the fold of a unit: by a hash of its name, the same in every run.
    """
    return zlib.crc32(unit.encode()) % folds


class CrossedMeans:
    """
    Means that were learnt from the other folds.
    """

    def __init__(self, rows: Iterable[tuple[str, str, str, float]]) -> None:
        """
        Learn from rows of unit, feature, variant and reward.
        """
        self._sums: defaultdict[tuple[_Key, int | None], list[float]] = defaultdict(
            lambda: [0.0, 0.0]
        )
        self._memo: dict[tuple[str, str, int], float] = {}
        for unit, feature, variant, reward in rows:
            for key in _keys(feature, variant):
                for place in (None, fold(unit)):
                    self._sums[key, place][0] += reward
                    self._sums[key, place][1] += 1

    def expected(self, unit: str, feature: str, variant: str) -> float:
        """
        Give what is expected of the variant for a call of the unit.
        """
        place = (feature, variant, fold(unit))
        if place not in self._memo:
            self._memo[place] = self._mean(*place)
        return self._memo[place]

    def _mean(self, feature: str, variant: str, left_out: int) -> float:
        (own, n), (arm, n_arm), (everything, n_all) = (
            self._others(key, left_out) for key in _keys(feature, variant)
        )
        # Whatever is expected, the value stays without bias; nothing to learn from is 0.
        prior = arm / n_arm if n_arm else everything / max(n_all, 1)
        return (own + _PRIOR_CALLS * prior) / (n + _PRIOR_CALLS)

    def _others(self, key: _Key, left_out: int) -> tuple[float, float]:
        (total, count), (own, n) = self._sums[key, None], self._sums[key, left_out]
        return total - own, count - n


class PlainMeans:
    """
    The observed means of each variant on each feature.
    """

    def __init__(self, rows: Iterable[tuple[str, str, str, float]]) -> None:
        """
        Sum up rows of unit, feature, variant and reward.
        """
        self._sums: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for _, feature, variant, reward in rows:
            self._sums[feature, variant][0] += reward
            self._sums[feature, variant][1] += 1

    def expected(self, unit: str, feature: str, variant: str) -> float:  # noqa: ARG002
        """
        Give the mean of the variant on the feature; there must be such calls.
        """
        total, count = self._sums[feature, variant]
        return total / count


def _keys(feature: str, variant: str) -> tuple[_Key, ...]:
    return ("cell", feature, variant), ("arm", variant), ("all",)
