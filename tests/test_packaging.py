"""
What is built can be installed and used as the README says.
"""

import re
import shutil
import subprocess
import sys
from importlib.metadata import requires, version
from pathlib import Path

import pytest

import modeltrail
from modeltrail.testing import Answer, LocalProvider

ROOT = Path(__file__).parents[1]
SOURCES = (
    ROOT,
    *(ROOT / "integrations" / name for name in ("langchain", "llama_index", "litellm")),
)
UV = Path(sys.executable).with_name("uv")


def run(*words: object, **options: object) -> str:
    """
    Run a program and return what it printed.
    """
    ran = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, **options
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_version_is_that_of_the_distribution() -> None:
    """The version stands in two places, equal."""
    assert modeltrail.__version__ == version("modeltrail")


def test_core_depends_on_little() -> None:
    """No framework, no web, no command line and no SciPy in the core."""
    core = {
        re.split(r"[<>=!\[;]", each)[0]
        for each in requires("modeltrail") or ()
        if "extra" not in each
    }
    assert core == {
        "alembic",
        "cryptography",
        "genai-prices",
        "msgspec",
        "sqlalchemy",
        "sqlmodel",
        "structlog",
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_wheels_install_and_quick_starts_work(tmp_path: Path) -> None:
    """The four wheels, installed from a folder into a fresh environment, run the quick starts."""
    wheels = tmp_path / "wheels"
    for source in SOURCES:
        copy = shutil.copytree(
            source, tmp_path / "build" / source.name, ignore=shutil.ignore_patterns(".*", "site")
        )
        run(UV, "build", "--wheel", "--quiet", "--no-sources", "--out-dir", wheels, copy)
    assert len(list(wheels.glob("*.whl"))) == 4
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(
        *(UV, "pip", "install", "--quiet", "--python", python, "--find-links", wheels),
        *("--constraint", ROOT / "constraints.txt"),
        *("modeltrail[all]", "modeltrail-langchain", "modeltrail-llama-index"),
        *("modeltrail-litellm", "langchain-openai", "llama-index-llms-openai"),
    )
    readme = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    with LocalProvider(lambda _: Answer(text="Eight.")) as provider:
        environ = {
            "HOME": str(tmp_path),
            "PATH": "/usr/bin:/bin",
            "OPENAI_API_KEY": "sk-local-provider-needs-none",
            "OPENAI_BASE_URL": provider.base_url,
            "OPENAI_API_BASE": provider.base_url,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        for block in blocks:
            run(python, "-c", block, cwd=tmp_path, env=environ)
        assert len(provider.requests) == len(blocks) == 3
    program = python.with_name("modeltrail")
    listed = run(
        *(program, "--db", "sqlite:///calls.db", "calls", "list", "--format", "jsonl"),
        cwd=tmp_path,
        env=environ,
    )
    assert len(listed.splitlines()) == 3
