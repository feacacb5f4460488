"""
`modeltrail route curve`: whether a score tells which calls need the strong model.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import CANNOT_TELL, OK, command
from modeltrail.cli.route import Alpha, Between, Quality, check_alpha, source_of
from modeltrail.cli.trails import reading

if TYPE_CHECKING:
    from modeltrail.experiment.scored import Scored


@command
def curve(
    context: typer.Context,
    score: Annotated[
        str,
        typer.Option(
            metavar="tag.NAME|outcome:NAME",
            help="The router's score of a question: the higher, the sooner it asks the strong "
            "model.",
        ),
    ],
    pair_by: Annotated[
        str,
        typer.Option(metavar="trace|tag.NAME", help="What calls to the same question share."),
    ],
    strong: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The strong model; by default the better of two."),
    ] = None,
    weak: Annotated[
        str | None, typer.Option(metavar="NAME", help="The weak model; by default the other one.")
    ] = None,
    quality: Quality = "ok",
    between: Between = "model",
    feature: options.Feature = None,
    experiment: options.Experiment = None,
    since: options.Since = None,
    until: options.Until = None,
    alpha: Alpha = 0.05,
    format: options.ReportFormatOption = "table",
) -> int:
    """
    Judge a router's score by questions that a strong and a weak model have answered.

    Tells what share of calls to the strong model recovers how much of its gain (CPT), and
    the average (APGR). Ends with 0 if that differs from drawing lots, 3 if it cannot be told.
    """
    from modeltrail.cli.curves import curve_page
    from modeltrail.cli.worths import write_page
    from modeltrail.experiment.scored import scored

    source = source_of(between, "feature", quality, pair_by, feature, experiment, since, until)
    check_alpha(alpha)
    with reading(context.obj) as store:
        found = scored(store, source, score, strong, weak, alpha)
    write_page(format, curve_page(source, score, found, alpha))
    return _code_of(found)


def _code_of(found: "Scored") -> int:
    from modeltrail.stats.callperformance import Curve

    if not isinstance(found.curve, Curve):
        return CANNOT_TELL
    lower, upper = found.curve.apgr_interval
    return CANNOT_TELL if lower <= 0.5 <= upper else OK
