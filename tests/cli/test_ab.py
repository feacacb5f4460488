"""
`modeltrail ab`: power, srm and check.
"""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

import modeltrail

HEADING = "started_at,experiment,variant,unit_type,unit,propensity,cost_usd,latency_s,status\n"


@pytest.fixture
def logged(cli: Any, tmp_path: Any) -> Callable[..., None]:
    """Import an experiment's log: one call of each unit, ten units an hour."""

    def made(units: list[tuple[str, str]], propensities: dict[str, Any]) -> None:
        rows = [
            f"2026-03-{1 + n // 240:02}T{n // 10 % 24:02}:00:00,exp,{variant},user,{unit},"
            f"{propensities[variant]},{0.001 * (1 + n % 5):.3f},{1 + n % 3},"
            f"{'error' if n % 10 == 3 else 'ok'}\n"
            for n, (variant, unit) in enumerate(units)
        ]
        file = tmp_path / "log.csv"
        file.write_text(HEADING + "".join(rows))
        assert cli("import", "calls", str(file)).exit_code == 0

    return made


HALF = {"control": 0.5, "mini": 0.5}


def split(**counts: int) -> list[tuple[str, str]]:
    """Return units of variants, mixed: which comes when has nothing to do with the variant."""
    listed = [(name, f"{name}-{i}") for name, count in counts.items() for i in range(count)]
    return sorted(listed, key=lambda each: (int(each[1].split("-")[1]) * 7919 % 401, each))


def test_srm_as_planned(cli: Any, logged: Any) -> None:
    """100 and 110 of 210: chi-squared is 2 * 5^2 / 105, by hand."""
    logged(split(control=100, mini=110), HALF)
    result = cli("ab", "srm", "exp")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert lines[1] == ["control", "100", "105.0", "47.6%", "50.0%"]
    assert lines[2] == ["mini", "110", "105.0", "52.4%", "50.0%"]
    assert result.stdout.splitlines()[-1].startswith("as planned: chi-squared 0.4762 (p = 0.49)")


