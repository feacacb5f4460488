"""
`modeltrail compare`: what the variants of an experiment did.
"""

from typing import Annotated

import typer

from modeltrail.cli import options
from modeltrail.cli.comparison import columns_for, refusals, rows_of, sentences
from modeltrail.cli.exits import CANNOT_TELL, FINDING, OK, command
from modeltrail.cli.output import write_json, write_table
from modeltrail.cli.trails import reading
from modeltrail.experiment.compare import METHOD, Comparison
from modeltrail.render.text import clean


@command
def compare(
    context: typer.Context,
    experiment: Annotated[str, typer.Argument(help="The experiment's key.")],
    control: Annotated[
        str | None,
        typer.Option(help="The variant to compare with; by default the one named control."),
    ] = None,
    alpha: Annotated[
        float, typer.Option(help="One less the confidence level of the intervals.")
    ] = 0.05,
    format: options.PageFormatOption = "table",
) -> int:
    """
    Compare the variants of an experiment: cost, errors, latency, outcomes.

    Ends with 0 if every metric is decided, 3 if not, 1 if the units did not
    arrive in the planned proportions.
    """
    from modeltrail.experiment.analysis import analyse

    with reading(context.obj) as store:
        found = analyse(store, experiment, control=control, alpha=alpha)
    if format == "json":
        content = found.to_dict()
        write_json(content.pop("schema"), **content)
    else:
        _write_text(found)
    return exit_code(found)


def exit_code(found: Comparison) -> int:
    """
    Return 1 for a comparison that is invalid, 3 for one that decides too little.
    """
    if found.verdict == "invalid":
        return FINDING
    verdicts = [
        verdict
        for metric in found.metrics
        if metric.metric.better
        for verdict in metric.verdicts.values()
    ]
    decided = verdicts and all(verdict in {"better", "worse"} for verdict in verdicts)
    return OK if found.verdict == "valid" and decided else CANNOT_TELL


def _write_text(found: Comparison) -> None:
    _write(sentences(found))
    _write(["", "checks"])
    _write([f"  {each.status:<7}  {each.name:<13}  {each.detail}" for each in found.checks])
    if found.verdict != "invalid":
        _write([""])
        write_table(columns_for(found), rows_of(found))
        _write(refusals(found))
    _write(["", f"method: {METHOD}", _reading(found.alpha)])


def _reading(alpha: float) -> str:
    return (
        f"The {100 * (1 - alpha):.4g}% intervals are for one look: right once, at a number of "
        "units chosen beforehand, not when looked at again and again."
    )


def _write(lines: list[str]) -> None:
    for line in lines:
        print(clean(line))
