"""
Made-up histories of traffic, by a generator that knows nothing of any detector.

Hourly counts are negative binomial (a Poisson whose mean is gamma distributed)
around a day, a week, a drift and a slowly wandering level; some series have
batches at one hour of each day or week. A spike multiplies the mean of one hour.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

from modeltrail.ids import uuid7
from modeltrail.record import CallRecord
from modeltrail.storage import Store
from modeltrail.storage.rows import Batch, call_row

WEEK = 168
HOUR_US = 3_600_000_000
# Monday 2026-06-01, midnight UTC.
START_US = 1_780_272_000_000_000


@dataclass(frozen=True)
class History:
    """
    Counts per hour, and at which hours there is a spike.
    """

    counts: list[int]
    spikes: set[int]


def history(
    random: Random,
    *,
    weeks: int = 8,
    spikes: int = 8,
    least: float = 3,
    most: float = 300,
    times: tuple[float, float] = (4, 10),
) -> History:
    """
    Make a series whose usual hour has between `least` and `most` calls.
    """
    base = log_uniform(random, least, most)
    dispersion = random.uniform(4, 20)
    shape = _shape(random)
    drift = random.gauss(0, 0.04)
    at = set(random.sample(range(weeks * WEEK), spikes))
    counts, level = [], 0.0
    for hour in range(weeks * WEEK):
        if hour % 24 == 0:
            level = 0.8 * level + random.gauss(0, 0.06)
        mean = base * shape[hour % WEEK] * math.exp(drift * hour / WEEK + level)
        mean *= random.uniform(*times) if hour in at else 1
        counts.append(negative_binomial(random, mean, dispersion))
    return History(counts, at)


def _shape(random: Random) -> list[float]:
    swing, peak = random.uniform(0.3, 0.9), random.randrange(24)
    office, weekend = random.random() < 0.3, random.uniform(0.3, 1)
    nightly = random.uniform(3, 8) if random.random() < 0.4 else 1
    weekly = random.uniform(3, 8) if random.random() < 0.3 else 1
    at_night, in_week = random.randrange(24), random.randrange(WEEK)
    found = []
    for hour in range(WEEK):
        day, clock = divmod(hour, 24)
        wave = 1 + swing * math.cos(math.tau * (clock - peak) / 24)
        each = (1.0 if 8 <= clock < 18 else 0.12) if office else wave
        each *= weekend if day >= 5 else 1
        each *= nightly if clock == at_night else 1
        found.append(each * (weekly if hour == in_week else 1))
    return found


def log_uniform(random: Random, least: float, most: float) -> float:
    """
    Draw a number whose logarithm is uniform.
    """
    return math.exp(random.uniform(math.log(least), math.log(most)))


def negative_binomial(random: Random, mean: float, dispersion: float) -> int:
    """
    Draw a count of variance mean + mean^2 / dispersion.
    """
    return poisson(random, random.gammavariate(dispersion, mean / dispersion))


def poisson(random: Random, mean: float) -> int:
    """
    Draw a Poisson count, by Knuth's product of uniforms in steps of 30.
    """
    found = 0
    while mean > 0:
        step = min(mean, 30.0)
        bound, product = math.exp(-step), random.random()
        while product > bound:
            found += 1
            product *= random.random()
        mean -= step
    return found


def call(at_us: int, **columns: Any) -> CallRecord:
    """
    Return a record of a call that started then.
    """
    given = {
        "id": uuid7(at_us),
        "framework": "test",
        "framework_version": "1",
        "operation": "chat",
        "started_at_us": at_us,
        "status": "ok",
    }
    return msgspec.convert(given | columns, CallRecord)


def keep(store: Store, calls: Iterable[CallRecord]) -> None:
    """
    Store calls.
    """
    assert store.append(Batch(call=[call_row(each) for each in calls])) == []
