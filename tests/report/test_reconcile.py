"""
Both sides beside each other: arithmetic, windows, names.
"""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrail.interop.export import HOUR_US, Export, LoggedCall, UsageBucket
from modeltrail.report.causes import CAUSES, MEASURES, NOTHING_FOUND, Figures, near
from modeltrail.report.joined import join
from modeltrail.report.model_names import matches, stem
from modeltrail.report.reconcile import DAY_US, compare, scopes, total
from modeltrail.storage import MeteredHour, RequestedCall

DAY = 20_000 * DAY_US
EXACT = Fraction(0)


def export(*buckets: UsageBucket, kind: Any = "usage", spans: Any = None) -> Export:
    """Return an export of a day in hours, or of what is said."""
    hours = tuple((DAY + n * HOUR_US, DAY + (n + 1) * HOUR_US) for n in range(24))
    return Export(
        name="x.json",
        format="openai-usage",
        provider="openai",
        kind=kind,
        buckets=buckets,
        spans=hours if spans is None else spans,
    )


def bucket(hour: int = 0, **more: Any) -> UsageBucket:
    """Return what an hour has."""
    start_us = DAY + hour * HOUR_US
    return UsageBucket(provider="openai", start_us=start_us, end_us=start_us + HOUR_US, **more)


def hour(number: int = 0, **more: Any) -> MeteredHour:
    """Return what the trail has of an hour."""
    given = dict.fromkeys(MeteredHour._fields, None) | dict.fromkeys(MeteredHour._fields[4:8], 0)
    start_us = DAY + number * HOUR_US
    return MeteredHour(**given | {"start_us": start_us, "provider": "openai", **more})  # type: ignore[arg-type]


def of_the_day(*exports: Export, **more: Any) -> Any:
    """Return the scopes of a day that the trail has seen wholly."""
    given = {"first_call_us": DAY, "since_us": 0, "until_us": DAY + DAY_US, "by_us": HOUR_US}
    return scopes(exports, **given | more)  # type: ignore[arg-type]


count = st.integers(min_value=0, max_value=10**12)
model = st.sampled_from(["gpt-4o", "gpt-4o-mini-2024-07-18", "gpt-4o-mini", "o1", None])
key = st.sampled_from(["a", "b", None])
place = st.integers(min_value=0, max_value=23)
figures = dict.fromkeys(MEASURES[1:], count)
buckets = st.builds(bucket, hour=place, model=model, key=key, requests=count, **figures)
hours = st.builds(hour, number=place, model=model, key=key, calls=count, **figures)


@given(theirs=st.lists(buckets, min_size=1, max_size=12), ours=st.lists(hours, max_size=12))
def test_sums_are_those_of_both_sides(theirs: list[UsageBucket], ours: list[MeteredHour]) -> None:
    """Whatever is matched with whatever: nothing is lost and nothing is counted twice."""
    exports = [export(*theirs)]
    (scope,) = of_the_day(*exports)
    rows = compare(scope, exports, ours, tolerance=EXACT, keys={"a": "b"})
    trail, provider = total(rows)
    for name in MEASURES:
        mine = [each.calls if name == "requests" else getattr(each, name) for each in ours]
        assert getattr(trail, name) == sum(mine)
        assert getattr(provider, name) == sum(getattr(each, name) for each in theirs)


@given(theirs=st.lists(buckets, min_size=1, max_size=12), ours=st.lists(hours, max_size=12))
def test_cause_is_named_where_figures_differ(
    theirs: list[UsageBucket], ours: list[MeteredHour]
) -> None:
    """A row has a cause of the table exactly if one of its figures differs."""
    exports = [export(*theirs)]
    (scope,) = of_the_day(*exports)
    names = {cause.name for cause in CAUSES} | {NOTHING_FOUND}
    for row in compare(scope, exports, ours, tolerance=EXACT, keys={}):
        assert (row.cause is not None) == (row.pair.trail != row.pair.export)
        assert row.cause is None or row.cause in names


def test_day_without_its_last_hour_is_not_compared() -> None:
    """A bucket is compared if every export covers it wholly and the trail has seen it."""
    usage = export(bucket(requests=1))
    (scope,) = of_the_day(usage)
    assert (len(scope.starts), scope.left_out) == (24, 0)
    costs = export(bucket(cost_nanousd=1), kind="costs", spans=((DAY, DAY + DAY_US),))
    (scope,) = of_the_day(usage, costs)
    assert (scope.grain_us, scope.starts, scope.left_out) == (DAY_US, (DAY,), 0)
    cut = export(bucket(requests=1), spans=usage.spans[:-1])
    assert of_the_day(cut, costs) == []
    gap = export(bucket(requests=1), spans=(*usage.spans[:5], *usage.spans[6:]))
    assert of_the_day(gap, by_us=DAY_US) == []
    (scope,) = of_the_day(gap)
    assert len(scope.starts) == 23


def test_cut_first_bucket_is_left_out() -> None:
    """OpenAI's first bucket begins when it was asked for, in the midst of an hour."""
    minute = 60_000_000
    spans = ((DAY + 7 * minute, DAY + HOUR_US), (DAY + HOUR_US, DAY + 2 * HOUR_US))
    (scope,) = of_the_day(export(bucket(1, requests=1), spans=spans))
    assert (scope.starts, scope.left_out) == ((DAY + HOUR_US,), 1)


