"""
`modeltrail compare`.
"""

import json
from typing import Any

import pytest
from recording import request, response

import modeltrail
from modeltrail.experiment.results import METHOD


def test_decided_experiment_is_0(cli: Any, arms: Any) -> None:
    """Half the tokens, time and errors: better on all of them.

    Control calls last 1 and 3 seconds in turn, those of the treatment half of
    it: means 2 and 1, variances of the means 1/39 and 1/156, so that the
    difference is -1 with standard error 0.1790 on 57.35 degrees of freedom:
    t = 2.0022, half a width of 0.358; for all looks 3.02 errors, 0.54.
    """
    arms("control", 40, base=1000, errors=24)
    arms("treatment", 40, base=500, errors=2)
    result = cli("compare", "exp", "--plan-units", "80")
    lines = result.stdout.splitlines()
    assert lines[0] == "exp: treatment against control is better on cost, errors, latency."
    assert lines[1] == (
        "control 40 users, 40 calls; treatment 40 users, 40 calls; planned: 80 users"
    )
    assert result.exit_code == 0
    table = {line.split()[0]: line.split() for line in lines if line[:1].isalpha()}
    assert table["latency"][1:6] == ["2.00s", "1.00s", "-1.00s", "[-1.54,", "-0.46]"]
    assert table["latency"][6:8] == ["[-1.36,", "-0.64]"]
    assert table["latency"][-1] == "better"
    # 1,000 and 3,000 tokens in, a tenth out: $0.00021 and $0.00063, mean $0.00042.
    assert table["cost"][1:4] == ["$0.000420", "$0.000210", "-$0.00021"]
    assert table["errors"][1:4] == ["60%", "5.0%", "-55pt"]
    assert "-50.0%" in table["tokens"]
    assert table["tokens"][-1] == "—"


def test_text_ends_with_the_method(cli: Any, arms: Any) -> None:
    """Sentence, checks, table, method; the word that promises too much is not there."""
    arms("control", 10, base=1000)
    arms("treatment", 10, base=1000)
    result = cli("compare", "exp", "--alpha", "0.1")
    lines = result.stdout.splitlines()
    assert lines[0] == (
        "exp: treatment against control is undecided: cost, errors, latency: "
        "the always-valid interval includes 0."
    )
    assert lines.index("checks") < next(n for n, line in enumerate(lines) if "METRIC" in line)
    text = " ".join(lines)
    assert f"method: {METHOD} Of the 90% intervals the always-valid ones hold at" in text
    assert "ALWAYS-VALID 90%" in result.stdout
    assert "signif" not in result.stdout.lower()
    assert result.exit_code == 3


def test_lopsided_experiment_is_1_and_shows_no_table(cli: Any, arms: Any) -> None:
    """Where units went missing no difference is shown."""
    arms("control", 60, base=10)
    arms("treatment", 10, base=10)
    result = cli("compare", "exp")
    assert result.exit_code == 1
    assert "is not to be judged: " in result.stdout.splitlines()[0]
    assert "  fail     sample_ratio" in result.stdout
    assert "METRIC" not in result.stdout


def test_json_is_the_comparison(cli: Any, arms: Any) -> None:
    """It has the comparison's own schema and content, and no time: twice the same bytes."""
    arms("control", 4, base=10)
    arms("treatment", 4, base=10)
    result = cli("compare", "exp", "--format", "json")
    found = json.loads(result.stdout)
    assert (found["schema"], found["verdict"]) == ("modeltrail.compare/2", "undecided")
    assert [each["metric"]["name"] for each in found["metrics"]] == [
        *("cost", "cost_per_ok", "errors", "latency", "tokens"),
    ]
    assert cli("compare", "exp", "--format", "json").stdout == result.stdout
    assert result.exit_code == 3


def test_several_variants_have_a_row_each(cli: Any, arms: Any) -> None:
    """With more than one variant each row names its own."""
    for variant in ("control", "A", "B"):
        arms(variant, 4, base=10)
    lines = cli("compare", "exp").stdout.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("latency ")] == [
        ["latency", "A"],
        ["latency", "B"],
    ]
    assert lines[1].startswith("exp: B against control is ")


