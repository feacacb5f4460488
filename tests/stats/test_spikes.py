"""
Spikes of hourly series.
"""

import math
from collections.abc import Iterable
from random import Random

import pytest
from histories import WEEK, History, history, negative_binomial
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrail.stats.estimate import NotEstimable
from modeltrail.stats.spikes import Spike, count_spikes, mean_spikes


def found(spikes: list[Spike] | NotEstimable) -> list[Spike]:
    """Return the spikes of a series that is not refused."""
    assert not isinstance(spikes, NotEstimable)
    return spikes


def places(spikes: list[Spike] | NotEstimable) -> set[int]:
    """Return where they are."""
    return {each.place for each in found(spikes)}


def judged(pairs: Iterable[tuple[set[int], set[int]]]) -> tuple[float, float]:
    """Return recall and precision of (found, true) places."""
    pairs = list(pairs)
    hits = sum(len(seen & true) for seen, true in pairs)
    return hits / sum(len(true) for _, true in pairs), hits / sum(len(seen) for seen, _ in pairs)


@pytest.mark.parametrize("seed", range(3))
def test_spikes_of_counts_are_found(seed: int) -> None:
    """Of 40 series of 8 weeks: at least 70 % of the spikes, and 90 % of what is found is one."""
    made = [history(Random(f"{seed}-{n}")) for n in range(40)]
    recall, precision = judged((places(count_spikes(each.counts)), each.spikes) for each in made)
    assert recall >= 0.70
    assert precision >= 0.90


@pytest.mark.parametrize("seed", range(2))
def test_few_calls_hide_spikes_but_raise_no_alarms(seed: int) -> None:
    """At half a call to 20 calls an hour many spikes are within the noise; few alarms are false."""
    made = [history(Random(f"few-{seed}-{n}"), least=0.5, most=20) for n in range(40)]
    _, precision = judged((places(count_spikes(each.counts)), each.spikes) for each in made)
    assert precision >= 0.90


@pytest.mark.parametrize("seed", range(2))
def test_traffic_without_spikes_seldom_alarms(seed: int) -> None:
    """Less than one false alarm per series in ten weeks."""
    made = [history(Random(f"calm-{seed}-{n}"), spikes=0) for n in range(20)]
    alarms = sum(len(places(count_spikes(each.counts))) for each in made)
    assert alarms / (20 * 8) < 0.1


def costs(random: Random, of: History) -> list[int]:
    """Return the cost of each hour, calls being of very different sizes."""
    return [sum(int(random.lognormvariate(13, 1)) for _ in range(n)) for n in of.counts]


@pytest.mark.parametrize("seed", range(2))
def test_spikes_of_sums_are_found(seed: int) -> None:
    """Costs of calls that differ by a standard deviation of 130 % raise no more false alarms."""
    made = [history(Random(f"cost-{seed}-{n}"), most=60) for n in range(20)]
    unit = math.exp(14.5)  # E[x^2] / E[x] of the lognormal distribution below
    pairs = [
        (places(count_spikes(costs(Random(f"{seed}-{n}"), each), unit=unit)), each.spikes)
        for n, each in enumerate(made)
    ]
    recall, precision = judged(pairs)
    assert recall >= 0.50
    assert precision >= 0.90


def latencies(random: Random, slow: set[int], counts: list[int]) -> list[float | None]:
    """Return the mean latency of each hour, in microseconds, slower at noon."""
    found: list[float | None] = []
    for hour, n in enumerate(counts):
        usual = (
            800_000 * (1 + 0.3 * math.sin(math.tau * hour / 24)) * math.exp(random.gauss(0, 0.08))
        )
        factor = random.uniform(3, 6) if hour in slow else 1
        each = [usual * factor * random.lognormvariate(-0.18, 0.6) for _ in range(n)]
        found.append(sum(each) / n if n else None)
    return found


@pytest.mark.parametrize("seed", range(2))
def test_spikes_of_means_are_found(seed: int) -> None:
    """Latency of 3 to 6 times is found where hours have from no to hundreds of calls."""
    pairs = []
    for number in range(20):
        random = Random(f"slow-{seed}-{number}")
        counts = history(random, spikes=0, least=2, most=80).counts
        slow = set(random.sample([hour for hour, n in enumerate(counts) if n], 8))
        pairs.append((places(mean_spikes(latencies(random, slow, counts), counts)), slow))
    recall, precision = judged(pairs)
    assert recall >= 0.60
    assert precision >= 0.90


def steady(value: float = 100, weeks: int = 4) -> list[float | None]:
    """Return a series without season or noise."""
    return [value] * (weeks * WEEK)