def test_before_the_first_call_nothing_is_compared() -> None:
    """Since a trail can say nothing of the time before it."""
    (scope,) = of_the_day(export(bucket(requests=1)), first_call_us=DAY + 5 * HOUR_US + 3)
    assert scope.start_us == DAY + 5 * HOUR_US
    assert of_the_day(export(bucket(requests=1)), first_call_us=DAY + DAY_US) == []


def test_costs_without_models_are_compared_as_a_whole() -> None:
    """What one export does not tell is not compared, rather than guessed."""
    usage = export(bucket(model="gpt-4o", requests=2, input_tokens=10, output_tokens=1))
    costs = export(bucket(cost_nanousd=50), kind="costs", spans=((DAY, DAY + DAY_US),))
    (scope,) = of_the_day(usage, costs)
    ours = [
        hour(3, model="gpt-4o", calls=1, input_tokens=6, output_tokens=1, cost_nanousd=30),
        hour(9, model="o1", calls=1, input_tokens=4, output_tokens=0, cost_nanousd=20),
    ]
    (row,) = compare(scope, [usage, costs], ours, tolerance=EXACT, keys={})
    assert (row.model, row.cause) == (None, None)
    assert row.pair.trail == Figures(requests=2, input_tokens=10, output_tokens=1, cost_nanousd=50)


def test_cost_that_is_no_models() -> None:
    """Searches cost dollars and no tokens."""
    told = {"input_tokens": 5, "output_tokens": 5, "cost_nanousd": 7}
    exports = [export(bucket(model="o1", **told), bucket(model=None, cost_nanousd=9))]
    (scope,) = of_the_day(*exports)
    ours = [hour(model="o1", calls=1, **told)]
    rows = compare(scope, exports, ours, tolerance=EXACT, keys={})
    assert [(row.model, row.cause) for row in rows] == [(None, "no-tokens"), ("o1", None)]


@pytest.mark.parametrize(
    ("one", "other", "share", "expected"),
    [
        (100, 101, "1/101", True),
        (100, 101, "1/102", False),
        (101, 100, "1/101", True),
        (0, 0, "0", True),
        (0, 1, "1/2", False),
        (None, 1, "0", True),
        (-100, -101, "1/101", True),
    ],
)
def test_tolerance_is_of_the_larger(
    one: int | None, other: int, share: str, expected: bool
) -> None:
    """Exact fractions: no float decides."""
    assert near(one, other, Fraction(share)) is expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("gpt-4o-mini-2024-07-18", "gpt-4o-mini", "openai/gpt-4o-mini"), "gpt-4o-mini"),
        (("gpt-4-0613", "gpt-4"), "gpt-4"),
        (("claude-3-5-haiku-20241022", "claude-3-5-haiku-latest"), "claude-3-5-haiku"),
        (
            (
                "us.anthropic.claude-sonnet-4-20250514-v1:0",
                "anthropic.claude-sonnet-4-20250514-v1:0",
                "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0",
                "claude-sonnet-4@20250514",
            ),
            "claude-sonnet-4",
        ),
        (("gpt-4.1",), "gpt-4.1"),
        (("o1",), "o1"),
        (("amazon.nova-lite-v1:0",), "nova-lite"),
    ],
)
def test_stem_is_what_stays(names: tuple[str, ...], expected: str) -> None:
    """Place, maker, date and version are taken off; what makes another model is not."""
    assert {stem(name) for name in names} == {expected}


def test_names_are_matched_only_if_there_is_one() -> None:
    """The exact name first; two snapshots leave an alias where it is."""
    theirs = ["gpt-4o-2024-05-13", "gpt-4o-2024-08-06", "o1-2024-12-17"]
    assert matches(["gpt-4o", "gpt-4o-2024-08-06", "o1", "o3"], theirs) == {
        "gpt-4o": "gpt-4o",
        "gpt-4o-2024-08-06": "gpt-4o-2024-08-06",
        "o1": "o1-2024-12-17",
        "o3": "o3",
    }


def logged(id: str, at_us: int, tokens: int = 5) -> LoggedCall:
    """Return a call of a log."""
    return LoggedCall(
        provider="aws", request_id=id, at_us=at_us, model="m", input_tokens=tokens, output_tokens=1
    )


def recorded(id: str | None, at_us: int, tokens: int = 5) -> RequestedCall:
    """Return a call of the trail."""
    return RequestedCall(f"call-{id}", id, at_us, "m", "ok", tokens, 1)


def test_calls_are_joined_by_id() -> None:
    """Matched, differing, and missing on either side, within the log's time only."""
    second = 1_000_000
    theirs = [logged("a", 10 * second), logged("b", 20 * second), logged("c", 30 * second)]
    ours = [
        recorded("before", 9 * second),
        recorded("a", 10 * second + 5, tokens=6),
        recorded(None, 11 * second),
        recorded("inside", 12 * second),
        recorded("c", 30 * second),
        recorded("last", 30 * second + 999_999),
        recorded("after", 31 * second),
    ]
    found = join(theirs, ours)
    assert found.matched == 2
    assert [one.request_id for one, _ in found.differing] == ["a"]
    assert [call.request_id for call in found.only_logged] == ["b"]
    assert [call.request_id for call in found.only_recorded] == ["inside", "last"]
    assert found.without_id == 1
