"""
GrowthBook's tag of an assignment: written, and read again.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.experiment.assign import assign
from modeltrail.experiment.growthbook_tag import read_tags, write_tag

HALVES = {"A": 0.5, "B": 0.5}


def test_an_assignment_has_a_tag() -> None:
    """
    The tag has the form that GrowthBook's trackers look for.
    """
    assert assign("key", "u", {"A": 1.0, "B": 0.0}).growthbook_tag == "gb.exp:key=A"
    assert assign("key", "u", HALVES, coverage=0).growthbook_tag is None


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([], {}),
        (["urgent", "gb.exp:key=1"], {"experiment": "key", "variant": "1"}),
        (["gb.exp:key=a=b"], {"experiment": "key", "variant": "a=b"}),
        (["gb.exp:one=1", "gb.exp:two=2"], {"experiment": "one", "variant": "1"}),
        (["gb.exp:key", "gb.exp:=1", "gb.exp:key=", "gb.exp:"], {}),
        (["x gb.exp:key=1", "gb.exp", 7, None], {}),
    ],
    ids=str,
)
def test_tags_as_they_may_come(tags: list[object], expected: dict[str, str]) -> None:
    """
    Only a whole tag is an assignment, and the first one counts.
    """
    assert read_tags(tags) == expected


@given(st.text(min_size=1).filter(lambda key: "=" not in key), st.text(min_size=1))
def test_what_is_written_is_read(experiment: str, variant: str) -> None:
    """
    Any key without '=' and any variant come back.
    """
    assert read_tags([write_tag(experiment, variant)]) == {
        "experiment": experiment,
        "variant": variant,
    }
