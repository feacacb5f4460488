"""
Fixed limits: what was spent, failed or took longer than a budget allows.

A budget needs no history. Sums are judged while their period still runs: what
is over is over. A share, a mean or a percentile of a few calls says little, so that
these need at least `at_least_calls`.
"""

import tomllib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from modeltrail.errors import ConfigurationError
from modeltrail.storage import HOUR_US, Filters, Hour, Store
from modeltrail.storage.dimensions import TEXTS

PERIODS = ("hour", "day", "month")
LEAST_CALLS = 20
_KNOWN = ("metric", "per", "at_most", "at_least_calls")


class Budget(NamedTuple):
    """
    One entry of a file of budgets.

    Attributes:
        number: Which entry it is, from 1.
        only: Values of columns of texts; only calls that have them count.
        metric: One of `METRICS`.
        per: One of `PERIODS`, UTC.
        at_most: The largest value that is within it, in the metric's unit.
        at_least_calls: With fewer a share, a mean or a percentile is not judged.
    """

    number: int
    only: Mapping[str, str]
    metric: str
    per: str
    at_most: Decimal
    at_least_calls: int = LEAST_CALLS


class Excess(NamedTuple):
    """
    A period in which a budget is exceeded.
    """

    budget: Budget
    start_us: int
    value: Decimal
    calls: int


class Spent(NamedTuple):
    """
    What came of judging budgets.

    Attributes:
        unpriced: How many calls that cost budgets are about have no known cost.
    """

    excesses: list[Excess]
    unpriced: int


class _Total(NamedTuple):
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost_nanousd: int
    latency_us: int
    timed: int


def parse(text: str, name: str) -> list[Budget]:
    """
    Read budgets from TOML.

    Args:
        name: What to call the file in an error.

    Raises:
        ConfigurationError: It is no TOML, or an entry of it is no budget.
    """
    try:
        # Decimals as they are written: a float may be a little more.
        found = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{name} is no TOML: {error}") from error
    entries = found.get("budget")
    if set(found) != {"budget"} or not isinstance(entries, list) or not entries:
        raise ConfigurationError(f"{name}: write each budget as a table [[budget]], nothing else")
    return [_budget(entry, f"{name}, budget {n}", n) for n, entry in enumerate(entries, 1)]


def _budget(entry: Any, where: str, number: int) -> Budget:
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{where}: write it as a table [[budget]]")
    for name in entry:
        if name not in (*_KNOWN, *TEXTS):
            raise ConfigurationError(
                f"{where}: {name!r} is unknown; use {', '.join((*_KNOWN, *TEXTS))}"
            )
    only = {name: value for name, value in entry.items() if name in TEXTS}
    for name, value in only.items():
        if not isinstance(value, str):
            raise ConfigurationError(f"{where}: {name} must be a text, such as {name} = 'a'")
    return Budget(
        number,
        only,
        _choice(entry, "metric", (*METRICS, P95), where),
        _choice(entry, "per", PERIODS, where),
        _limit(entry, where),
        _least_calls(entry, where),
    )


def _choice(entry: Mapping[str, Any], name: str, choices: Sequence[str], where: str) -> str:
    value = entry.get(name)
    if value not in choices:
        said = "is missing" if value is None else f"cannot be {value!r}"
        raise ConfigurationError(f"{where}: {name} {said}; choose from {', '.join(choices)}")
    return str(value)


def _limit(entry: Mapping[str, Any], where: str) -> Decimal:
    value = entry.get("at_most")
    try:
        limit = Decimal("nan") if value is None or isinstance(value, bool) else Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        limit = Decimal("nan")
    if not limit.is_finite() or limit < 0:
        raise ConfigurationError(f'{where}: at_most must be a number, such as at_most = "12.50"')
    return limit


def _least_calls(entry: Mapping[str, Any], where: str) -> int:
    value = entry.get("at_least_calls", LEAST_CALLS)
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"{where}: at_least_calls must be a whole number above 0")
    return value


