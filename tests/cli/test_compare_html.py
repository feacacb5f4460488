"""
`modeltrail compare --format html`.
"""

from typing import Any

import pytest
from drawn import across, attributes, figures, lines, parsed, texts

from modeltrail.experiment.results import METHOD

HTML = ("--format", "html")


def test_verdict_first_then_checks_then_numbers(cli: Any, arms: Any) -> None:
    """The sentences, the tables and the exit code are those of the terminal."""
    arms("control", 40, base=1000, errors=24)
    arms("treatment", 40, base=500, errors=2)
    words = ("compare", "exp", "--plan-units", "80", "--primary", "latency")
    shown, plain = cli(*words, *HTML), cli(*words)
    assert (shown.exit_code, shown.stderr) == (0, "")
    page = parsed(shown.stdout)
    said = texts(page, "p")
    assert plain.stdout.splitlines()[:2] == said[:2]
    assert texts(page, "h2") == ["Checks", "Metrics", "Over time", "How this was computed"]
    assert f"Method: {METHOD}." in said
    cells = texts(page, "td")
    rows = [line for line in plain.stdout.splitlines() if line.startswith(("latency", "cost "))]
    for row in rows:
        assert all(cell in cells for cell in row.split("  ") if cell.strip() == cell != "")
    assert cli(*words, *HTML).stdout == shown.stdout


def test_intervals_lie_where_the_numbers_say(cli: Any, arms: Any) -> None:
    """
    By hand, see `test_decided_experiment_is_0`: -1 second, 0.54 to either side and 0.358.
    """
    arms("control", 40, base=1000)
    arms("treatment", 40, base=500)
    shown = cli("compare", "exp", "--plan-units", "80", "--metric", "latency", *HTML).stdout
    figure = figures(shown)[0]
    at = across(figure)
    ((inner, _, end, _),) = lines(figure, "inner")
    assert (at(inner), at(end)) == (
        pytest.approx(-1.358, abs=0.01),
        pytest.approx(-0.642, abs=0.01),
    )
    outer = next(each for each in lines(figure, "outer") if each[1] == each[3])
    assert (at(outer[0]), at(outer[2])) == (
        pytest.approx(-1.54, abs=0.01),
        pytest.approx(-0.46, abs=0.01),
    )
    told = next(each for each in texts(figure, "desc"))
    assert told.startswith("difference, seconds. treatment: -1.0")


def test_lopsided_experiment_has_no_figure(cli: Any, arms: Any) -> None:
    """Where a check has failed there is nothing to look at but the check."""
    arms("control", 60, base=10)
    arms("treatment", 10, base=10)
    result = cli("compare", "exp", *HTML)
    page = parsed(result.stdout)
    assert result.exit_code == 1
    assert figures(result.stdout) == []
    assert texts(page, "h2") == ["Checks", "How this was computed"]
    assert [each.text for each in page.iter("td") if each.get("class") == "fail"] == ["fail"]


def test_early_experiment_has_no_course(cli: Any, arms: Any) -> None:
    """Before the first look may be taken there is none to go back to."""
    arms("control", 4, base=10)
    arms("treatment", 4, base=10)
    result = cli("compare", "exp", *HTML)
    assert result.exit_code == 3
    assert "No earlier look was possible: there were too few units." in texts(
        parsed(result.stdout), "p"
    )


def test_nothing_to_compare(cli: Any, arms: Any) -> None:
    """With the control alone the page says so."""
    arms("control", 5, base=10)
    result = cli("compare", "exp", *HTML)
    assert "only control has calls" in texts(parsed(result.stdout), "p")[0]
    assert figures(result.stdout) == []


def test_each_feature_has_a_line(cli: Any, arms: Any) -> None:
    """A forest for a metric, from the lowest difference up; the dot is filled if it is believed."""
    arms("control", 40, base=1000, feature="a<b>")
    arms("treatment", 40, base=500, feature="a<b>")
    result = cli(
        "compare", "exp", "--plan-units", "80", "--metric", "latency", "--by", "feature", *HTML
    )
    page = parsed(result.stdout)
    section = next(each for each in page.iter("section") if "By feature" in texts(each, "h2"))
    (forest,) = section.iter("svg")
    labels = [each.text for each in forest.iter("text") if each.get("class") == "label"]
    assert labels == ["a<b>"]
    assert [each.get("class") for each in forest.iter("circle")] == ["firm"]
    assert "a<b>" not in result.stdout


def test_names_are_no_markup(cli: Any, arms: Any) -> None:
    """A variant named like a script stays a name, in figures, tables and their descriptions."""
    name = "<script>alert(1)</script>\" onload='x'\x1b[31m"
    arms("control", 40, base=1000)
    arms(name, 40, base=500)
    result = cli("compare", "exp", "--plan-units", "80", *HTML)
    page = parsed(result.stdout)
    assert not {each.tag for each in page.iter()} & {"script", "a", "img", "link"}
    assert not attributes(page) & {"onload", "src", "href", "style"}
    assert "\x1b" not in result.stdout
    assert any("<script>alert(1)</script>" in text for text in texts(page, "desc"))
