"""
`modeltrail compare`: what the variants of an experiment did.
"""

from typing import Annotated, Literal

import typer

from modeltrail.cli.exits import CANNOT_TELL, FINDING, OK, command
from modeltrail.cli.trails import reading
from modeltrail.errors import ConfigurationError

EXIT_OF = {"decided": OK, "undecided": CANNOT_TELL, "invalid": FINDING}


@command
def compare(
    context: typer.Context,
    experiment: Annotated[str, typer.Argument(help="The experiment's key.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="cost|cost_per_ok|latency|tokens|errors|outcome:NAME",
            help="What to compare, repeatable; by default all. cost:cap=0.25 counts dearer calls "
            "as 0.25 dollars, latency:cap=30e6 longer ones as 30 seconds. latency:p95 is a "
            "quantile of the calls: of latency, time_to_first_chunk, cost or tokens.",
        ),
    ] = None,
    by: Annotated[
        Literal["feature"] | None,
        typer.Option(help="Compare in each feature as well, by Benjamini and Hochberg."),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(
            help="The variant to compare with; by default as declared, or the one named control."
        ),
    ] = None,
    primary: Annotated[
        str | None, typer.Option(help="The metric that decides; by default as declared.")
    ] = None,
    guardrail: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=MARGIN",
            help="A metric that must not be worse by more than the margin: in dollars, "
            "microseconds, or a share such as 0.02. Repeatable; by default as declared.",
        ),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VARIANT=SHARE",
            help="Planned share of a variant; give all. By default as declared or logged.",
        ),
    ] = None,
    plan_units: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many units are planned in all variants; by default as declared."
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            help="One less the confidence level; by default as declared, or 0.05.",
            show_default=False,
        ),
    ] = None,
    adjust: Annotated[
        Literal["before", "feature"] | None,
        typer.Option(
            help="Correct differences for what units did before the experiment, or for the "
            "feature of their first call. The adjusted differences decide."
        ),
    ] = None,
    format: Annotated[
        Literal["table", "json", "md", "html"],
        typer.Option(help="How to print it; html is a page with figures, in one file."),
    ] = "table",
) -> int:
    """
    Compare the variants of an experiment: cost, errors, latency, outcomes.

    May be looked at every day: intervals that hold at every look decide. Ends with
    0 if every variant is decided, 3 if not, 1 if a check says that no difference can
    be believed.
    """
    from modeltrail.cli.comparison import write
    from modeltrail.experiment.analysis import Asked, analyse
    from modeltrail.experiment.over_time import over_time
    from modeltrail.experiment.plan import Margin

    asked = Asked(
        control=control,
        metrics=tuple(metric or ()),
        by_feature=by is not None,
        weights=dict(_pair(each, "--weight") for each in weight) if weight else None,
        primary=primary,
        guardrails=tuple(Margin(*_pair(each, "--guardrail")) for each in guardrail or ()),
        plan_units=plan_units,
        alpha=alpha,
        adjust=adjust,
    )
    with reading(context.obj) as store:
        found = analyse(store, experiment, asked)
        courses = over_time(store, found) if format == "html" else []
    write(found, format, courses)
    return EXIT_OF[found.verdict]


def _pair(text: str, option: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        return _named(name), float(number)
    except ValueError as error:
        raise ConfigurationError(f"{option} {text!r} is not NAME=NUMBER") from error


def _named(name: str) -> str:
    if not name:
        raise ValueError("no name")
    return name
