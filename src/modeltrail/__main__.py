"""
The program: `modeltrail`, or `python -m modeltrail`.
"""

import sys

from modeltrail.errors import MissingExtraError

USAGE = 2


def main() -> None:
    """
    Run the command line, or say what it needs.
    """
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        sys.stderr.write(f"{MissingExtraError('cli', 'the command line')}\n")
        raise SystemExit(USAGE) from None
    from modeltrail.cli.app import run

    run()


if __name__ == "__main__":
    main()