def test_srm_mismatch(cli: Any, logged: Any) -> None:
    """200 and 100: chi-squared 33.3, and a tail of 7.8e-9; it ends with 1."""
    logged(split(control=200, mini=100), HALF)
    result = cli("ab", "srm", "exp", "--format", "json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["schema"] == "modeltrail.sample-ratio/1"
    assert found["chi2"] == pytest.approx(100 / 3)
    assert found["p"] == pytest.approx(7.76e-9, rel=0.01)
    assert found["alarm"] and found["log_e_value"] > 4.6
    assert found["rows"][1] == {
        "variant": "mini",
        "units": 100,
        "expected": 150.0,
        "planned_share": 0.5,
    }
    assert "no difference can be believed" in result.stderr
    assert "MISMATCH" in cli("ab", "srm", "exp").stdout
    csv_rows = list(csv.DictReader(io.StringIO(cli("ab", "srm", "exp", "--format", "csv").stdout)))
    assert [row["units"] for row in csv_rows] == ["200", "100"]


def test_srm_counts_units_of_one_variant_only(cli: Any, logged: Any) -> None:
    """A unit seen in both is left out, and told of."""
    logged([*split(control=50, mini=50), ("mini", "control-7")], HALF)
    result = cli("ab", "srm", "exp", "--format", "json")
    found = json.loads(result.stdout)
    assert ([row["units"] for row in found["rows"]], found["crossed"]) == ([49, 50], 1)
    assert "1 units were in more than one variant" in result.stderr


def test_srm_by_the_declared_plan(cli: Any, logged: Any, url: str) -> None:
    """What was declared counts, not what the calls say; an arm nobody planned is an alarm."""
    logged([*split(control=80, mini=20), ("odd", "odd-1")], {"control": "", "mini": "", "odd": ""})
    assert cli("ab", "srm", "exp").exit_code == 3
    with modeltrail.open(url) as trail:
        trail.experiment("exp", {"control": 0.8, "mini": 0.2}, control="control")
    result = cli("ab", "srm", "exp", "--format", "json")
    found = json.loads(result.stdout)
    assert [row["expected"] for row in found["rows"]] == pytest.approx([80, 20, 0])
    assert (found["unplanned"], result.exit_code) == (["odd"], 1)


def test_srm_of_an_experiment_that_has_not_begun(cli: Any, url: str) -> None:
    """Declared, without calls: that is no mismatch."""
    with modeltrail.open(url) as trail:
        trail.experiment("exp", {"control": 0.5, "mini": 0.5}, control="control")
    result = cli("ab", "srm", "exp")
    assert (result.exit_code, result.stderr) == (3, "cannot tell: no units yet\n")
    assert cli("ab", "check", "exp", "--metric", "cost").exit_code == 3
    assert cli("ab", "power", "exp", "--metric", "cost", "--mde", "1").exit_code == 3
    page = cli("compare", "exp", "--format", "html")
    assert (page.exit_code, page.stdout[:9]) == (3, "<!DOCTYPE")


def test_srm_cannot_tell(cli: Any, logged: Any) -> None:
    """No plan: 3, with what to do; no such experiment: 1, with those that there are."""
    logged(split(control=20, mini=20), {"control": "", "mini": ""})
    result = cli("ab", "srm", "exp")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "declare the experiment" in result.stderr
    assert "known: exp" in cli("ab", "srm", "other").stderr


def test_check_keeps_the_promise(cli: Any, logged: Any) -> None:
    """Of 100 assignments about 5 claim a difference, the same ones at every run."""
    logged(split(control=30, mini=30), HALF)
    words = ("ab", "check", "exp", "--metric", "latency", "--repetitions", "100")
    result = cli(*words, "--format", "json")
    found = json.loads(result.stdout)
    (row,) = found["rows"]
    assert (result.exit_code, found["schema"]) == (0, "modeltrail.false-alarms/1")
    assert (row["variant"], row["n_units"], row["repetitions"]) == ("mini", 60, 100)
    assert row["rate"] == row["alarms"] / 100 and row["kept"]
    assert row["rate_lower"] <= 0.05 <= row["rate_upper"]
    assert json.loads(cli(*words, "--format", "jsonl").stdout) == row
    table = cli(*words).stdout.splitlines()[1]
    assert table.split()[:4] == ["mini", "60", "100", str(row["alarms"])]
    assert table.endswith("5.0%  yes")


def test_check_finds_fault(cli: Any, logged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that claims a difference far too often ends with 1, and says so."""
    from modeltrail.experiment import contrasts

    honest = contrasts.difference
    monkeypatch.setattr(contrasts, "difference", lambda a, b, alpha: honest(a, b, alpha=6 * alpha))
    logged(split(control=30, mini=30), HALF)
    result = cli("ab", "check", "exp", "--metric", "latency", "--repetitions", "100")
    assert result.exit_code == 1
    assert "more false alarms than promised" in result.stderr
    assert result.stdout.splitlines()[1].endswith("NO")


def test_check_of_the_deciding_interval(cli: Any, logged: Any) -> None:
    """At 20 looks, or as many as are asked for; without a choice JSON does not name it."""
    logged(split(control=30, mini=30), HALF)
    words = (
        "ab",
        "check",
        "exp",
        "--metric",
        "latency",
        "--repetitions",
        "100",
        "--format",
        "json",
    )
    held = cli(*words, "--method", "always-valid")
    found = json.loads(held.stdout)
    assert (held.exit_code, found["method"], found["looks"]) == (0, "always-valid", 20)
    assert found["rows"][0]["rate"] <= 0.05 and found["rows"][0]["kept"]
    often = json.loads(cli(*words, "--looks", "10").stdout)
    assert (often["method"], often["looks"]) == ("one-look", 10)
    assert often["rows"][0]["alarms"] > found["rows"][0]["alarms"]
    assert "looks" not in json.loads(cli(*words).stdout)
    assert cli(*words, "--method", "always-valid", "--alpha", "0.6").exit_code == 2


def test_check_cannot_tell(cli: Any, logged: Any) -> None:
    """A metric that no call reports, and one that does not vary."""
    logged(split(control=30, mini=30), HALF)
    result = cli("ab", "check", "exp", "--metric", "tokens", "--repetitions", "100")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "gave no interval" in result.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("check", "exp", "--metric", "speed"), "choose from cost, cost_per_ok, errors"),
        (("check", "exp", "--metric", "cost", "--control", "x"), "choose from control, mini"),
        (("check", "exp", "--metric", "cost", "--alpha", "1"), "--alpha must lie between 0 and 1"),
        (("power", "exp"), "--metric"),
        (("power",), "one of them"),
        (("power", "exp", "--baseline", "0.5"), "one of them"),
        (("power", "--baseline", "0.5"), "--mde, or --units"),
        (("power", "--baseline", "0.99", "--mde", "0.02"), "no share"),
        (("power", "--baseline", "0.5", "--mde", "0.1", "--design-effect", "0"), "above 0"),
        (("power", "--baseline", "0.5", "--mde", "0"), "cannot be found"),
        (("power", "--deviation", "0", "--mde", "1"), "above 0"),
        (("power", "--deviation", "1", "--mde", "1", "--power", "0.01"), "--power must lie"),
    ],
)
def test_what_makes_no_sense(cli: Any, logged: Any, words: tuple[str, ...], reason: str) -> None:
    """Ends with 2, and says what to do."""
    if "exp" in words:
        logged(split(control=20, mini=20), HALF)
    result = cli("ab", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert reason in result.stderr


def test_power_of_shares(cli: Any) -> None:
    """From 80 % to 82 %: 6,036 per arm; nearly twice as many to look at any time."""
    result = cli("ab", "power", "--baseline", "0.8", "--mde", "0.02")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[1] == ["one", "look", "2.00pt", "6,036", "6,036"]
    assert lines[2] == ["any", "look", "2.00pt", "11,558", "11,558"]


def test_power_of_clustered_shares(cli: Any) -> None:
    """20 calls per unit, of which four say something: a quarter of the units."""
    words = ("--mde", "0.02", "--calls-per-unit", "20", "--design-effect", "5", "--format", "json")
    found = json.loads(cli("ab", "power", "--baseline", "0.8", *words).stdout)
    assert found["schema"] == "modeltrail.power/1"
    assert found["rows"][0]["control_units"] == 1509  # 6035.77 / 4


def test_power_of_means(cli: Any) -> None:
    """A standard deviation of 1 and an effect of 1: 17 per arm, as by statsmodels."""
    words = ("--mde", "1", "--units", "20", "--format", "csv")
    found = list(csv.DictReader(io.StringIO(cli("ab", "power", "--deviation", "1", *words).stdout)))
    assert (found[0]["control_units"], found[0]["variant"]) == ("17", "")
    assert float(found[0]["effect_found"]) == pytest.approx(1.3249474, rel=1e-6)


def test_power_from_the_log(cli: Any, logged: Any) -> None:
    """
    Latencies of 1, 2 and 3 s: a variance of 2/3; 400 units in 40 hours.

    (1.96 + .842)^2 2 (2/3) / .1^2 = 1,047 per arm. Ten an hour are 240 a day.
    """
    logged(split(control=200, mini=200), HALF)
    words = ("ab", "power", "exp", "--metric", "latency", "--mde", "1e5")
    found = json.loads(cli(*words, "--format", "json").stdout)
    row = found["rows"][0]
    assert found["unit_of_measure"] == "us"
    assert (row["variant"], row["rule"], row["control_seen"]) == ("mini", "one_look", 200)
    assert row["control_units"] == pytest.approx(1047, rel=0.03)
    assert row["more_units"] == 2 * row["control_units"] - 400
    assert row["days"] == pytest.approx(row["more_units"] / 240, rel=0.06)
    assert row["effect_found"] == pytest.approx(1e5 * (1047 / 200) ** 0.5, rel=0.03)
    head, first, _ = cli(*words).stdout.splitlines()
    assert head.split()[:3] == ["VARIANT", "LOOKED", "AT"] and " 200 + 200 " in first
    assert "$0.000" in cli("ab", "power", "exp", "--metric", "cost").stdout


def test_power_of_a_short_log(cli: Any, logged: Any) -> None:
    """Units are told, days are not: less than a day was seen."""
    logged(split(control=60, mini=60), HALF)
    result = cli("ab", "power", "exp", "--metric", "latency", "--mde", "1e5")
    assert result.exit_code == 0
    assert "days not told: less than a day" in result.stderr


def test_power_that_cannot_be_told(cli: Any, logged: Any) -> None:
    """An arm without a spread: 3, and which."""
    logged(split(control=30, mini=30), HALF)
    result = cli("ab", "power", "exp", "--metric", "tokens", "--mde", "1")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "cannot tell: control: 0 unit(s)" in result.stderr
    tiny = cli("ab", "power", "--deviation", "1", "--mde", "1e-9")
    assert tiny.exit_code == 3 and "units not told" in tiny.stderr


def test_outcomes(cli: Any, url: str, arms: Any) -> None:
    """Outcomes of units have a power and a check, too."""
    arms("control", 20, base=100)
    arms("mini", 20, base=100)
    with modeltrail.open(url) as trail:
        for variant in ("control", "mini"):
            for number in range(20):
                trail.outcome("solved", number % 4 > 0, unit=f"{variant}-{number}")
    words = ("--metric", "outcome:solved", "--format", "json")
    found = json.loads(cli("ab", "power", "exp", *words, "--mde", "0.1").stdout)
    assert found["unit_of_measure"] == "share"
    # (1.96 + .842)^2 2 (3/16) (20/19) / .1^2
    assert found["rows"][0]["control_units"] == pytest.approx(310, rel=0.02)
    checked = json.loads(cli("ab", "check", "exp", *words, "--repetitions", "100").stdout)
    assert checked["rows"][0]["n_units"] == 40


def test_check_of_a_share_that_is_rare(cli: Any, url: str, arms: Any) -> None:
    """
    Four of 60 users fail, in half of what is told of them: `compare` would claim nothing.

    As a mean, without the spread that zero failures may have, more than 8 % would be claimed.
    """
    arms("control", 30, base=100)
    arms("mini", 30, base=100)
    with modeltrail.open(url) as trail:
        for variant, number in ((v, n) for v in ("control", "mini") for n in range(30)):
            for told in range(10):
                trail.outcome("failed", number < 2 and told < 5, unit=f"{variant}-{number}")
    words = ("--metric", "outcome:failed", "--repetitions", "200", "--format", "json")
    (row,) = json.loads(cli("ab", "check", "exp", *words).stdout)["rows"]
    assert (row["n_units"], row["alarms"]) == (60, 0)
