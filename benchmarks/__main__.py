"""
Run the benchmarks and print their table.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks import report
from benchmarks.catalogue import BENCHMARKS, run
from benchmarks.report import Row

# No downloads, no tracing, and no key of the developer's own.
SETTINGS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "MODELTRAIL_KEY": "02" * 32,
}
FORMATS = {"table": report.as_table, "json": report.as_json}


def main() -> int:
    """
    Run what was asked for; 1 if a benchmark could not be run, whatever it would have said.
    """
    options = _options()
    os.environ.update(SETTINGS)
    os.environ.pop("MODELTRAIL_SPOOL", None)
    rows: list[Row] = []
    failed = False
    for name in options.only:
        try:
            rows += _run(name, quick=options.quick)
        except Exception as error:
            failed = True
            _tell(f"{name}: could not be run: {error!r}")
    print(FORMATS[options.format](rows, report.surroundings()))
    return 1 if failed else 0


def _run(name: str, *, quick: bool) -> list[Row]:
    began = time.monotonic()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        rows = alone.submit(run, name, quick=quick).result()
    _tell(f"{name}: {time.monotonic() - began:.0f} s")
    return rows


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, wider intervals")
    parser.add_argument(
        "--only",
        type=_names,
        default=list(BENCHMARKS),
        metavar="NAME[,NAME]",
        help=", ".join(BENCHMARKS),
    )
    parser.add_argument("--format", choices=FORMATS, default="table")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - BENCHMARKS.keys():
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    sys.exit(main())