def test_control_must_be_named_where_none_is_called_so(cli: Any, arms: Any) -> None:
    """The arms are listed to choose from."""
    arms("A", 3, base=10)
    arms("B", 3, base=10)
    result = cli("compare", "exp")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("name it with --control: A, B\n")
    result = cli("compare", "exp", "--control", "C")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: no variant is named 'C'; choose from A, B\n",
    )
    assert cli("compare", "exp", "--control", "B").stdout.startswith("exp: A against B")


def test_unknown_experiment_is_1_and_names_the_known(cli: Any, arms: Any) -> None:
    """A slip of the pen is easily mended."""
    arms("control", 1, base=10)
    result = cli("compare", "exq")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("known: exp\n")


def test_one_arm_is_nothing_to_compare(cli: Any, arms: Any) -> None:
    """With the control alone there is no answer."""
    arms("control", 5, base=10)
    result = cli("compare", "exp")
    assert result.exit_code == 3
    assert "only control has calls" in result.stdout


@pytest.mark.parametrize("alpha", ["0", "0.5", "2"])
def test_impossible_alpha_is_2(cli: Any, arms: Any, alpha: str) -> None:
    """A confidence level lies between nothing and certainty."""
    arms("control", 1, base=10)
    result = cli("compare", "exp", "--alpha", alpha)
    assert (result.exit_code, result.stdout) == (2, "")


