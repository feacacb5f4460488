"""
`modeltrail ab`: how large an experiment must be, and whether it can be trusted.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import CANNOT_TELL, FINDING, OK, command, tell
from modeltrail.cli.output import write_json, write_rows, write_table
from modeltrail.cli.trails import reading
from modeltrail.errors import ConfigurationError
from modeltrail.render.figures import count, percent
from modeltrail.render.layout import Column
from modeltrail.render.text import clean

if TYPE_CHECKING:
    from modeltrail.experiment.own_log import Arms
    from modeltrail.experiment.trust import FalseAlarms
    from modeltrail.stats.balance import SampleRatio

SRM = "modeltrail.sample-ratio/1"
CHECK = "modeltrail.false-alarms/1"
# Of the always-valid interval, if nobody says how often it is looked at.
DEFAULT_LOOKS = 20
SRM_NAMES = ("variant", "units", "expected", "planned_share")
SRM_COLUMNS = (
    Column("VARIANT", "label"),
    Column("UNITS"),
    Column("EXPECTED"),
    Column("SHARE", rank=1),
    Column("PLANNED"),
)
CHECK_NAMES = (
    "variant",
    "n_units",
    "repetitions",
    "refused",
    "alarms",
    "rate",
    "rate_lower",
    "rate_upper",
    "alpha",
    "kept",
)
CHECK_COLUMNS = (
    Column("VARIANT", "label"),
    Column("UNITS", rank=2),
    Column("REPEATED", rank=1),
    Column("FALSE ALARMS"),
    Column("RATE"),
    Column("99% INTERVAL", "text"),
    Column("PROMISED"),
    Column("KEPT", "text"),
)

ab = typer.Typer(
    no_args_is_help=True, help="Plan an experiment, and check whether it can be trusted."
)

Key = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="The experiment's key.")]
Metric = Annotated[
    str,
    typer.Option(
        help="What is compared: cost, cost_per_ok, errors, latency, tokens, outcome:NAME, or "
        "with a cap, as cost:cap=0.25."
    ),
]
Control = Annotated[
    str | None,
    typer.Option(
        help="The variant that others are compared with; by default the declared one, or the one "
        "named control."
    ),
]
Alpha = Annotated[float, typer.Option(help="One less the confidence level of the intervals.")]


@ab.command()
@command
def srm(context: typer.Context, experiment: Key, format: options.FormatOption = "table") -> int:
    """
    Check whether the units arrived in the planned proportions.

    Two tests of it: chi-squared, for one look, and an e-value that may be looked at
    after every unit. Ends with 1 on a mismatch (p < .001, e >= 100, or a unit in a
    variant that was not planned), with 3 if no plan is known.
    """
    from modeltrail.experiment.own_log import read_arms
    from modeltrail.stats.balance import sample_ratio
    from modeltrail.stats.estimate import NotEstimable

    with reading(context.obj) as store:
        arms = read_arms(store, experiment)
    if arms.weights is None:
        tell(
            "cannot tell: the planned shares are not known (then declare the experiment), or have "
            "changed on the way (then modeltrail compare checks each phase by itself)"
        )
        return CANNOT_TELL
    found = sample_ratio(arms.counts, arms.weights)
    if isinstance(found, NotEstimable):
        tell(f"cannot tell: {found.reason}")
        return CANNOT_TELL
    _write_ratio(experiment, arms, found, format)
    return FINDING if found.alarm else OK


def _write_ratio(experiment: str, arms: "Arms", found: "SampleRatio", format: str) -> None:
    rows = [_ratio_row(arms, found, name) for name in arms.counts]
    if format == "table":
        write_table(SRM_COLUMNS, [_ratio_cells(row, found.n_units) for row in rows])
        verdict = "MISMATCH" if found.alarm else "as planned"
        print(f"\n{verdict}: chi-squared {found.chi2:.4g} (p = {found.p:.2g}), e-value {_e(found)}")
    elif format == "json":
        write_json(
            SRM,
            experiment=experiment,
            rows=rows,
            chi2=found.chi2,
            dof=found.dof,
            p=found.p,
            log_e_value=found.log_e_value,
            unplanned=found.unplanned,
            crossed=len(arms.crossed),
            alarm=found.alarm,
        )
    else:
        write_rows(format, SRM, SRM_NAMES, rows)
    if found.alarm:
        tell("units were lost or misrouted on the way: no difference can be believed")
    tell_crossed(arms)


def _ratio_row(arms: "Arms", found: "SampleRatio", name: str) -> dict[str, Any]:
    planned = arms.shares.get(name, 0.0)
    return {
        "variant": name,
        "units": arms.counts[name],
        "expected": planned * found.n_units,
        "planned_share": planned,
    }


def _ratio_cells(row: dict[str, Any], n_units: int) -> list[str]:
    return [
        clean(row["variant"]),
        count(row["units"]),
        f"{row['expected']:,.1f}",
        percent(row["units"] / n_units if n_units else None),
        percent(row["planned_share"]),
    ]


def _e(found: "SampleRatio") -> str:
    # As a power of ten: it may be too large for a float.
    exponent = found.log_e_value / 2.302585092994046
    return f"{10**exponent:.2g}" if abs(exponent) < 4 else f"1e{exponent:+.0f}"


def tell_crossed(arms: "Arms") -> None:
    """
    Tell how many units are in no figure, since they were seen in two variants.
    """
    if arms.crossed:
        tell(f"{count(len(arms.crossed))} units were in more than one variant: left out")


def between(name: str, value: float, least: float, most: float) -> None:
    """
    Refuse a number that is not between two others, both excluded.

    Raises:
        ConfigurationError: It is not.
    """
    if not least < value < most:
        raise ConfigurationError(f"{name} must lie between {least:g} and {most:g}, not {value:g}")


@ab.command()
@command
def check(
    context: typer.Context,
    experiment: Key,
    metric: Metric,
    control: Control = None,
    alpha: Alpha = 0.05,
    repetitions: Annotated[
        int, typer.Option(min=100, help="How often the units are assigned anew.")
    ] = 500,
    seed: Annotated[int, typer.Option(help="Another seed draws other assignments.")] = 0,
    method: Annotated[
        Literal["one-look", "always-valid"],
        typer.Option(help="Which interval: always-valid is the one that decides in compare."),
    ] = "one-look",
    looks: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default=False,
            help="At how many numbers of units it is looked at; by default 1, or 20 for "
            "always-valid. A difference at any of them is an alarm.",
        ),
    ] = None,
    format: options.FormatOption = "table",
) -> int:
    """
    Measure on this log how often a difference would be claimed where there is none.

    Assigns the units anew by chance, many times, and counts the intervals that exclude
    0. Ends with 1 if the promised rate, alpha, is not in the 99% interval of the
    measured one (for always-valid, which promises at most alpha: if it is below it);
    with 3 if intervals cannot be made.
    """
    from modeltrail.experiment.own_log import control_of, read_arms, read_units
    from modeltrail.experiment.trust import Method, false_alarms
    from modeltrail.stats.estimate import NotEstimable

    held = method == "always-valid"
    between("--alpha", alpha, 0, 0.5 if held else 1)
    times = looks or (DEFAULT_LOOKS if held else 1)
    with reading(context.obj) as store:
        arms = read_arms(store, experiment)
        against = control_of(arms, control)
        asked, units = read_units(store, experiment, metric, arms.crossed)
    is_share = asked.unit_of_measure == "share"
    others = [name for name in arms.shares if name != against]
    found: dict[str, FalseAlarms] = {}
    with _progress(repetitions * len(others)) as advance:
        for variant in others:
            both = [unit for unit in units if unit.variant in {against, variant}]
            measured = false_alarms(
                both,
                arms.treated(against, variant),
                alpha=alpha,
                repetitions=repetitions,
                seed=seed,
                method=Method(held, times, arms.pair_units(against, variant), is_share),
                progress=advance,
            )
            if isinstance(measured, NotEstimable):
                tell(f"cannot tell of {variant}: {measured.reason}")
                return CANNOT_TELL
            found[variant] = measured
    if not found:
        tell(f"cannot tell: {against} is the only variant")
        return CANNOT_TELL
    # What was there before there was a choice has no name in JSON.
    chosen = {"method": method, "looks": times} if held or times > 1 else {}
    _write_alarms(experiment, metric, found, format, chosen)
    tell_crossed(arms)
    return OK if all(each.kept for each in found.values()) else FINDING


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """
    Show on the terminal, and nowhere else, how much is done.
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("assigning anew", total=total)
        yield lambda _: shown.advance(task)


