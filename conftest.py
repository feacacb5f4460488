"""
Run the code of README and docs: what is written there works.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path
from typing import Any

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

# Before any import of litellm: no download of prices.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)$", re.MULTILINE)


def run_console(example: Example) -> str | None:
    """
    Run the commands of a console block and compare what they print, `...` standing for anything.
    """
    parts = COMMAND.split(str(example.parsed))[1:]
    for command, expected in zip(parts[::2], parts[1::2], strict=True):
        words = shlex.split(command)
        assert words[0] == "modeltrail", f"only modeltrail is run here, not {words[0]}"
        ran = subprocess.run(  # noqa: S603 - the commands of our own pages
            [sys.executable, "-m", *words], capture_output=True, text=True, timeout=60, check=False
        )
        wanted = expected.removeprefix("\n")
        if wanted.strip() and not OutputChecker().check_output(wanted, ran.stdout, ELLIPSIS):
            return f"{command}\nexpected:\n{wanted}\ngot:\n{ran.stdout}{ran.stderr}"
        if ran.returncode not in (0, 3):
            return f"{command} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}"
    return None


def parse_console(document: Document) -> Iterator[Region]:
    """
    Find the console blocks of a page.
    """
    for match in CONSOLE.finditer(document.text):
        yield Region(match.start(), match.end(), match[1], run_console)


def set_up(namespace: dict[str, Any]) -> None:
    """
    Give a page an empty folder, a home and a provider in place of the real one.

    The code of the docs is what one writes with a key of one's own; the
    variables that all three frameworks know point it to 127.0.0.1.
    """
    import modeltrail
    from modeltrail.testing import Answer, LocalProvider

    # What a page assigns must not tag the calls of other tests.
    tags = modeltrail.tag().__enter__()
    patch = pytest.MonkeyPatch()
    folder = Path(str(namespace.setdefault("__tmp__", _temporary_folder())))
    provider = LocalProvider(lambda _: Answer(text="Eight.")).start()
    patch.chdir(folder)
    patch.setenv("HOME", str(folder))
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        patch.setenv(name, provider.base_url)
    patch.setenv("OPENAI_API_KEY", "sk-local-provider-needs-none")
    for name in ("MODELTRAIL_URL", "MODELTRAIL_KEY", "MODELTRAIL_KEY_FILE", "XDG_CONFIG_HOME"):
        patch.delenv(name, raising=False)
    namespace["__undo__"] = (tags, patch, provider)


def tear_down(namespace: dict[str, Any]) -> None:
    """
    Close what a page has left open.
    """
    from modeltrail.trail import close_all

    close_all()
    tags, patch, provider = namespace["__undo__"]
    tags.__exit__(None, None, None)
    patch.undo()
    provider.stop()


def _temporary_folder() -> str:
    import tempfile

    return tempfile.mkdtemp(prefix="modeltrail-docs-")


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser(), parse_console],
    patterns=["README.md", "docs/*.md", "docs/*/*.md", "integrations/*/README.md"],
    excludes=["docs/reference/cli.md"],  # made by the program itself
    setup=set_up,
    teardown=tear_down,
).pytest()
