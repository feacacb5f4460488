"""
The ratio of sums and its jackknife variance, as units come in one after the other.

`modeltrail.stats.estimate` goes through all units for one estimate. Here units are
kept by their counts: all that the variance needs of those with the same N_u is how many they
are, the sum of their totals and that of their squares,

    sum (S_u - r N_u)^2 / (N - N_u)^2
        = sum over n of (SS_n - 2 r n S_n + r^2 n^2 c_n) / (N - n)^2,

so that an estimate takes as long as there are different counts, and a further call of a unit
always as long. Totals and counts are whole numbers, and so is every sum: with floats
the difference of the squares would be lost.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field

from modeltrail.stats.estimate import NotEstimable, RatioEstimate
from modeltrail.stats.special import LEAST_DOF


@dataclass(slots=True)
class _Class:
    """
    Units with the same count.
    """

    units: int = 0
    total: int = 0
    squares: int = 0

    def change(self, by: int, total: int) -> None:
        """
        Add a unit with a total, or take it away.
        """
        self.units += by
        self.total += by * total
        self.squares += by * total * total


@dataclass(slots=True)
class RunningRatio:
    """
    One arm, unit by unit.
    """

    _units: dict[str, tuple[int, int]] = field(default_factory=dict)
    _classes: defaultdict[int, _Class] = field(default_factory=lambda: defaultdict(_Class))
    _total: int = 0
    _count: int = 0

    @property
    def n_units(self) -> int:
        """
        How many units there are so far.
        """
        return len(self._units)

    def add(self, unit: str, total: int, count: int) -> None:
        """
        Add to what a unit has done.

        Args:
            unit: A new one, or one that is known.
            total: What its sum S_u grows by.
            count: What its count N_u grows by, 0 or more; if both are 0 the unit has done nothing.
        """
        if not (total or count):
            return
        known = self._units.get(unit)
        before = known or (0, 0)
        after = before[0] + total, before[1] + count
        if known:
            self._take(*known)
        self._units[unit] = after
        self._classes[after[1]].change(1, after[0])
        self._total += total
        self._count += count

    def estimate(self, scale: float = 1.0) -> RatioEstimate | NotEstimable:
        """
        Return what `modeltrail.stats.estimate.ratio` would say of the same units.

        Args:
            scale: What the totals are multiplied by.
        """
        k, total, count = len(self._units), self._total, self._count
        if k < 2 or any(count - n <= 0 for n in self._classes):
            return NotEstimable("too few units, or one of them has all the counts")
        k_eff = count**2 / sum(n * n * each.units for n, each in self._classes.items())
        if k_eff - 1 < LEAST_DOF:
            return NotEstimable("one unit has nearly all the counts")
        variance = (
            (k - 1)
            / k
            * math.fsum(
                self._squares(n, each) / (count * (count - n)) ** 2
                for n, each in self._classes.items()
            )
        )
        return RatioEstimate(k, k_eff, count, total / count * scale, variance * scale**2)

    def _squares(self, n: int, own: _Class) -> int:
        # The sum of (S_u - r n)^2, times N^2.
        total, count = self._total, self._count
        return (
            count**2 * own.squares
            - 2 * count * total * n * own.total
            + (total * n) ** 2 * own.units
        )

    def _take(self, total: int, count: int) -> None:
        own = self._classes[count]
        own.change(-1, total)
        if not own.units:
            del self._classes[count]
