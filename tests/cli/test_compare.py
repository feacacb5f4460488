"""
`modeltrail compare`.
"""

import json
from typing import Any

import pytest

from modeltrail.cli.compare import exit_code
from modeltrail.experiment.compare import METHOD, Metric, compare
from modeltrail.stats.estimate import UnitSums


def test_decided_experiment_is_0(cli: Any, arms: Any) -> None:
    """Half the tokens, time and errors: better on all of them.

    Control calls last 1 and 3 seconds in turn, those of the treatment half of
    it: means 2 and 1, variances of the means 1/39 and 1/156, so that the
    difference is -1 with standard error 0.1790 on 57.35 degrees of freedom:
    t = 2.0022, half a width of 0.358.
    """
    arms("control", 40, base=1000, errors=20)
    arms("treatment", 40, base=500, errors=2)
    result = cli("compare", "exp")
    lines = result.stdout.splitlines()
    assert lines[0] == (
        "exp: treatment against control is better on cost_per_call, error_share, latency."
    )
    assert result.exit_code == 0
    table = {line.split()[0]: line.split() for line in lines if line[:1].isalpha()}
    assert table["latency"][1:6] == ["2.00s", "1.00s", "-1.00s", "[-1.36,", "-0.64]"]
    assert table["latency"][-1] == "better"
    # 1,000 and 3,000 tokens in, a tenth out: $0.00021 and $0.00063, mean $0.00042.
    assert table["cost_per_call"][1:4] == ["$0.000420", "$0.000210", "-$0.000210"]
    assert table["error_share"][1:4] == ["50%", "5%", "-45pt"]
    assert "-50%" in table["output_tokens"]
    assert table["output_tokens"][-1] == "—"


def test_text_ends_with_the_method(cli: Any, arms: Any) -> None:
    """Sentence, checks, table, method; the word that promises too much is not there."""
    arms("control", 10, base=1000)
    arms("treatment", 10, base=1000)
    result = cli("compare", "exp", "--alpha", "0.1")
    lines = result.stdout.splitlines()
    assert lines[0] == (
        "exp: treatment against control is undecided on cost_per_call, error_share, latency."
    )
    assert lines.index("checks") < next(n for n, line in enumerate(lines) if "METRIC" in line)
    assert lines[-2] == f"method: {METHOD}"
    assert lines[-1].startswith("The 90% intervals are for one look")
    assert "90% INTERVAL" in result.stdout
    assert "signif" not in result.stdout.lower()
    # Nobody has failed: how often they would is not known.
    assert any(line.startswith("error_share, treatment: ") for line in lines)
    assert result.exit_code == 3


def test_lopsided_experiment_is_1_and_shows_no_table(cli: Any, arms: Any) -> None:
    """Where units went missing no difference is shown."""
    arms("control", 60, base=10)
    arms("treatment", 10, base=10)
    result = cli("compare", "exp")
    assert result.exit_code == 1
    assert "no verdict" in result.stdout.splitlines()[0]
    assert "  fail     sample_ratio" in result.stdout
    assert "METRIC" not in result.stdout


def test_json_is_the_comparison(cli: Any, arms: Any) -> None:
    """The envelope has the comparison's own schema and content."""
    arms("control", 4, base=10)
    arms("treatment", 4, base=10)
    result = cli("compare", "exp", "--format", "json")
    found = json.loads(result.stdout)
    assert (found["schema"], found["verdict"]) == ("modeltrail.compare/1", "valid")
    assert found["generated_at"].endswith("Z")
    assert [each["metric"]["name"] for each in found["metrics"]] == [
        *("cost_per_call", "error_share", "latency", "output_tokens"),
    ]
    assert result.exit_code == 3


def test_several_variants_have_a_row_each(cli: Any, arms: Any) -> None:
    """With more than one variant each row names its own."""
    for variant in ("control", "A", "B"):
        arms(variant, 4, base=10)
    lines = cli("compare", "exp").stdout.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("latency")] == [
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


@pytest.mark.parametrize("alpha", ["0", "1", "2"])
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
    result = cli("compare", "exp")
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("latency")]
    assert line.split() == ["latency", "-1.00s", "[-1.36,", "-0.64]", "better"]


def test_unchecked_comparison_decides_nothing() -> None:
    """Without planned weights even a clear difference is 3."""
    rows = [
        UnitSums(v, f"{v}{n}", base + n % 2, 1)
        for v, base in (("a", 1), ("b", 9))
        for n in range(20)
    ]
    metric = Metric("m", "score", "higher")
    unchecked = compare("e", [metric], {"m": rows}, control="a")
    checked = compare("e", [metric], {"m": rows}, control="a", weights={"a": 0.5, "b": 0.5})
    assert (exit_code(unchecked), exit_code(checked)) == (3, 0)