def _write_alarms(
    experiment: str,
    metric: str,
    found: "dict[str, FalseAlarms]",
    format: str,
    chosen: dict[str, Any],
) -> None:
    rows = [_alarms_row(variant, each) for variant, each in found.items()]
    if format == "table":
        write_table(CHECK_COLUMNS, [_alarms_cells(row) for row in rows])
    elif format == "json":
        write_json(CHECK, experiment=experiment, metric=metric, **chosen, rows=rows)
    else:
        write_rows(format, CHECK, CHECK_NAMES, rows)
    for variant, each in found.items():
        if not each.kept:
            more = "more" if each.rate > each.alpha else "fewer"
            tell(f"{variant}: {more} false alarms than promised; do not trust its intervals")


def _alarms_row(variant: str, found: "FalseAlarms") -> dict[str, Any]:
    lower, upper = found.rate_interval
    return {
        "variant": variant,
        "n_units": found.n_units,
        "repetitions": found.repetitions,
        "refused": found.refused,
        "alarms": found.alarms,
        "rate": found.rate,
        "rate_lower": lower,
        "rate_upper": upper,
        "alpha": found.alpha,
        "kept": found.kept,
    }


def _alarms_cells(row: dict[str, Any]) -> list[str]:
    return [
        clean(row["variant"]),
        count(row["n_units"]),
        count(row["repetitions"]),
        count(row["alarms"]),
        percent(row["rate"]),
        f"{percent(row['rate_lower'])} to {percent(row['rate_upper'])}",
        percent(row["alpha"]),
        "yes" if row["kept"] else "NO",
    ]
