"""
Budgets on the command line: their file, and what exceeds them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeltrail.cli.exits import tell
from modeltrail.cli.output import write_table
from modeltrail.errors import ConfigurationError
from modeltrail.render.figures import count, moment
from modeltrail.render.layout import Column
from modeltrail.render.text import clean

if TYPE_CHECKING:
    from modeltrail.report.budgets import Budget, Excess, Spent

COLUMNS = (
    Column("SINCE (UTC)", "text"),
    Column("PER", "text"),
    Column("BUDGET", "label"),
    Column("METRIC", "text"),
    Column("VALUE"),
    Column("AT MOST"),
    Column("CALLS", rank=1),
)


def read_budgets(path: Path, format: str) -> "list[Budget]":
    """
    Read a file of budgets.

    Raises:
        ConfigurationError: It cannot be read, says something else, or the
            output has no place for what exceeds them.
    """
    from modeltrail.report.budgets import parse

    if format == "csv":
        raise ConfigurationError("csv has one kind of row; with --budgets use json or jsonl")
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the budgets {path} cannot be read: {error}") from error
    return parse(text, str(path))


def excess_row(excess: "Excess") -> dict[str, Any]:
    """
    Return what exceeds a budget, its amounts as exact decimals.
    """
    budget = excess.budget
    return {
        "budget": budget.number,
        "only": dict(budget.only),
        "metric": budget.metric,
        "per": budget.per,
        "start_us": excess.start_us,
        "value": _plain(excess.value),
        "at_most": _plain(budget.at_most),
        "calls": excess.calls,
    }


def write_excesses(excesses: "Sequence[Excess]") -> None:
    """
    Write a table of what exceeds the budgets.
    """
    write_table(COLUMNS, [_cells(each) for each in excesses])


def tell_spent(budgets: "Sequence[Budget]", spent: "Spent") -> None:
    """
    Tell how many budgets there were, and what their figures lack.
    """
    tell(f"budgets: {count(len(budgets))} judged")
    if spent.unpriced:
        tell(f"unpriced: the cost of {count(spent.unpriced)} calls is not known and in no budget")


def _cells(excess: "Excess") -> list[str]:
    budget = excess.budget
    only = ", ".join(f"{name}={value}" for name, value in budget.only.items())
    return [
        moment(excess.start_us)[:16],
        budget.per,
        clean(only) or "all calls",
        budget.metric,
        _plain(round(excess.value, 6)),
        _plain(budget.at_most),
        count(excess.calls),
    ]


def _plain(value: Any) -> str:
    return f"{value.normalize():f}"
