"""
Imports, each in an interpreter of its own.

The bytecode is there already, as after any installation and first start: it is
kept in a folder of our own, whatever the environment says about writing it.
"""

import os
import subprocess
import sys
from tempfile import TemporaryDirectory

from benchmarks.report import Row, time_row
from benchmarks.timing import rounds_for

# What an application that uses LangChain has loaded in any case; structlog is
# what our handler would load first, so it is timed on the way.
MODULES = ("langchain_core.language_models.chat_models", "structlog", "modeltrail_langchain")
CHILD = """
import importlib, sys, time
for module in sys.argv[1:]:
    began = time.process_time()
    importlib.import_module(module)
    print(time.process_time() - began)
"""


def imports(*, quick: bool) -> list[Row]:
    """
    Measure what importing our handler adds, and how much of it is structlog.
    """
    with TemporaryDirectory(prefix="modeltrail-bench-") as bytecode:
        _import(bytecode)  # compiles it
        times = [_import(bytecode) for _ in range(rounds_for(13, quick=quick))]
    structlog = [second for _, second, _ in times]
    ours = [second + third for _, second, third in times]
    what = "import modeltrail_langchain beyond langchain_core"
    return [time_row("imports", what, ours, 0.3, unit="s", structlog=structlog)]


def _import(bytecode: str) -> list[float]:
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *MODULES],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return [float(line) for line in done.stdout.split()]
