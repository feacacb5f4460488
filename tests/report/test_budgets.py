"""
Budgets: their file, and what exceeds them.
"""

from decimal import Decimal

import pytest
from histories import HOUR_US, START_US, call, keep

from modeltrail.errors import ConfigurationError
from modeltrail.report.budgets import Budget, judge, parse
from modeltrail.storage import Store

DAY_US = 24 * HOUR_US
FILE = """
[[budget]]
feature = "support"
metric = "cost_usd"
per = "day"
at_most = "12.50"

[[budget]]
metric = "error_share"
per = "hour"
at_most = 0.1
at_least_calls = 5
"""


def test_file_is_read_exactly() -> None:
    """Amounts as text or number are the decimals that were written."""
    assert parse(FILE, "b.toml") == [
        Budget(1, {"feature": "support"}, "cost_usd", "day", Decimal("12.50"), 20),
        Budget(2, {}, "error_share", "hour", Decimal("0.1"), 5),
    ]


WRONG = [
    ("budget = 1", "b.toml: write each budget as a table [[budget]]"),
    ("", "b.toml: write each budget as a table [[budget]]"),
    ("[[budgets]]\n", "b.toml: write each budget as a table [[budget]]"),
    ("[[budget]\n", "b.toml is no TOML: "),
    ("[[budget]]\ncolour = 'red'\n", "b.toml, budget 1: 'colour' is unknown; use metric, per"),
    ("[[budget]]\nfeature = 1\n", "b.toml, budget 1: feature must be a text"),
    ("[[budget]]\nper = 'day'\n", "b.toml, budget 1: metric is missing; choose from cost_usd, "),
    ("[[budget]]\nmetric = 'joy'\n", "b.toml, budget 1: metric cannot be 'joy'; choose from"),
    ("[[budget]]\nmetric = 'calls'\nper = 'year'\n", "budget 1: per cannot be 'year'; choose from"),
    ("[[budget]]\nmetric = 'calls'\nper = 'day'\n", "budget 1: at_most must be a number, such as"),
    *(
        (f"[[budget]]\nmetric = 'calls'\nper = 'day'\nat_most = {value}\n", "at_most must be")
        for value in ("'a lot'", "-1", "nan", "inf", "true", "[1]")
    ),
    (
        FILE + "[[budget]]\nmetric = 'calls'\nper = 'day'\nat_most = 1\nat_least_calls = 0\n",
        "b.toml, budget 3: at_least_calls must be a whole number above 0",
    ),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_wrong_file_says_where_and_what_to_do(text: str, message: str) -> None:
    """The file, the entry, the name, and what may stand there."""
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "b.toml")
    assert message in str(caught.value)


