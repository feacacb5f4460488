"""
From sums per hour to findings.
"""

from histories import HOUR_US

from modeltrail.report.spikes import METRICS, Finding, watch, window
from modeltrail.storage import Hour

WEEKS_4 = 4 * 168


def hour(at: int, calls: int = 10, key: str = "a", **more: float | None) -> Hour:
    """Return an hour of calls, each of 100 tokens, $0.000001 and a second."""
    given = {
        "errors": 0,
        "unpriced": 0,
        "input_tokens": None,
        "output_tokens": 100 * calls,
        "output_tokens_squared": 100.0**2 * calls,
        "cost_nanousd": 1000 * calls,
        "cost_nanousd_squared": 1000.0**2 * calls,
        "latency_us": 1_000_000 * calls,
        "timed": calls,
    }
    return Hour(key=(key,), hour=at, calls=calls, **given | more)  # type: ignore[arg-type]


def test_every_metric_is_judged_by_itself() -> None:
    """An hour that is dear, or slow, or failing is told as that."""
    odd = {
        600: hour(600, errors=9),
        610: hour(610, cost_nanousd=50_000),
        620: hour(620, output_tokens=5_000),
        630: hour(630, latency_us=40_000_000),
        640: hour(640, calls=40),
    }
    found = watch(
        [odd.get(at, hour(at)) for at in range(WEEKS_4)],
        list(METRICS),
        window(0, WEEKS_4 * HOUR_US, None),
    )
    assert found.judged == 5
    assert {(each.start_us // HOUR_US, each.metric) for each in found.findings} == {
        (600, "errors"),
        (610, "cost_nanousd"),
        (620, "output_tokens"),
        (630, "latency_us"),
        (640, "calls"),
        (640, "cost_nanousd"),
        (640, "output_tokens"),
    }


def test_finding_says_what_was_expected() -> None:
    """Value and expectation are whole numbers in the metric's unit, with their ratio."""
    hours = [hour(at, calls=50 if at == 500 else 10) for at in range(WEEKS_4)]
    (finding,) = watch(hours, ["cost_nanousd"], window(0, WEEKS_4 * HOUR_US, None)).findings
    # In units of one call: 2 sqrt(50.375) - 2 sqrt(10.375) = 14.1951 - 6.4420.
    assert finding == Finding(("a",), 500 * HOUR_US, "cost_nanousd", 50_000, 10_000, finding.score)
    assert (round(finding.score, 3), finding.ratio) == (7.753, 5.0)
    assert finding._replace(expected=0).ratio is None


def test_hours_without_calls_are_zero_of_a_count_and_no_latency() -> None:
    """A feature of nights only has a week of zeros; its latency is judged where it is known."""
    calls = [hour(at, calls=30) for at in range(0, WEEKS_4, 3)]
    calls[100] = hour(300, calls=30, latency_us=300_000_000)
    found = watch(calls, ["calls", "latency_us"], window(0, WEEKS_4 * HOUR_US, None))
    assert [(each.start_us // HOUR_US, each.metric) for each in found.findings] == [
        (300, "latency_us")
    ]
    unusual = watch([*calls, hour(301, calls=20)], ["calls"], window(0, WEEKS_4 * HOUR_US, None))
    (finding,) = unusual.findings
    assert (finding.start_us // HOUR_US, finding.expected, finding.ratio) == (301, 0, None)


def test_unknown_cost_is_not_zero() -> None:
    """Hours whose calls have no price are passed over, so that the priced ones are no spikes."""
    hours = [hour(at, cost_nanousd=10_000 if at % 4 == 0 else None) for at in range(WEEKS_4)]
    found = watch(hours, ["cost_nanousd"], window(0, WEEKS_4 * HOUR_US, None))
    assert (found.findings, found.judged) == ([], 1)


def test_history_begins_with_the_first_call_of_the_group() -> None:
    """A young feature is refused although another is old; only its metric is named."""
    hours = [hour(at) for at in range(WEEKS_4)]
    hours += [hour(at, key="new") for at in range(WEEKS_4 - 50, WEEKS_4)]
    found = watch(hours, ["calls"], window(0, WEEKS_4 * HOUR_US, None))
    assert found.judged == 1
    assert [(each.key, each.metric) for each in found.refusals] == [(("new",), "calls")]
    assert found.refusals[0].reason.startswith("2 days of history; 4 weeks are needed")


def test_only_whole_and_recent_hours_are_told() -> None:
    """The hour that began before the window and the one that is not over are left out."""
    assert window(1, 3 * HOUR_US - 1, None) == (1, 2, 1)
    assert window(HOUR_US, 3 * HOUR_US, 2 * HOUR_US + 5) == (1, 3, 2)
    hours = [hour(at, calls=60 if at in {400, 600} else 10) for at in range(WEEKS_4)]
    recent = window(0, WEEKS_4 * HOUR_US, 500 * HOUR_US)
    assert [each.start_us // HOUR_US for each in watch(hours, ["calls"], recent).findings] == [600]
