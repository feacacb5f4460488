"""
`modeltrail route`: which model for which call.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import CANNOT_TELL, FINDING, OK, command, tell
from modeltrail.cli.trails import reading
from modeltrail.errors import ConfigurationError
from modeltrail.ids import now_us

if TYPE_CHECKING:
    from modeltrail.experiment.answers import Source
    from modeltrail.experiment.cheapest import Recommendation
    from modeltrail.experiment.logged import Choices
    from modeltrail.experiment.routing import Frontier

Quality = Annotated[
    str,
    typer.Option(
        metavar="ok|outcome:NAME", help="How good a call was: that it did not fail, or an outcome."
    ),
]
Between = Annotated[
    str,
    typer.Option(help="What is chosen between: model, variant or another dimension of `cost`."),
]
PairBy = Annotated[
    str | None,
    typer.Option(
        metavar="trace|tag.NAME",
        help="What calls to the same question share, if each was answered by all; without it "
        "each call went to one.",
    ),
]
Segment = Annotated[str, typer.Option("--by", help="What a route may depend on; one dimension.")]
Alpha = Annotated[float, typer.Option(help="One less the confidence level of the intervals.")]

route = typer.Typer(no_args_is_help=True, help="Find out which model to use for which call.")


@route.command("frontier")
@command
def frontier(
    context: typer.Context,
    quality: Quality = "ok",
    between: Between = "model",
    pair_by: PairBy = None,
    feature: options.Feature = None,
    experiment: options.Experiment = None,
    since: options.Since = None,
    until: options.Until = None,
    alpha: Alpha = 0.05,
    format: options.ReportFormatOption = "table",
) -> int:
    """
    Show what models cost and how good they are, and which are worth their price.

    Ends with 0 if every model differs from the best one, 3 if that cannot be told.
    """
    from modeltrail.cli.routed import frontier_page
    from modeltrail.cli.worths import write_page
    from modeltrail.experiment.answers import gather
    from modeltrail.experiment.routing import frontier as frontier_of
    from modeltrail.experiment.routing import frontier_unpaired

    source = source_of(between, "feature", quality, pair_by, feature, experiment, since, until)
    check_alpha(alpha)
    with reading(context.obj) as store:
        found = gather(store, source)
    compared = frontier_of if pair_by else frontier_unpaired
    result = found.refusal or compared(found.answers, alpha=alpha)
    write_page(format, frontier_page(source, result, found, alpha))
    return _code_of_frontier(result)


@route.command("what-if")
@command
def what_if(
    context: typer.Context,
    all: Annotated[
        str | None, typer.Option("--all", metavar="VARIANT", help="All calls get this one.")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FEATURE=VARIANT", help="What a feature's calls get, * for all others."
        ),
    ] = None,
    policy_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The same in TOML or JSON; a table of probabilities may stand for a variant.",
        ),
    ] = None,
    quality: Quality = "ok",
    by: Segment = "feature",
    between: Between = "variant",
    experiment: options.Experiment = None,
    since: options.Since = None,
    until: options.Until = None,
    alpha: Alpha = 0.05,
    format: options.ReportFormatOption = "table",
) -> int:
    """
    Tell what another policy would have been worth, by calls whose variants were drawn.

    Ends with 0 if it can be told, 3 if not or only by observation, 1 if the
    propensities are not those with which the calls were made.
    """
    from modeltrail.cli.policies import choices_from
    from modeltrail.cli.routed import what_if_page
    from modeltrail.cli.worths import write_page
    from modeltrail.experiment.answers import read_log
    from modeltrail.experiment.logged import Calls, policy_of
    from modeltrail.experiment.logged import what_if as value_of
    from modeltrail.stats.estimate import NotEstimable

    source = source_of(between, by, quality, None, None, experiment, since, until)
    check_alpha(alpha)
    choices = choices_from(all, policy or (), policy_file)
    with reading(context.obj) as store:
        log = read_log(store, source)
    _check_arms(choices, sorted({call.variant for call in log.quality}), between)
    result = value_of(Calls(log.quality, log.cost), policy_of(choices), alpha=alpha)
    write_page(format, what_if_page(source, result, log, choices, alpha))
    if result.is_invalid:
        return FINDING
    told = not isinstance(result.quality.snips, NotEstimable)
    return OK if told else CANNOT_TELL


@route.command("cheapest")
@command
def cheapest(
    context: typer.Context,
    margin: Annotated[
        float, typer.Option(help="By how much quality may be lower; decide on it beforehand.")
    ],
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What it is not to be worse than, and what stays otherwise; by default the best.",
        ),
    ] = None,
    quality: Quality = "ok",
    by: Segment = "feature",
    between: Between = "model",
    pair_by: PairBy = None,
    experiment: options.Experiment = None,
    since: options.Since = None,
    until: options.Until = None,
    alpha: Alpha = 0.05,
    format: options.ReportFormatOption = "table",
) -> int:
    """
    Find for each feature the cheapest model that is shown to be not worse.

    Ends with 0 if a cheaper one is found for any, 3 if none is shown to be not worse.
    """
    from modeltrail.cli.routed import cheapest_page
    from modeltrail.cli.worths import write_page
    from modeltrail.experiment.answers import gather, read_log
    from modeltrail.experiment.cheapest import cheapest_not_worse
    from modeltrail.experiment.logged import Calls, cheapest_by_log

    source = source_of(between, by, quality, pair_by, None, experiment, since, until)
    with reading(context.obj) as store:
        found = gather(store, source)
        log = None if pair_by else read_log(store, source)
    asked = {"margin": margin, "alpha": alpha}
    result = found.refusal or (
        cheapest_not_worse(found.answers, baseline=baseline, **asked)
        if log is None
        else cheapest_by_log(
            found.answers, Calls(log.quality, log.cost), baseline=baseline, **asked
        )
    )
    if found.shared and by != between:
        tell(
            f"the outcome is one of sessions or units; if these have calls of more than one {by}, "
            "record it of calls or traces"
        )
    write_page(format, cheapest_page(source, result, found, margin, alpha))
    return _code_of_cheapest(result)


def source_of(
    between: str,
    by: str,
    quality: str,
    pair_by: str | None,
    feature: str | None,
    experiment: str | None,
    since: str | None,
    until: str | None,
) -> "Source":
    """
    Return what an answer is asked of.

    Raises:
        ConfigurationError: A time means none.
    """
    import msgspec

    from modeltrail.experiment.answers import Source

    filters = options.within(since, until, now_us())
    filters = msgspec.structs.replace(filters, feature=feature, experiment=experiment)
    return Source(between, by, quality, pair_by, filters)


def check_alpha(alpha: float) -> None:
    """
    Refuse a level that is none.

    Raises:
        ConfigurationError: It is none.
    """
    if not 0 < alpha < 1:
        raise ConfigurationError("alpha must be between 0 and 1")


def _check_arms(choices: "Choices", known: Sequence[str], between: str) -> None:
    asked = {arm for chances in choices.values() for arm, chance in chances.items() if chance}
    if unknown := sorted(asked - set(known)):
        raise ConfigurationError(
            f"no call has the {between} {unknown[0]!r}; choose from {', '.join(known) or 'none'}"
        )


def _code_of_frontier(found: "Frontier | object") -> int:
    from modeltrail.experiment.routing import Frontier
    from modeltrail.stats.estimate import Difference

    if not isinstance(found, Frontier) or found.unplaced:
        return CANNOT_TELL
    gaps = [point.gap for point in found.points if point.gap is not None]
    decided = gaps and all(
        isinstance(gap, Difference) and not gap.interval.lower <= 0 <= gap.interval.upper
        for gap in gaps
    )
    return OK if decided else CANNOT_TELL


def _code_of_cheapest(found: "Recommendation | object") -> int:
    from modeltrail.experiment.cheapest import Recommendation

    if not isinstance(found, Recommendation):
        return CANNOT_TELL
    is_found = any(choice.model != found.baseline for choice in found.choices)
    return OK if is_found else CANNOT_TELL
