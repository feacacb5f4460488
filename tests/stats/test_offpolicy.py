"""
Values of policies against plain formulas, known truths and brute force.
"""

import csv
import gzip
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modeltrail.stats.estimate import Difference, Interval, NotEstimable
from modeltrail.stats.expected import fold
from modeltrail.stats.offpolicy import (
    Evaluation,
    LoggedCall,
    Value,
    Weights,
    always,
    by_feature,
    evaluate,
    observational,
    policy_difference,
)

HERE = Path(__file__).parent


@cache
def mmlu() -> list[LoggedCall]:
    """Return a log whose propensities depend on the domain."""
    with gzip.open(HERE / "ope_mmlu_logged.csv.gz", "rt") as file:
        return [
            LoggedCall(
                row["call_id"],
                row["feature"],
                row["variant"],
                float(row["propensity"]),
                float(row["correct"]),
            )
            for row in csv.DictReader(file)
        ]


@cache
def answers() -> dict[str, dict[str, float]]:
    """Return what both variants would have been worth, by call."""
    with gzip.open(HERE.parent / "experiment" / "routellm.csv.gz", "rt") as file:
        return {
            row["question_id"]: {"A": float(row["gpt_4"]), "B": float(row["mixtral"])}
            for row in csv.DictReader(file)
        }