@pytest.mark.parametrize(
    ("usual", "value", "score"),
    [
        # 2 sqrt(400.375) - 2 sqrt(100.375) = 40.0187 - 20.0375
        (100, 400, 19.9813),
        # 2 sqrt(10.375) - 2 sqrt(1.375) = 6.4420 - 2.3452
        (1, 10, 4.0968),
        # 6.1237 - 2.3452 = 3.7785: not above 4
        (1, 9, None),
        # 24.1143 - 20.0375 = 4.0768, but not twice as much
        (100, 145, None),
    ],
)
def test_score_of_a_steady_series(usual: float, value: float, score: float | None) -> None:
    """Without noise the deviation is 1, that of a Poisson count on this scale."""
    series = steady(usual)
    series[500] = value
    spikes = found(count_spikes(series))
    assert [each.place for each in spikes] == ([] if score is None else [500])
    for each in spikes:
        assert each.value == value
        assert each.expected == pytest.approx(usual, rel=1e-9)
        assert each.score == pytest.approx(score, abs=1e-4)


def test_a_silence_is_no_spike() -> None:
    """Only more than usual is found."""
    series = steady()
    series[500] = 0
    assert found(count_spikes(series)) == []


@pytest.mark.parametrize("size", [10, 1000, 1_000_000])
def test_a_spike_hides_no_other(size: int) -> None:
    """However large, it moves neither the level nor its hour of the week."""
    made = history(Random("hide"), least=50, most=60, spikes=0)
    spiked = list(made.counts)
    spiked[700] *= size
    before = places(count_spikes(made.counts))
    assert places(count_spikes(spiked)) == before | {700}
    # Of the hours after it, and of the same hour a week later, too.
    for later in (701, 700 + WEEK):
        spiked[later] *= 10
    assert places(count_spikes(spiked)) == before | {700, 701, 700 + WEEK}


def test_what_happens_each_week_is_no_spike() -> None:
    """A batch ten times its neighbours has its own index; where it is doubled again it is found."""
    random = Random("batch")
    means = [200.0 if hour % WEEK == 30 else 20.0 for hour in range(8 * WEEK)]
    means[30 + 5 * WEEK] *= 4
    series = [negative_binomial(random, mean, 20) for mean in means]
    assert places(count_spikes(series)) == {30 + 5 * WEEK}


def test_a_new_level_becomes_the_usual_one() -> None:
    """Three times the traffic alarms for hours, not for weeks."""
    late = []
    for number in range(10):
        counts = history(Random(f"shift-{number}"), spikes=0, least=30).counts
        moved = [count * 3 if hour >= 900 else count for hour, count in enumerate(counts)]
        late.append(sum(hour >= 900 + 2 * 24 for hour in places(count_spikes(moved))))
    assert sum(late) <= 5


@pytest.mark.parametrize("hours", [0, 1, WEEK, 4 * WEEK - 1])
def test_less_than_four_weeks_are_refused(hours: int) -> None:
    """A series that is too short is not judged, and says how much is needed."""
    for refused in (count_spikes([5.0] * hours), mean_spikes([5.0] * hours, [1] * hours)):
        assert isinstance(refused, NotEstimable)
        assert refused.reason == (
            f"{hours // 24} days of history; 4 weeks are needed to know its week"
        )


def test_too_few_known_hours_are_refused() -> None:
    """Four weeks of which only a few hours are known are not four weeks."""
    series: list[float | None] = [None] * (4 * WEEK)
    series[:167] = [1.0] * 167
    assert count_spikes(series) == NotEstimable("167 hours are known; 168 are needed")
    series[167] = 1.0
    assert found(count_spikes(series)) == []


def test_unknown_hours_are_passed_over() -> None:
    """What is not known is neither zero nor usual: it changes nothing around it."""
    made = history(Random("gaps"), least=80, most=90, times=(8, 10))
    gaps = set(range(0, len(made.counts), 7)) - made.spikes
    known = [None if hour in gaps else count for hour, count in enumerate(made.counts)]
    whole = places(count_spikes(made.counts))
    assert places(count_spikes(known)) & made.spikes == whole & made.spikes


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-3, 1e9))
def test_the_unit_does_not_matter(seed: int, unit: float) -> None:
    """Dollars or nano-dollars: the same hours, the same scores."""
    counts = history(Random(seed), weeks=4, spikes=4).counts
    plain = found(count_spikes(counts))
    scaled = found(count_spikes([count * unit for count in counts], unit=unit))
    assert [each.place for each in scaled] == [each.place for each in plain]
    for one, other in zip(plain, scaled, strict=True):
        assert other.score == pytest.approx(one.score, rel=1e-6)
        assert other.expected == pytest.approx(one.expected * unit, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(1, 1e15), st.floats(0, 0.8), st.floats(0, 0.8))
def test_any_numbers_are_judged(seed: int, most: float, zero: float, unknown: float) -> None:
    """Whatever the series, what is found is above what is expected, at finite scores."""
    random = Random(seed)
    values: list[float | None] = [random.uniform(0, most) for _ in range(4 * WEEK)]
    for place in range(len(values)):
        values[place] = 0.0 if random.random() < zero else values[place]
        values[place] = None if random.random() < unknown else values[place]
    for spikes in (count_spikes(values), mean_spikes(values, [1] * len(values))):
        for each in spikes if isinstance(spikes, list) else []:
            assert each.value == values[each.place]
            assert each.value >= 2 * each.expected >= 0
            assert 4 < each.score < math.inf
