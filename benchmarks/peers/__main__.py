"""
Install the peers, measure them, render the page.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import ingest, overhead, page, results, survival
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.environments import ROOT, install
from benchmarks.peers.progress import tell

RESULTS = Path(__file__).parent / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
MEASUREMENTS: dict[str, Callable[..., dict[str, Any]]] = {
    "survival": survival.run,
    "overhead": overhead.run,
    "ingest": ingest.run,
}


def main() -> int:
    """
    Do what was asked for; a peer that cannot be run is told of in the results, and no failure.
    """
    options = _options()
    COMMANDS[options.command](options)
    return 0


def _install(options: argparse.Namespace) -> None:
    for name in options.only:
        environment = PEERS[name].environment
        if environment is None:
            continue
        tell(f"{name}: installing")
        began = time.monotonic()
        outcome = install(environment)
        tell(f"{name}: {outcome.error or f'pins {outcome.pins}'}, {time.monotonic() - began:.0f} s")


def _measure(options: argparse.Namespace) -> None:
    about = results.about(options.only)
    found = MEASUREMENTS[options.command](options.only, rounds=options.rounds, quick=options.quick)
    results.store(options.out, options.command, {"about": about, **found})


def _render(options: argparse.Namespace) -> None:
    PAGE.write_text(page.render(results.read(options.out)), "utf-8")
    tell(f"wrote {PAGE.relative_to(ROOT)}")


COMMANDS = {"install": _install, "render": _render} | dict.fromkeys(MEASUREMENTS, _measure)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument(
        "--only", type=_names, default=list(PEERS), metavar="NAME[,NAME]", help=", ".join(PEERS)
    )
    parser.add_argument("--rounds", type=int, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="few rounds, wide intervals")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file of results")
    return parser.parse_args()


def _names(text: str) -> Sequence[str]:
    names = text.split(",")
    if unknown := set(names) - PEERS.keys():
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())
