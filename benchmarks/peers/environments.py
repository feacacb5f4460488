"""
The environments of the peers: one each, since they do not agree on their dependencies.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).parent / "requirements"
ENVIRONMENTS = ROOT / ".venv-peers"
CONSTRAINTS = ROOT / "constraints.txt"
# Which of our own versions a peer is asked to live with, the most first. No more than the
# frameworks: what else we pin would only hold a peer back to an older release.
PINS = {
    "frameworks": re.compile(r"^(langchain-core|langgraph|llama-index-core|litellm)=="),
    "frameworks but LiteLLM": re.compile(r"^(langchain-core|langgraph|llama-index-core)=="),
    "nothing": re.compile(r"^\b$"),
}
# What an installer says may name registries and folders of this machine.
PRIVATE = re.compile(r"\w+://\S+|(?<!\w)/[\w.-]+(/[\w.-]+)+")
TOLD_LINES = 3
TOLD_CHARS = 300


class Installed(NamedTuple):
    """
    How an installation went.

    Attributes:
        pins: How much of our constraints the peer lives with, a name of `PINS`.
        error: Why there is no environment; None if there is one.
    """

    pins: str
    error: str | None


def python_of(environment: str | None) -> Path:
    """
    Return the interpreter of an environment; without a name, the one that runs now.
    """
    if environment is None:
        return Path(sys.executable)
    return ENVIRONMENTS / environment / "bin" / "python"


def installed(environment: str | None) -> Installed:
    """
    Tell how the installation of an environment went.
    """
    if environment is None:
        return Installed("frameworks", None)
    note = _note(environment)
    if not note.exists():
        return Installed("nothing", "not installed")
    return Installed(**json.loads(note.read_text("utf-8")))


def install(environment: str) -> Installed:
    """
    Make an environment anew, as much like our own as its requirements allow.
    """
    shutil.rmtree(ENVIRONMENTS / environment, ignore_errors=True)
    ENVIRONMENTS.mkdir(exist_ok=True)
    made = _uv("venv", "--python", sys.executable, str(ENVIRONMENTS / environment))
    outcome = Installed("nothing", made)
    for pins in PINS if made is None else ():
        outcome = Installed(pins, _install(environment, pins))
        if outcome.error is None:
            break
    _note(environment).write_text(json.dumps(outcome._asdict(), indent=2) + "\n", "utf-8")
    return outcome


def versions(environment: str | None, names: tuple[str, ...]) -> dict[str, str]:
    """
    Return the versions of the named distributions that an environment has.
    """
    path = _packages(environment)
    found = {each.name.lower(): each.version for each in distributions(path=path)}
    return {name: found[name] for name in names if name in found}


def without_places(text: str) -> str:
    """
    Return what a program said last, shortened, without addresses and folders.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return PRIVATE.sub("…", " ".join(lines[-TOLD_LINES:]))[:TOLD_CHARS]


def _note(environment: str) -> Path:
    return ENVIRONMENTS / f"{environment}.json"


def _packages(environment: str | None) -> list[str]:
    if environment is None:
        return sys.path
    return [str(each) for each in (ENVIRONMENTS / environment / "lib").glob("*/site-packages")]


def _install(environment: str, pins: str) -> str | None:
    requirements = REQUIREMENTS / f"{environment}.txt"
    with _constraints(pins) as constraints:
        words = ["--constraint", str(constraints), "--requirements", str(requirements)]
        return _uv("pip", "install", "--python", str(python_of(environment)), *words)


@contextmanager
def _constraints(pins: str) -> Iterator[Path]:
    lines = CONSTRAINTS.read_text("utf-8").splitlines()
    with TemporaryDirectory(prefix="modeltrail-peers-") as folder:
        path = Path(folder) / "constraints.txt"
        path.write_text("\n".join(filter(PINS[pins].match, lines)) + "\n", "utf-8")
        yield path


def _uv(*words: str) -> str | None:
    """
    Run uv and return what it complains of, None if it succeeded.
    """
    done = subprocess.run(
        [sys.executable, "-m", "uv", "--quiet", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else without_places(done.stderr) or "uv failed"