@cache
def open_bandit(campaign: str) -> list[LoggedCall]:
    """Return the log of Thompson sampling in a fashion shop."""
    with gzip.open(HERE / "obd_bts.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["campaign"] == campaign]
    return [
        LoggedCall(
            str(i), row["position"], row["action"], float(row["propensity"]), float(row["reward"])
        )
        for i, row in enumerate(rows)
    ]


def told(found: Value | NotEstimable) -> Value:
    """Return a value that is one."""
    assert isinstance(found, Value), found
    return found


def bounds(found: Value | NotEstimable) -> Interval:
    """Return the interval of a value that has one."""
    interval = told(found).interval
    assert isinstance(interval, Interval)
    return interval


def weights_of(found: Evaluation) -> Weights:
    """Return weights that are known."""
    assert isinstance(found.weights, Weights)
    return found.weights


def reason(found: object) -> str:
    """Return why there is no value."""
    assert isinstance(found, NotEstimable), found
    return found.reason


def robust_terms(log: list[LoggedCall], target: str) -> list[float]:
    """Return the doubly robust sum's terms, learning each fold's means from scratch."""
    terms = {}
    for left_out in range(5):
        cells: dict[tuple[str, str], list[float]] = defaultdict(list)
        arms: dict[str, list[float]] = defaultdict(list)
        for call in log:
            if fold(call.unit) != left_out:
                cells[call.feature, call.variant].append(call.reward)
                arms[call.variant].append(call.reward)
        for i, call in enumerate(log):
            if fold(call.unit) == left_out:
                own = cells[call.feature, target]
                q = (sum(own) + 5 * fmean(arms[target])) / (len(own) + 5)
                weight = (call.variant == target) / (call.propensity or math.nan)
                terms[i] = q + weight * (call.reward - q)
    return [terms[i] for i in range(len(log))]


@pytest.mark.parametrize(
    ("variant", "ips", "snips", "robust"),
    [("B", 0.6786, 0.6731, 0.6752), ("A", 0.8046, 0.8047, 0.8062)],
)
def test_policies_of_one_variant(variant: str, ips: float, snips: float, robust: float) -> None:
    """
    Real calls give the published figures, the textbook's errors, and the truth within the interval.
    """
    log = mmlu()
    n = len(log)
    w = [(call.variant == variant) / (call.propensity or math.nan) for call in log]
    r = [call.reward for call in log]
    earned = [a * b for a, b in zip(w, r, strict=True)]
    found = evaluate(log, always(variant))
    truth = fmean(answers()[call.unit][variant] for call in log)

    assert told(found.ips).value == pytest.approx(fmean(earned), rel=1e-12)
    assert told(found.ips).value == pytest.approx(ips, abs=5e-5)
    assert told(found.ips).standard_error == pytest.approx(stdev(earned) / math.sqrt(n), rel=1e-9)

    value = sum(earned) / sum(w)
    squares = sum((a * (b - value)) ** 2 for a, b in zip(w, r, strict=True))
    linearised = math.sqrt(squares / fmean(w) ** 2 / (n * (n - 1)))
    assert told(found.snips).value == pytest.approx(value, rel=1e-12)
    assert told(found.snips).value == pytest.approx(snips, abs=5e-5)
    assert told(found.snips).standard_error == pytest.approx(linearised, rel=1e-3)

    terms = robust_terms(log, variant)
    assert told(found.doubly_robust).value == pytest.approx(fmean(terms), rel=1e-12)
    # obp's folds are others.
    assert told(found.doubly_robust).value == pytest.approx(robust, abs=2e-3)
    assert told(found.doubly_robust).standard_error == pytest.approx(
        stdev(terms) / math.sqrt(n), rel=1e-9
    )

    for each in (found.ips, found.snips, found.doubly_robust):
        assert bounds(each).lower < truth < bounds(each).upper
    weights = weights_of(found)
    assert weights.effective == pytest.approx(sum(w) ** 2 / sum(a * a for a in w), rel=1e-12)
    # Student's t on the effective units less 1: Abramowitz and Stegun 26.7.5, first two terms.
    z = 1.959963984540054
    t = z + (z**3 + z) / (4 * (weights.effective - 1))
    for each in (found.ips, found.snips, found.doubly_robust):
        half = (bounds(each).upper - bounds(each).lower) / 2
        assert half == pytest.approx(t * told(each).standard_error, rel=1e-6)
    assert (weights.n_calls, weights.n_units) == (n, n)
    assert weights.largest == pytest.approx(10)
    assert weights.mean == pytest.approx(fmean(w), rel=1e-12)
    assert weights.standard_error == pytest.approx(stdev(w) / math.sqrt(n), rel=1e-9)


def test_truth_of_the_log() -> None:
    """
    What the intervals have to contain is what the published answers say.
    """
    truth = {
        variant: fmean(answers()[call.unit][variant] for call in mmlu()) for variant in ("A", "B")
    }
    assert truth["B"] == pytest.approx(0.6809, abs=5e-5)
    assert truth["B"] - truth["A"] == pytest.approx(-0.1250, abs=5e-5)


def test_difference_of_policies() -> None:
    """
    The difference of both variants is the truth's, where the naive one is off by a fifth.
    """
    log = mmlu()
    found = policy_difference(log, always("A"), always("B"))
    assert all(isinstance(each, Difference) for each in found)
    terms = [
        call.reward * (1 if call.variant == "B" else -1) / (call.propensity or math.nan)
        for call in log
    ]
    assert isinstance(found.ips, Difference)
    assert found.ips.difference == pytest.approx(fmean(terms), rel=1e-9)
    assert found.ips.difference == pytest.approx(-0.1259, abs=5e-5)
    assert found.ips.standard_error == pytest.approx(stdev(terms) / math.sqrt(len(log)), rel=1e-9)
    assert found.ips.standard_error == pytest.approx(0.0180, abs=5e-5)
    robust = [b - a for a, b in zip(robust_terms(log, "A"), robust_terms(log, "B"), strict=True)]
    assert isinstance(found.doubly_robust, Difference)
    assert found.doubly_robust.difference == pytest.approx(fmean(robust), rel=1e-9)
    assert found.doubly_robust.standard_error == pytest.approx(
        stdev(robust) / math.sqrt(len(log)), rel=1e-9
    )
    for each in found:
        assert isinstance(each, Difference)
        assert each.interval.lower < -0.1250 < each.interval.upper
    naive = [fmean(c.reward for c in log if c.variant == variant) for variant in ("A", "B")]
    assert naive[1] - naive[0] == pytest.approx(-0.0983, abs=5e-5)


def test_policy_by_domain() -> None:
    """
    A policy that mixes the variants by domain is valued as the published answers would have been.
    """
    domains = sorted({call.feature for call in mmlu()})
    choices = {domain: "AB"[i % 2] for i, domain in enumerate(domains)}
    truth = fmean(answers()[call.unit][choices[call.feature]] for call in mmlu())
    found = evaluate(mmlu(), by_feature(choices))
    for each in (found.ips, found.snips, found.doubly_robust):
        assert bounds(each).lower < truth < bounds(each).upper


def test_too_far_from_the_log() -> None:
    """
    A uniform policy in the shop for women rests on two recommendations: no value.
    """
    log = open_bandit("women")
    items = sorted({call.variant for call in log})
    assert len(items) == 46
    w = [1 / 46 / (call.propensity or math.nan) for call in log]
    found = evaluate(log, lambda _: dict.fromkeys(items, 1 / 46))
    assert "effective sample is 2.1 of 10,000" in reason(found.snips)
    assert "21,739" in reason(found.snips)
    assert found.snips == found.doubly_robust == found.ips
    assert weights_of(found).effective == pytest.approx(2.078, abs=5e-4)
    assert weights_of(found).effective == pytest.approx(sum(w) ** 2 / sum(a * a for a in w))
    assert weights_of(found).largest == pytest.approx(max(w)) == pytest.approx(21_739, abs=0.5)
    assert weights_of(found).mean == pytest.approx(3.13, abs=5e-3)


def test_near_enough_to_the_log() -> None:
    """
    The same policy in the shop for men has an effective sample of 656, and values.
    """
    log = open_bandit("men")
    items = sorted({call.variant for call in log})
    found = evaluate(log, lambda _: dict.fromkeys(items, 1 / len(items)))
    assert weights_of(found).effective == pytest.approx(656, abs=0.5)
    assert told(found.ips).value == pytest.approx(0.00301, abs=5e-6)
    assert told(found.snips).value == pytest.approx(0.00319, abs=5e-6)


def random_log(
    random: Random, users: int, chance: Callable[[str], float], calls: int = 1
) -> list[LoggedCall]:
    """Return a log whose users keep their variant and have an effect of their own."""
    log = []
    for user in range(users):
        feature = random.choice("xyz")
        p = chance(feature)
        variant = "B" if random.random() < p else "A"
        level = {"A": 0.5, "B": 0.7}[variant] + (0.2 if random.random() < 0.5 else -0.2)
        log += [
            LoggedCall(
                f"u{user}",
                feature,
                variant,
                p if variant == "B" else 1 - p,
                float(random.random() < level),
            )
            for _ in range(random.randint(1, 2 * calls - 1))
        ]
    return log


def skewed(feature: str) -> float:
    """Return the probability of B."""
    return {"x": 0.2, "y": 0.5, "z": 0.8}[feature]


def test_users_with_several_calls() -> None:
    """
    The error is that of leaving out each user, well above that of counting calls.
    """
    log = random_log(Random(7), 600, skewed, calls=4)
    found = evaluate(log, always("B"))
    users = sorted({call.unit for call in log})
    value_without = {}
    for user in users:
        rest = [call for call in log if call.unit != user]
        w = [(call.variant == "B") / (call.propensity or math.nan) for call in rest]
        value_without[user] = sum(a * call.reward for a, call in zip(w, rest, strict=True)) / sum(w)
    w = [(call.variant == "B") / (call.propensity or math.nan) for call in log]
    value = sum(a * call.reward for a, call in zip(w, log, strict=True)) / sum(w)
    k = len(users)
    brute = math.sqrt((k - 1) / k * sum((v - value) ** 2 for v in value_without.values()))
    assert told(found.snips).value == pytest.approx(value, rel=1e-12)
    assert told(found.snips).standard_error == pytest.approx(brute, rel=1e-9)
    alone = evaluate([c._replace(unit=str(i)) for i, c in enumerate(log)], always("B"))
    assert told(found.snips).standard_error > 1.1 * told(alone.snips).standard_error
    per_user: dict[str, float] = defaultdict(float)
    for a, call in zip(w, log, strict=True):
        per_user[call.unit] += a
    effective = sum(w) ** 2 / sum(a * a for a in per_user.values())
    assert weights_of(found).effective == pytest.approx(effective, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("calls", [1, 4])
def test_intervals_hold_their_level(calls: int) -> None:
    """
    Of 400 logs some 95 % of the intervals contain the truth, users of several calls or not.
    """
    random = Random(20261126)
    found = [evaluate(random_log(random, 900, skewed, calls), always("B")) for _ in range(400)]
    # Three standard errors off, one in 400 is taken for a log with wrong propensities.
    valued = [each for each in found if not isinstance(each.snips, NotEstimable)]
    assert len(valued) >= 394
    for name in ("snips", "doubly_robust", "ips"):
        intervals = [bounds(getattr(each, name)) for each in valued]
        held = fmean(each.lower < 0.7 < each.upper for each in intervals)
        # Four standard errors of a share of .95 of 400 are .044.
        assert 0.906 < held < 0.994, name


def log_of(rows: list[tuple[str, str, float]]) -> list[LoggedCall]:
    """Return a log with a propensity of one half."""
    return [LoggedCall(str(i), f, v, 0.5, r) for i, (f, v, r) in enumerate(rows)]


# A few rows over and over are many rows that Hypothesis makes and shrinks at once.
MANY = 60
entries = st.tuples(st.sampled_from("xy"), st.sampled_from("AB"), st.floats(-10, 10))


@settings(max_examples=40, deadline=None)
@given(st.lists(entries, min_size=2, max_size=9).map(lambda rows: rows * MANY))
def test_the_logs_own_policy(rows: list[tuple[str, str, float]]) -> None:
    """
    With the policy of the log every weight is 1 and every value the plain mean.
    """
    log = log_of(rows)
    cells = {(f, v) for f, v, _ in rows}
    assume(all((f, v) in cells for f in {f for f, _, _ in rows} for v in "AB"))
    found = evaluate(log, lambda _: {"A": 0.5, "B": 0.5})
    mean = fmean(r for _, _, r in rows)
    assert weights_of(found).effective == pytest.approx(len(rows))
    assert (weights_of(found).mean, weights_of(found).largest) == (1, 1)
    assert told(found.ips).value == pytest.approx(mean, abs=1e-9)
    assert told(found.snips).value == pytest.approx(mean, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("xy"), st.floats(-10, 10)), min_size=2, max_size=9).map(
        lambda rows: rows * MANY
    )
)
def test_a_log_of_one_variant(rows: list[tuple[str, float]]) -> None:
    """
    Where the log always took what the policy takes, all three IPS, SNIPS and DR are the mean.
    """
    log = [LoggedCall(str(i), f, "A", 1.0, r) for i, (f, r) in enumerate(rows)]
    found = evaluate(log, always("A"))
    mean = fmean(r for _, r in rows)
    for each in (found.ips, found.snips, found.doubly_robust):
        assert told(each).value == pytest.approx(mean, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(entries, min_size=4, max_size=9).map(lambda rows: rows * MANY),
    st.floats(-100, 100),
)
def test_a_constant_added_to_the_rewards(
    rows: list[tuple[str, str, float]], constant: float
) -> None:
    """
    Rewards that are all higher raise SNIPS and DR by as much, to the rounding.
    """
    first = evaluate(log_of(rows), always("A"))
    assume(isinstance(first.snips, Value))
    moved = evaluate(log_of([(f, v, r + constant) for f, v, r in rows]), always("A"))
    assert told(moved.snips).value == pytest.approx(told(first.snips).value + constant, abs=1e-6)
    values = [r for _, v, r in rows if v == "A"]
    assert min(values) - 1e-9 <= told(first.snips).value <= max(values) + 1e-9


