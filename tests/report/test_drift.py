"""
What answers were before and after a moment.
"""

import math
from random import Random

import pytest

from modeltrail.report.drift import Change, Comparison, Refusal, believed, changes, compare
from modeltrail.storage import Served, Side, Sums

CHANGE = Change(("a",), 10**15, "one", "two")
HOUR_US = 3_600_000_000


def sums(n: int, mean: float, deviation: float) -> Sums:
    """Return the sums of n numbers of that mean and standard deviation."""
    return Sums(n, n * mean, n * mean**2 + (n - 1) * deviation**2)


def side(is_after: bool, json: int, prose: int = 0, **more: object) -> Side:
    """Return a side whose answers are JSON or prose."""
    n = json + prose
    given = {
        "errors": 0,
        "schema_known": 0,
        "schema_failed": 0,
        "finish_known": n,
        "cut_off": 0,
        "held_back": 0,
        "sums": {name: Sums(0, 0, 0) for name in ("output_tokens", "output_chars", "latency_us")},
    }
    formats = {name: number for name, number in (("json", json), ("prose", prose)) if number}
    return Side(("a",), is_after, n, formats=formats, **given | more)  # type: ignore[arg-type]


def compared(before: Side, after: Side) -> list[Comparison]:
    """Return the comparisons of sides that have enough calls."""
    found = compare(CHANGE, [after, before])
    assert not isinstance(found, Refusal)
    return found


def findings(before: Side, after: Side, share: float = 0.02, mean: float = 0.1) -> dict[str, float]:
    """Return the changes that are believed."""
    found = believed(compared(before, after), least_share=share, least_change=mean)
    return {each.figure: round(each.change, 4) for each in found}


def test_five_points_of_json_that_became_prose_are_found() -> None:
    """98 % of a thousand before, 93 % after."""
    assert findings(side(False, 980, 20), side(True, 930, 70)) == {"json": -0.05, "prose": 0.05}


def test_what_is_too_small_to_matter_is_no_finding() -> None:
    """A point of 100,000 calls is certain, and below two points."""
    before, after = side(False, 98_000, 2_000), side(True, 97_000, 3_000)
    assert findings(before, after) == {}
    assert findings(before, after, share=0.005) == {"json": -0.01, "prose": 0.01}


def test_what_may_be_chance_is_no_finding() -> None:
    """Five points of a hundred calls are nothing to believe."""
    assert findings(side(False, 90, 10), side(True, 85, 15)) == {}


def test_errors_and_cut_answers_are_findings_only_if_they_are_more() -> None:
    """What has become better does not wake anybody; another length does, either way."""
    bad = {"errors": 100, "cut_off": 100, "held_back": 100}
    bad |= {"schema_known": 1000, "schema_failed": 100}
    good = {**bad, "errors": 10, "cut_off": 10, "held_back": 10, "schema_failed": 10}
    worse = {"error": 0.09, "cut_off": 0.09, "held_back": 0.09, "schema_failed": 0.09}
    assert findings(side(False, 1000, **good), side(True, 1000, **bad)) == worse
    assert findings(side(False, 1000, **bad), side(True, 1000, **good)) == {}
    long = {"sums": {name: sums(1000, 100, 50) for name in ("output_chars", "latency_us")}}
    short = {"sums": {name: sums(1000, 50, 20) for name in ("output_chars", "latency_us")}}
    for each in (long, short):
        each["sums"]["output_tokens"] = Sums(0, 0, 0)
    assert findings(side(False, 1000, **long), side(True, 1000, **short)) == {"output_chars": -0.5}
    assert findings(side(False, 1000, **short), side(True, 1000, **long)) == {
        "output_chars": 1.0,
        "latency_us": 1.0,
    }


def test_mean_is_compared_by_welch() -> None:
    """100 against 120 with deviations 50 and 60 of 400 each: standard error 3.905, t = 5.121."""
    nothing = {"output_chars": Sums(0, 0, 0), "latency_us": Sums(0, 0, 0)}
    before = side(False, 400, sums=nothing | {"output_tokens": sums(400, 100, 50)})
    after = side(True, 400, sums=nothing | {"output_tokens": sums(400, 120, 60)})
    tokens = next(each for each in compared(before, after) if each.figure == "output_tokens")
    assert (tokens.before, tokens.after, tokens.calls) == (100, 120, (400, 400))
    assert tokens.change == pytest.approx(0.2)
    # At some 770 degrees of freedom nearly that of a normal distribution: erfc(t / sqrt 2).
    assert tokens.p == pytest.approx(math.erfc(5.121 / math.sqrt(2)), rel=0.3)
    # ln 1.2 +- 1.963 sqrt(0.025^2 + 0.025^2) = 0.1823 +- 0.0694.
    assert tokens.interval == pytest.approx((math.expm1(0.1129), math.expm1(0.2517)), abs=1e-3)