def exceeded(
    url: str, metric: str, per: str, at_most: str, *, until_us: int = START_US + 62 * DAY_US,
    recent_us: int | None = None, least: int = 3, **only: str,
) -> list[tuple[int, str, int]]:  # fmt: skip
    """Return when, in hours from the start, a budget is exceeded, with the value and the calls."""
    store = Store.open(url)
    budget = Budget(1, only, metric, per, Decimal(at_most), least)
    spent = judge(store, [budget], START_US + DAY_US, until_us, recent_us)
    store.close()
    return [
        ((each.start_us - START_US) // HOUR_US, str(each.value), each.calls)
        for each in spent.excesses
    ]


@pytest.fixture
def spent(url: str) -> str:
    """Make a trail: three calls on the 2nd of June and of July, of $4 and $5 each."""
    store = Store.open(url)
    calls = []
    for day, dollars in ((1, 4), (31, 5)):
        for n in range(3):
            at = START_US + day * DAY_US + 12 * HOUR_US + n
            cost = dollars * 10**9 if n else None
            calls.append(
                call(at, feature="a", cost_nanousd=cost, latency_us=(n + 1) * 10**6,
                     status="ok" if n else "error", input_tokens=10, output_tokens=20)
            )  # fmt: skip
    keep(store, [*calls, call(START_US + DAY_US, feature="b", cost_nanousd=10**9)])
    store.close()
    return url


@pytest.mark.parametrize(
    ("metric", "per", "at_most", "expected"),
    [
        # June's hours begin at 0, July's at 720; the calls are at hours 36 and 756.
        ("cost_usd", "hour", "8", [(756, "10.000000000", 3)]),
        ("cost_usd", "day", "8.99", [(24, "9.000000000", 4), (744, "10.000000000", 3)]),
        ("cost_usd", "day", "9", [(744, "10.000000000", 3)]),
        ("cost_usd", "month", "9.5", [(720, "10.000000000", 3)]),
        ("calls", "day", "3", [(24, "4", 4)]),
        ("input_tokens", "day", "29", [(24, "30", 4), (744, "30", 3)]),
        ("output_tokens", "month", "60", []),
        ("errors", "hour", "0", [(36, "1", 3), (756, "1", 3)]),
        ("error_share", "day", "0.3", [(744, "0.3333333333333333333333333333", 3)]),
        ("latency_mean_s", "hour", "1.9", [(36, "2", 3), (756, "2", 3)]),
        ("latency_p95_s", "hour", "2.9", [(36, "3.000000", 3), (756, "3.000000", 3)]),
        ("latency_p95_s", "day", "2.9", [(24, "3.000000", 3), (744, "3.000000", 3)]),
        ("latency_p95_s", "month", "2.9", [(0, "3.000000", 3), (720, "3.000000", 3)]),
        ("latency_p95_s", "month", "3", []),
    ],
)
def test_periods_that_exceed_a_budget(
    spent: str, metric: str, per: str, at_most: str, expected: list[tuple[int, str, int]]
) -> None:
    """Hours, days and months of UTC; what equals the limit is within it."""
    assert exceeded(spent, metric, per, at_most) == expected


def test_only_the_calls_that_a_budget_is_about(spent: str) -> None:
    """Of feature b there is one dollar."""
    assert exceeded(spent, "cost_usd", "day", "0.5", feature="b") == [(24, "1.000000000", 1)]
    assert exceeded(spent, "cost_usd", "day", "0.5", feature="c") == []
    # Nothing is spent where nothing is known.
    assert exceeded(spent, "latency_p95_s", "day", "0", feature="b", least=1) == []


def test_few_calls_make_no_share(spent: str) -> None:
    """Of three calls one error is no third of anything if four are asked for; a sum needs none."""
    for metric in ("error_share", "latency_mean_s", "latency_p95_s"):
        assert exceeded(spent, metric, "hour", "0", least=4) == []
    assert len(exceeded(spent, "errors", "hour", "0", least=4)) == 2


def test_periods_are_whole_and_recent(spent: str) -> None:
    """A period counts from its beginning, before the window too; recent ones only are told."""
    # The window begins on the 2nd of June: its month from the 1st on.
    july = START_US + 31 * DAY_US + 13 * HOUR_US
    assert exceeded(spent, "calls", "month", "2", until_us=july) == [(0, "4", 4), (720, "3", 3)]
    assert exceeded(spent, "calls", "month", "2", recent_us=july) == [(720, "3", 3)]
    assert exceeded(spent, "calls", "hour", "2", recent_us=july) == []
    assert exceeded(spent, "calls", "hour", "2", recent_us=july - HOUR_US) == [(756, "3", 3)]


def test_calls_without_a_price_are_told(spent: str) -> None:
    """Two of the calls have no known cost: a budget of dollars says so, another does not."""
    store = Store.open(spent)
    for metric, unpriced in (("cost_usd", 2), ("calls", 0)):
        budget = Budget(1, {}, metric, "day", Decimal(10**6))
        assert judge(store, [budget], START_US, START_US + 62 * DAY_US, None).unpriced == unpriced
    store.close()