def test_observational_is_the_stratified_mean() -> None:
    """
    Without propensities the domains' means are weighted by the domains' calls, and labelled so.
    """
    log = [call._replace(propensity=None) for call in mmlu()]
    assert "14037 of 14037 calls have no propensity" in reason(evaluate(log, always("B")).snips)
    rewards: dict[str, list[float]] = defaultdict(list)
    sizes: Mapping[str, list[None]] = defaultdict(list)
    for call in log:
        sizes[call.feature].append(None)
        if call.variant == "B":
            rewards[call.feature].append(call.reward)
    expected = sum(len(sizes[f]) / len(log) * fmean(rewards[f]) for f in sizes)
    # Post-stratification: given the calls per cell, sum of share^2 s^2 / n over the domains.
    spread = math.sqrt(
        sum(
            (len(sizes[f]) / len(log)) ** 2 * stdev(rewards[f]) ** 2 / len(rewards[f])
            for f in sizes
        )
    )
    found = observational(log, always("B"))
    assert told(found).value == pytest.approx(expected, rel=1e-12)
    assert told(found).standard_error == pytest.approx(spread, rel=0.06)
    assert bounds(found).lower < 0.6809 < bounds(found).upper


def test_refusals() -> None:
    """
    What the log cannot carry has the reason for a value.
    """
    log = random_log(Random(3), 400, skewed)
    assert isinstance(evaluate(log, always("B")).snips, Value)
    assert "no overlap: the policy takes 'C' for 'x'" in reason(evaluate(log, always("C")).snips)
    assert "(3 such in all)" in reason(evaluate(log, always("C")).snips)
    assert "no overlap" in reason(observational(log, always("C")))
    assert "0 unit(s)" in reason(evaluate([], always("B")).snips)
    assert "0 unit(s)" in reason(observational([], always("B")))
    for wrong in (0.0, -0.1, 1.1, math.nan):
        bad = [*log, LoggedCall("u", "x", "B", wrong, 1)]
        assert "propensity is not above 0" in reason(evaluate(bad, always("B")).snips)
    bad = [*log, LoggedCall("u", "x", "B", 0.5, math.inf)]
    assert "not a finite number" in reason(evaluate(bad, always("B")).snips)
    assert "not a finite number" in reason(observational(bad, always("B")))
    few = evaluate(log[:150], always("B"))
    assert "100 is the least" in reason(few.snips) and weights_of(few).effective < 100
    assert "100 is the least" in reason(observational(log[:100], always("B")))
    for policies in ((always("A"), always("C")), (always("C"), always("A"))):
        assert all("no overlap" in reason(each) for each in policy_difference(log, *policies))