def test_whole_numbers_without_spread_are_compared() -> None:
    """One token always, then two always, is a change and no lack of data."""
    nothing = {"output_chars": Sums(0, 0, 0), "latency_us": Sums(0, 0, 0)}
    before = side(False, 100, sums=nothing | {"output_tokens": Sums(100, 100, 100)})
    after = side(True, 100, sums=nothing | {"output_tokens": Sums(100, 200, 400)})
    assert findings(before, after) == {"output_tokens": 1.0}


@pytest.mark.parametrize(("before", "after"), [(99, 500), (500, 99)])
def test_too_few_calls_are_refused(before: int, after: int) -> None:
    """A hundred are needed on both sides, and the refusal says so."""
    found = compare(CHANGE, [side(False, before), side(True, after)])
    assert found == Refusal(
        CHANGE, f"{before} calls before and {after} after; at least 100 are needed on each side"
    )
    assert isinstance(compare(CHANGE, [side(True, 500)]), Refusal)


def drawn(random: Random, is_after: bool, json: float, n: int = 1000) -> Side:
    """Return a side of n answers, each of them JSON with that probability."""
    found = sum(random.random() < json for _ in range(n))
    return side(is_after, found, n - found)


@pytest.mark.parametrize("base", [0.5, 0.8, 0.98])
def test_power_is_that_of_the_textbook(base: float) -> None:
    """How often five points of a thousand are found: Phi((d - 1.96 se_pooled) / se)."""
    low = base - 0.05
    pooled = (base + low) / 2
    se_pooled = math.sqrt(2 * pooled * (1 - pooled) / 1000)
    se = math.sqrt(base * (1 - base) / 1000 + low * (1 - low) / 1000)
    expected = 0.5 * math.erfc(-(0.05 - 1.96 * se_pooled) / se / math.sqrt(2))
    random = Random(f"power-{base}")
    runs = 200
    found = sum(
        "json" in findings(drawn(random, False, base), drawn(random, True, low))
        for _ in range(runs)
    )
    error = math.sqrt(expected * (1 - expected) / runs)
    assert found / runs == pytest.approx(expected, abs=3 * error + 0.005)


def test_a_hundred_features_without_a_change_seldom_alarm() -> None:
    """Of 40 runs over a hundred features each, 5 % may alarm: more than 7 would be too many."""
    random = Random("calm")
    alarms = 0
    for _ in range(40):
        comparisons: list[Comparison] = []
        for _ in range(100):
            base = random.choice([0.5, 0.9, 0.98])
            comparisons += compared(drawn(random, False, base, 200), drawn(random, True, base, 200))
        alarms += bool(believed(comparisons, least_share=0.02, least_change=0.1))
    assert alarms <= 7


def served(model: str, first_hour: int, calls: int = 500, state: str | None = None) -> Served:
    """Return what served group a from an hour on."""
    return Served(("a",), model, state, first_hour * HOUR_US, calls)


def test_change_is_when_another_model_begins_to_serve() -> None:
    """Each with what served most before it, and cut off from the next."""
    found = changes([served("old", 0), served("trial", 1, 3), served("new", 50), served("x", 90)])
    assert found == [
        Change(("a",), 50 * HOUR_US, "old", "new", None, 90 * HOUR_US),
        Change(("a",), 90 * HOUR_US, "old", "x", 50 * HOUR_US, None),
    ]


def test_state_of_the_same_model_is_a_change() -> None:
    """A new system fingerprint is told by it; several within the hour are one change."""
    found = changes(
        [served("m", 0, state="fp1"), served("m", 20, state="fp2"), served("m", 20, state="fp3")]
    )
    assert found == [Change(("a",), 20 * HOUR_US, "fp1", "fp2")]


def test_first_model_is_no_change() -> None:
    """A group that begins, begins with something."""
    assert changes([served("m", 5), Served(("b",), "n", None, 9 * HOUR_US, 500)]) == []