def test_narrow_table_cuts_no_number(cli: Any, arms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 60 columns the difference, its interval and the verdict remain."""
    arms("control", 40, base=1000)
    arms("treatment", 40, base=500)
    monkeypatch.setenv("COLUMNS", "60")
    result = cli("compare", "exp", "--plan-units", "80")
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("latency")]
    assert line.split() == ["latency", "-1.00s", "[-1.54,", "-0.46]", "better"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--metric", "beauty"), "no metric is named 'beauty'"),
        (("--guardrail", "errors"), "--guardrail 'errors' is not NAME=NUMBER"),
        (("--guardrail", "errors=much"), "--guardrail 'errors=much' is not NAME=NUMBER"),
        (("--weight", "=1"), "--weight '=1' is not NAME=NUMBER"),
        (("--weight", "treatment=1"), "control 'control' has no planned weight"),
    ],
)
def test_options_that_say_nothing_are_2(
    cli: Any, arms: Any, words: tuple[str, ...], message: str
) -> None:
    """They are answered with what is wrong with them."""
    arms("control", 2, base=10)
    result = cli("compare", "exp", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_plan_by_options(cli: Any, arms: Any) -> None:
    """A primary metric, a guardrail that holds, and what is asked for beside."""
    arms("control", 40, base=1000)
    arms("treatment", 40, base=500)
    words = ("--primary", "latency", "--guardrail", "errors=0.4", "--metric", "tokens")
    result = cli("compare", "exp", *words, "--weight", "control=1", "--weight", "treatment=9")
    assert result.exit_code == 1
    assert "  fail     sample_ratio" in result.stdout
    words += ("--plan-units", "80", "--weight", "control=1", "--weight", "treatment=1")
    result = cli("compare", "exp", *words)
    lines = result.stdout.splitlines()
    assert lines[0] == (
        "exp: treatment against control is better on latency and no guardrail is worse."
    )
    assert any(line.split()[:2] == ["latency", "*"] for line in lines)
    (row,) = [line.split() for line in lines if line.startswith("errors  treatment")]
    assert (row[2], row[-2:]) == ("40.0pt", ["not", "worse"])
    assert result.exit_code == 0


def test_markdown_is_safe(cli: Any, arms: Any) -> None:
    """A variant named like a table, a tag or an order to the terminal stays a name."""
    arms("control", 12, base=10)
    arms("a|b<i>\x1b[1m", 12, base=10)
    result = cli("compare", "exp", "--format", "md")
    assert result.stdout.startswith("## exp\n")
    assert "a\\|b\\<i\\>" in result.stdout
    assert "<i>" not in result.stdout and "\x1b" not in result.stdout
    rows = [line for line in result.stdout.splitlines() if line.startswith("| latency")]
    assert rows[0].replace("\\|", "").count("|") == 10


def test_medians_are_compared_by_units(cli: Any, arms: Any) -> None:
    """
    Half of 40 calls last 1 s and half 3 s, in the treatment half of it: medians 1 and 0.5.

    The ranks 14 and 27 are 1 and 3: a standard error of 2 / (2 * 1.96), times the root of
    40 / 39, the jackknife's variance of a share over that of independent calls. The difference
    is -0.5 with standard error 0.578 on 57.35 degrees of freedom: half a width of 1.157; for
    all looks 3.035 errors, 1.753.
    """
    arms("control", 40, base=1000)
    arms("treatment", 40, base=500)
    result = cli("compare", "exp", "--plan-units", "80", "--metric", "latency:p50")
    (row,) = (line.split() for line in result.stdout.splitlines() if line.startswith("latency:"))
    assert row[:7] == ["latency:p50", "1.0s", "0.50s", "-0.5s", "[-2.3,", "+1.3]", "[-1.7,"]
    assert "undecided" in row
    assert "quantiles: order statistics" in result.stdout
    assert "quantiles" not in cli("compare", "exp", "--metric", "latency").stdout
    assert result.exit_code == 3


def test_quantiles_decide_and_are_refused_where_calls_are_too_few(cli: Any, arms: Any) -> None:
    """By feature as well; of a p99 the least number of calls is told."""
    arms("control", 60, base=1000, feature="chat")
    arms("treatment", 60, base=100, feature="chat")
    asked = ["--primary", "latency:p50", "--plan-units", "120", "--metric", "latency:p99"]
    result = cli("compare", "exp", *asked, "--by", "feature", "--format", "json")
    found = json.loads(result.stdout)
    median, highest = found["metrics"]
    assert (median["metric"]["name"], median["role"]) == ("latency:p50", "primary")
    assert median["arms"]["control"]["estimate"] == 1_000_000
    assert highest["contrasts"]["treatment"] == {
        "not_estimable": "control 'control': 60 calls are too few for p99: it takes 381"
    }
    assert found["skipped"][0]["reason"].endswith("it takes 381")
    assert found["method"].startswith(METHOD + "; quantiles: ")


@pytest.mark.parametrize("word", ["errors:p50", "latency:p100", "latency:p0", "latency:pX"])
def test_quantiles_that_are_none(cli: Any, arms: Any, word: str) -> None:
    """Errors have none, and a percentage lies between 0 and 100."""
    arms("control", 2, base=10)
    arms("treatment", 2, base=10)
    result = cli("compare", "exp", "--metric", word)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "has no quantiles: cost, latency" in result.stderr or "no metric" in result.stderr


def test_ab_has_no_quantiles(cli: Any, arms: Any) -> None:
    """What is made from sums per unit refuses what has none."""
    arms("control", 2, base=10)
    arms("treatment", 2, base=10)
    result = cli("ab", "check", "exp", "--metric", "latency:p50")
    assert result.exit_code == 2
    assert "only `modeltrail compare` has it" in result.stderr


def did_before(url: str, slow: int) -> None:
    """Let users make a call each before the experiment, of 1 and 3 s in turn."""
    with modeltrail.open(url) as trail:
        for variant in ("control", "treatment"):
            for number in range(slow):
                unit = f"{variant}-{number}"
                call = trail.recorder.start(request(f"{unit}-before", tags={"user": unit}))
                call.stop(response(latency_us=(1, 3)[number % 2] * 1_000_000))
        assert trail.flush(10)


def test_adjusted_by_what_users_did_before(cli: Any, url: str, arms: Any) -> None:
    """
    Latencies of 1 and 3 s, and of 0.9 and 2.7 s, of users who took 1 and 3 s before.

    Theta is the mean of the slopes 1 and 0.9. What is left is .05 s in either direction: a
    variance of 2 * .05^2 / 39 * 78 / 77, against (1 + .81) / 39 without. So 0.2 s less is
    found out, where it is not without.
    """
    did_before(url, 40)
    arms("control", 40, base=1000)
    arms("treatment", 40, base=900)
    words = ("compare", "exp", "--metric", "latency", "--primary", "latency")
    plain = cli(*words, "--format", "json")
    result = cli(*words, "--adjust", "before", "--format", "json")
    (metric,), (unadjusted,) = (json.loads(each.stdout)["metrics"] for each in (result, plain))
    found = metric["adjusted"]["treatment"]
    variance = 2 * 0.05**2 / 39 * 78 / 77
    assert found["contrast"]["difference"] == pytest.approx(-200_000)
    assert found["contrast"]["standard_error"] == pytest.approx(variance**0.5 * 1e6)
    assert found["variance_ratio"] == pytest.approx(variance / (1.81 / 39))
    assert found["known"] == 80
    assert metric["contrasts"] == unadjusted["contrasts"]
    assert (plain.exit_code, result.exit_code) == (3, 0)
    assert "adjusted" not in unadjusted and "CUPED" not in plain.stdout
    text = cli(*words, "--adjust", "before").stdout
    assert "80 of 80 units did before the experiment" in text
    (row,) = (line for line in text.splitlines() if line.startswith("latency  "))
    assert row.split()[1] == "-0.200s" and row.endswith("-100%  better")
    assert (
        "### Adjusted: these decide" in cli(*words, "--adjust", "before", "--format", "md").stdout
    )
    page = cli(*words, "--adjust", "before", "--format", "html").stdout
    assert "Adjusted: these decide" in page
    assert "shown for this look alone" in page


def test_what_cannot_be_adjusted_is_undecided(cli: Any, arms: Any) -> None:
    """Nobody was there before: the flag has fixed what decides, and the reason is told."""
    arms("control", 40, base=1000)
    arms("treatment", 40, base=100)
    words = ("compare", "exp", "--metric", "latency", "--plan-units", "80")
    assert cli(*words).exit_code == 0
    result = cli(*words, "--adjust", "before")
    assert result.exit_code == 3
    assert "not adjusted: no unit has a value from before the experiment" in result.stdout
    quantile = cli("compare", "exp", "--metric", "latency:p50", "--adjust", "feature")
    assert "adjusted: these decide" not in quantile.stdout


def test_adjusted_by_the_feature_of_the_first_call(cli: Any, url: str) -> None:
    """
    20 and 10 users of a fast feature and 10 and 20 of a slow one: no difference within them.

    Means of 2 and 20 s: without strata 8 and 14 s.
    """
    groups = [("control", "chat", 20), ("treatment", "chat", 10)]
    groups += [("control", "search", 10), ("treatment", "search", 20)]
    with modeltrail.open(url) as trail:
        for variant, feature, number in groups:
            for n in range(number):
                unit = f"{variant}-{feature}-{n}"
                tags = {"experiment": "exp", "variant": variant, "unit": unit, "feature": feature}
                seconds = (1, 3)[n % 2] * (10 if feature == "search" else 1)
                call = trail.recorder.start(request(unit, tags={**tags, "unit_type": "user"}))
                call.stop(response(latency_us=seconds * 1_000_000))
        assert trail.flush(10)
    words = ("--metric", "latency", "--adjust", "feature", "--format", "json")
    (metric,) = json.loads(cli("compare", "exp", *words).stdout)["metrics"]
    assert metric["contrasts"]["treatment"]["difference"] == pytest.approx(6e6)
    found = metric["adjusted"]["treatment"]
    assert found["contrast"]["difference"] == pytest.approx(0, abs=1e-3)
    assert found["variance_ratio"] < 1 and found["known"] == 60


def test_outcome_of_which_less_is_better(cli: Any, url: str, arms: Any) -> None:
    """Half as many complaints are better, if that is what was declared; nobody is asked twice."""
    arms("control", 400, base=1000)
    arms("treatment", 400, base=1000)
    with modeltrail.open(url) as trail:
        trail.experiment(
            "exp",
            {"control": 0.5, "treatment": 0.5},
            unit="user",
            control="control",
            primary="complaints:lower",
            plan_units=800,
        )
        for variant, share in (("control", 2), ("treatment", 4)):
            for number in range(400):
                trail.outcome("complaints", int(number % share == 0), unit=f"{variant}-{number}")
        assert trail.flush(10)
    found = json.loads(cli("compare", "exp", "--format", "json").stdout)
    metrics = {each["metric"]["name"]: each for each in found["metrics"]}
    assert "outcome:complaints" not in metrics
    decided = metrics["outcome:complaints:lower"]
    assert decided["contrasts"]["treatment"]["difference"] == pytest.approx(0.25 - 0.5)
    assert decided["findings"]["treatment"]["verdict"] == "better"
    assert found["verdict"] == "decided"
    asked = cli("compare", "exp", "--metric", "complaints", "--primary", "complaints").stdout
    assert "is worse on outcome:complaints" in asked
    assert (
        "complaints:lower: treatment less control"
        in cli("compare", "exp", "--format", "html").stdout
    )
