"""
The program's commands, put together.
"""

import io
import sys
from typing import Annotated, Protocol, runtime_checkable

import typer

from modeltrail import __version__
from modeltrail.cli.ab import ab
from modeltrail.cli.ab_power import power
from modeltrail.cli.calls import calls
from modeltrail.cli.compare import compare
from modeltrail.cli.cost import cost
from modeltrail.cli.doctor import doctor
from modeltrail.cli.exits import INTERRUPTED, OK, tell
from modeltrail.cli.export import export
from modeltrail.cli.forecast import forecast
from modeltrail.cli.importing import importing
from modeltrail.cli.importing_outcomes import import_outcomes
from modeltrail.cli.migrate import migrate
from modeltrail.cli.prices import prices
from modeltrail.cli.reconcile import reconcile
from modeltrail.cli.regressions import regressions
from modeltrail.cli.repricing import diff, recompute, refresh, show
from modeltrail.cli.route import route
from modeltrail.cli.route_curve import curve
from modeltrail.cli.spikes import spikes
from modeltrail.cli.top import top
from modeltrail.cli.why import why


@runtime_checkable
class UsageProblem(Protocol):
    """
    What typer raises when an option, an argument or a command does not fit.
    """

    exit_code: int

    def format_message(self) -> str:
        """Say it in one line."""


LOOK = "Look"
DECIDE = "Decide"
SET_UP = "Set up"

app = typer.Typer(
    name="modeltrail",
    help="The audit trail of every model call.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(calls, name="calls", rich_help_panel=LOOK)
app.add_typer(cost, name="cost", rich_help_panel=LOOK)
cost.command()(why)
for each in (show, diff, recompute, refresh):
    prices.command()(each)
cost.command()(forecast)
app.command(rich_help_panel=LOOK)(top)
app.add_typer(prices, name="prices", rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK)(spikes)
app.command(rich_help_panel=LOOK)(reconcile)
app.add_typer(export, name="export", rich_help_panel=LOOK)
app.command(rich_help_panel=LOOK)(regressions)
app.command(rich_help_panel=DECIDE)(compare)
ab.command()(power)
app.add_typer(ab, name="ab", rich_help_panel=DECIDE)
route.command()(curve)
app.add_typer(route, name="route", rich_help_panel=DECIDE)
importing.command("outcomes")(import_outcomes)
app.add_typer(importing, name="import", rich_help_panel=SET_UP)
app.command(rich_help_panel=SET_UP)(doctor)
app.command(rich_help_panel=SET_UP)(migrate)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modeltrail {__version__}")
        raise typer.Exit


@app.callback()
def choose_trail(
    context: typer.Context,
    db: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="MODELTRAIL_URL",
            help="The trail: sqlite:///FILE, postgresql://HOST/NAME, or a file that exists. "
            "By default modeltrail.db in the current folder.",
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback has answered
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """
    The audit trail of every model call.
    """
    context.obj = db


def run() -> None:
    """
    Run the program; what it prints is UTF-8 whatever the locale.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    raise SystemExit(_code_of_run())


def _code_of_run() -> int:
    try:
        return int(app(prog_name="modeltrail", standalone_mode=False) or OK)
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        if not isinstance(error, UsageProblem):
            raise
        # Empty where a group without a command has shown its help.
        if message := error.format_message():
            tell(f"error: {message.rstrip('.')}; see --help")
        return error.exit_code
