"""
`modeltrail ab power`: how large an experiment must be.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modeltrail.cli import options
from modeltrail.cli.ab import Alpha, Control, between, tell_crossed
from modeltrail.cli.exits import CANNOT_TELL, OK, command, tell
from modeltrail.cli.output import write_json, write_rows, write_table
from modeltrail.cli.trails import reading
from modeltrail.errors import ConfigurationError
from modeltrail.render.figures import UNKNOWN, count, decimals_for
from modeltrail.render.layout import Column
from modeltrail.render.text import clean

if TYPE_CHECKING:
    from modeltrail.experiment.sizing import Question, Size
    from modeltrail.stats.estimate import NotEstimable
    from modeltrail.stats.power import Plan

SCHEMA = "modeltrail.power/1"
WORDS = {"one_look": "one look", "always_valid": "any look"}
# How amounts are shown: a factor, and what stands around.
SHOWN: Mapping[str, tuple[float, str, str]] = {
    "usd": (1, "$", ""),
    "us": (1e-6, "", "s"),
    "share": (100, "", "pt"),
}
NAMES = (
    "variant",
    "rule",
    "effect",
    "control_units",
    "variant_units",
    "control_seen",
    "variant_seen",
    "more_units",
    "days",
    "effect_found",
)
Effect = Annotated[
    float | None,
    typer.Option(
        "--mde",
        help="The smallest difference that is to be found: in dollars, microseconds, tokens, a "
        "share such as 0.02, or the outcome's own unit.",
    ),
]


@command
def power(
    context: typer.Context,
    experiment: Annotated[
        str | None,
        typer.Argument(
            metavar="[EXPERIMENT]", help="Whose log tells how much units vary, and how many come."
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="What is compared in that log: cost, cost_per_ok, errors, latency, tokens, "
            "outcome:NAME, or with a cap, as cost:cap=0.25."
        ),
    ] = None,
    mde: Effect = None,
    units: Annotated[
        int | None,
        typer.Option(min=4, help="Tell what so many units of both variants find together."),
    ] = None,
    baseline: Annotated[
        float | None, typer.Option(help="Without a log: the share of control, such as 0.8.")
    ] = None,
    deviation: Annotated[
        float | None,
        typer.Option(help="Without a log: the standard deviation between units of a mean."),
    ] = None,
    calls_per_unit: Annotated[
        float, typer.Option(help="With --baseline: calls of a unit, on average.")
    ] = 1.0,
    design_effect: Annotated[
        float,
        typer.Option(help="With --baseline: variance over that of calls that are independent."),
    ] = 1.0,
    control: Control = None,
    alpha: Alpha = 0.05,
    power: Annotated[
        float, typer.Option(help="The probability with which the difference is to be found.")
    ] = 0.8,
    format: options.FormatOption = "table",
) -> int:
    """
    Tell how many units an experiment needs, or what difference a number of units finds.

    For an interval that is looked at once, and for the one that may be looked at any
    time. Ends with 3 if it cannot be told.
    """
    from modeltrail.experiment.sizing import Question

    asked = Question(mde, units, alpha, power)
    _check(asked)
    given = [experiment, baseline, deviation]
    if sum(each is not None for each in given) != 1:
        raise ConfigurationError("name an experiment, or --baseline, or --deviation: one of them")
    if experiment is None:
        plan = _plan(asked, baseline, deviation, calls_per_unit, design_effect)
        return _answer_by_formula(plan, "score" if baseline is None else "share", asked, format)
    return _answer_from_log(context.obj, experiment, metric, control, asked, format)


def _answer_by_formula(plan: "Plan", unit: str, asked: "Question", format: str) -> int:
    from modeltrail.experiment.sizing import sizes_of

    if asked.effect is None and asked.units is None:
        raise ConfigurationError("ask for something: --mde, or --units")
    return _write(sizes_of(plan, asked), unit, asked, format)


def _answer_from_log(
    db: str | None,
    key: str,
    metric: str | None,
    control: str | None,
    asked: "Question",
    format: str,
) -> int:
    from modeltrail.experiment.own_log import control_of, read_arms, read_units
    from modeltrail.experiment.sizing import sizes_from_log
    from modeltrail.stats.estimate import NotEstimable
    from modeltrail.stats.traffic import traffic

    if metric is None:
        raise ConfigurationError("name what is compared with --metric, such as cost")
    with reading(db) as store:
        arms = read_arms(store, key)
        against = control_of(arms, control)
        compared, rows = read_units(store, key, metric, arms.crossed)
        came = store.arrivals(key)
    found = sizes_from_log(arms, against, rows, traffic(came.first_us, came.last_us), asked)
    if isinstance(found, NotEstimable):
        tell(f"cannot tell: {found.reason}")
        return CANNOT_TELL
    tell_crossed(arms)
    return _write(found, compared.unit_of_measure, asked, format)


def _check(asked: "Question") -> None:
    between("--alpha", asked.alpha, 0, 0.5)
    between("--power", asked.power, asked.alpha, 1)
    if asked.effect == 0:
        raise ConfigurationError("--mde 0 cannot be found by any number of units")


def _plan(
    asked: "Question",
    baseline: float | None,
    deviation: float | None,
    calls_per_unit: float,
    design_effect: float,
) -> "Plan":
    from modeltrail.stats.power import Plan, Spread, share_spread

    if baseline is None:
        assert deviation is not None
        if deviation <= 0:
            raise ConfigurationError("--deviation must be above 0")
        return Plan(
            Spread(deviation**2), Spread(deviation**2), alpha=asked.alpha, power=asked.power
        )
    try:
        before, after = (
            share_spread(share, calls_per_unit=calls_per_unit, design_effect=design_effect)
            for share in (baseline, baseline + (asked.effect or 0))
        )
    except ValueError as error:
        raise ConfigurationError(f"{error}: see --baseline, --mde and --design-effect") from error
    return Plan(before, after, alpha=asked.alpha, power=asked.power)


def _write(sizes: "Sequence[Size]", unit: str, asked: "Question", format: str) -> int:
    rows = [_row(size) for size in sizes]
    if format == "table":
        columns = _columns(sizes, unit)
        cells = [[show(row) for _, show in columns] for row in rows]
        write_table([column for column, _ in columns], cells)
    elif format == "json":
        write_json(SCHEMA, unit_of_measure=unit, alpha=asked.alpha, power=asked.power, rows=rows)
    else:
        write_rows(format, SCHEMA, NAMES, rows)
    for reason in _reasons(sizes):
        tell(reason)
    return _code(sizes)


def _row(size: "Size") -> dict[str, Any]:
    from modeltrail.stats.power import Units

    needed = size.needed if isinstance(size.needed, Units) else (None, None)
    seen = size.seen or (None, None)
    return {
        "variant": size.variant,
        "rule": size.rule,
        "effect": size.effect,
        "control_units": needed[0],
        "variant_units": needed[1],
        "control_seen": seen[0],
        "variant_seen": seen[1],
        "more_units": size.more,
        "days": _number(size.days),
        "effect_found": _number(size.found_now),
    }


def _number(value: "float | NotEstimable | None") -> float | None:
    return value if isinstance(value, int | float) else None


def _columns(sizes: "Sequence[Size]", unit: str) -> "list[tuple[Column, Callable[[Any], str]]]":
    """
    Return the columns that have something to show, and how each shows a row.
    """
    all_columns: list[tuple[str, Column, Callable[[Any], str]]] = [
        ("variant", Column("VARIANT", "label"), lambda row: clean(row["variant"])),
        ("rule", Column("LOOKED AT", "text"), lambda row: WORDS[row["rule"]]),
        ("effect", Column("TO FIND", rank=3), lambda row: _amount(row["effect"], unit)),
        ("effect", Column("CONTROL NEEDS"), lambda row: count(row["control_units"])),
        ("effect", Column("VARIANT NEEDS"), lambda row: count(row["variant_units"])),
        ("control_seen", Column("HAVE", rank=2), _seen),
        ("more_units", Column("TO COME", rank=1), lambda row: count(row["more_units"])),
        ("more_units", Column("DAYS"), _days),
        ("effect_found", Column("FINDS", rank=4), lambda row: _amount(row["effect_found"], unit)),
    ]
    rows = [_row(size) for size in sizes]
    return [
        (column, show)
        for name, column, show in all_columns
        if any(row[name] is not None for row in rows)
    ]


def _seen(row: dict[str, Any]) -> str:
    return f"{count(row['control_seen'])} + {count(row['variant_seen'])}"


def _days(row: dict[str, Any]) -> str:
    return UNKNOWN if row["days"] is None else f"{row['days']:,.1f}"


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return UNKNOWN
    scale, before, after = SHOWN.get(unit, (1, "", ""))
    shown = value * scale
    return f"{before}{shown:,.{decimals_for(abs(shown), 3)}f}{after}"


def _reasons(sizes: "Sequence[Size]") -> list[str]:
    """
    Say once each why something is not told.
    """
    from modeltrail.stats.estimate import NotEstimable

    said = [
        f"{what} not told: {value.reason}"
        for size in sizes
        for what, value in (("units", size.needed), ("days", size.days), ("effect", size.found_now))
        if isinstance(value, NotEstimable)
    ]
    return list(dict.fromkeys(said))


def _code(sizes: "Sequence[Size]") -> int:
    from modeltrail.stats.estimate import NotEstimable

    missing = any(
        isinstance(value, NotEstimable) for size in sizes for value in (size.needed, size.found_now)
    )
    return CANNOT_TELL if missing or not sizes else OK