def judge(
    store: Store, budgets: Sequence[Budget], since_us: int, until_us: int, recent_us: int | None
) -> Spent:
    """
    Compare what was with what is allowed, period by period.

    Args:
        since_us: The first period is the one that this moment is in.
        recent_us: Only tell of periods that end after it.
    """
    excesses: list[Excess] = []
    unpriced = 0
    for budget in budgets:
        first_hour = _start(since_us // HOUR_US, budget.per)
        filters = Filters(since_us=first_hour * HOUR_US, until_us=until_us)
        hours = store.hours([], filters, budget.only)
        if budget.metric == "cost_usd":
            unpriced += sum(each.unpriced for each in hours)
        last = -1 if recent_us is None else _start(recent_us // HOUR_US, budget.per)
        values = (
            _percentiles(store, budget, hours, until_us)
            if budget.metric == P95
            else _values(budget, hours)
        )
        excesses += [
            Excess(budget, start * HOUR_US, value, calls)
            for start, (value, calls) in sorted(values.items())
            if start >= last and value > budget.at_most
        ]
    excesses.sort(key=lambda each: (each.start_us, each.budget.number))
    return Spent(excesses, unpriced)


def _start(hour: int, per: str) -> int:
    """
    Return the hour at which the period of an hour begins, UTC.
    """
    if per == "hour":
        return hour
    if per == "day":
        return hour - hour % 24
    at = datetime.fromtimestamp(hour * 3600, UTC)
    return int(at.replace(day=1, hour=0).timestamp()) // 3600


def _periods(budget: Budget, hours: Sequence[Hour]) -> dict[int, list[Hour]]:
    found: dict[int, list[Hour]] = defaultdict(list)
    for each in hours:
        found[_start(each.hour, budget.per)].append(each)
    return found


def _values(budget: Budget, hours: Sequence[Hour]) -> dict[int, tuple[Decimal, int]]:
    metric = METRICS[budget.metric]
    found = {}
    for start, part in _periods(budget, hours).items():
        total = _Total(*(sum(getattr(each, name) or 0 for each in part) for name in _Total._fields))
        value = metric.value(total)
        counted = metric.counted(total)
        if value is not None and (metric.is_sum or counted >= budget.at_least_calls):
            found[start] = (value, total.calls)
    return found


def _percentiles(
    store: Store, budget: Budget, hours: Sequence[Hour], until_us: int
) -> dict[int, tuple[Decimal, int]]:
    read = _of_months if budget.per == "month" else _of_hours
    return {
        start: (Decimal(latency_us).scaleb(-6), calls)
        for start, (latency_us, calls) in read(store, budget, hours, until_us).items()
        if calls >= budget.at_least_calls
    }


def _of_hours(
    store: Store, budget: Budget, hours: Sequence[Hour], until_us: int
) -> dict[int, tuple[int, int]]:
    if not hours:
        return {}
    length = {"hour": 1, "day": 24}[budget.per]
    filters = Filters(since_us=hours[0].hour // length * length * HOUR_US, until_us=until_us)
    found = store.latency_p95(filters, budget.only, length)
    return {number * length: each for number, each in found.items()}


def _of_months(
    store: Store, budget: Budget, hours: Sequence[Hour], until_us: int
) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for start, part in _periods(budget, hours).items():
        end_us = min((part[-1].hour + 1) * HOUR_US, until_us)
        filters = Filters(since_us=start * HOUR_US, until_us=end_us)
        for each in store.latency_p95(filters, budget.only, None).values():
            found[start] = each
    return found


def _share(part: int, of: int) -> Decimal | None:
    return Decimal(part) / of if of else None


class _Metric(NamedTuple):
    value: Callable[[_Total], Decimal | None]
    is_sum: bool = True
    counted: Callable[[_Total], int] = lambda total: total.calls


P95 = "latency_p95_s"
METRICS: Mapping[str, _Metric] = {
    "cost_usd": _Metric(lambda total: Decimal(total.cost_nanousd).scaleb(-9)),
    "calls": _Metric(lambda total: Decimal(total.calls)),
    "errors": _Metric(lambda total: Decimal(total.errors)),
    "input_tokens": _Metric(lambda total: Decimal(total.input_tokens)),
    "output_tokens": _Metric(lambda total: Decimal(total.output_tokens)),
    "error_share": _Metric(lambda total: _share(total.errors, total.calls), is_sum=False),
    "latency_mean_s": _Metric(
        lambda total: _share(total.latency_us, total.timed * 1_000_000),
        is_sum=False,
        counted=lambda total: total.timed,
    ),
}