def test_propensities_of_another_log() -> None:
    """
    Propensities that are not those of the log are told by their mean weight.
    """
    log = [call._replace(propensity=0.5) for call in random_log(Random(5), 900, lambda _: 0.8)]
    found = evaluate(log, always("B"))
    assert "instead of 1" in reason(found.snips)
    assert weights_of(found).mean == pytest.approx(1.6, abs=0.1)


def test_propensities_told_to_six_decimals() -> None:
    """
    A third is logged as .333333: that the policy of the log weighs 1.000001 is no fault of it.
    """
    log = [
        LoggedCall(f"u{i}", "x", "ABC"[i % 3], 0.333333, float(i % 7 == 0)) for i in range(3_000)
    ]
    found = evaluate(log, lambda _: dict.fromkeys("ABC", 1 / 3))
    assert told(found.snips).value == pytest.approx(fmean(call.reward for call in log))


def test_a_policy_that_is_none() -> None:
    """
    Probabilities that do not add up to 1 are the caller's mistake.
    """
    log = random_log(Random(3), 400, skewed)
    nan = {"A": math.nan, "B": 1.0}
    for chances in ({"A": 0.5}, {"A": 1.5, "B": -0.5}, {"A": 0.7, "B": 0.7}, nan):
        with pytest.raises(ValueError, match="do not add up"):
            evaluate(log, lambda _, chances=chances: chances)  # type: ignore[misc]


def test_a_variant_that_the_policy_never_takes() -> None:
    """
    A probability of 0 asks for no calls with that variant.
    """
    log = random_log(Random(3), 400, skewed)
    assert evaluate(log, lambda _: {"B": 1.0, "C": 0.0}) == evaluate(log, always("B"))
    assert observational(log, lambda _: {"B": 1.0, "C": 0.0}) == observational(log, always("B"))
