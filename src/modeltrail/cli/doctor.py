"""
`modeltrail doctor`: is everything as it must be?
"""

from dataclasses import asdict

import typer

from modeltrail.cli import options
from modeltrail.cli.exits import FINDING, OK, command
from modeltrail.cli.output import write_json
from modeltrail.render.text import clean

SCHEMA = "modeltrail.doctor/1"


@command
def doctor(context: typer.Context, format: options.PageFormatOption = "table") -> int:
    """
    Check the trail, its key and spool, and the integrations; changes nothing.
    """
    from modeltrail.cli.checks import examine

    findings = list(examine(context.obj))
    if format == "json":
        write_json(SCHEMA, rows=[asdict(finding) for finding in findings])
    else:
        for finding in findings:
            print(f"{finding.status:<4}  {finding.check:<22}  {clean(finding.detail)}")
            if finding.remedy:
                print(f"{'':<4}  {'':<22}  -> {clean(finding.remedy)}")
    return FINDING if any(finding.status == "fail" for finding in findings) else OK
