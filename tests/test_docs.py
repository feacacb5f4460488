"""
What is not documented does not exist.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import modeltrail.errors
from modeltrail.cli import exits
from modeltrail.errors import ModeltrailError
from modeltrail.interop.formats import FORMATS
from modeltrail.record import CallRecord
from modeltrail.report.causes import CAUSES, NOTHING_FOUND
from modeltrail.storage.dimensions import DIMENSIONS
from modeltrail.storage.migrations.views import AMENDABLE
from modeltrail.storage.rows import COLUMNS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    """
    Return the text of a page.
    """
    return (DOCS / name).read_text("utf-8")


def in_code(text: str) -> set[str]:
    """
    Return what stands between backticks.
    """
    return set(re.findall(r"`([^`\n]+)`", text))


@pytest.mark.parametrize("column", ["seq", *CallRecord.__struct_fields__])
def test_column_is_documented(column: str) -> None:
    """Every column of the record is explained."""
    assert column in in_code(page("reference/record.md"))


@pytest.mark.parametrize(
    "name", [*COLUMNS, *(name for table in COLUMNS.values() for name in table)]
)
def test_table_is_documented(name: str) -> None:
    """Every table and every column of the smaller tables is named."""
    assert name in in_code(page("reference/schema.md")) | in_code(page("reference/record.md"))


def test_environment_variables_are_documented() -> None:
    """Every variable that the code reads stands in the settings."""
    read = {
        name
        for path in (ROOT / "src").rglob("*.py")
        for name in re.findall(r"\"(MODELTRAIL_[A-Z_]+)\"", path.read_text("utf-8"))
    }
    assert read and read <= in_code(page("reference/settings.md"))


def test_errors_are_documented() -> None:
    """Every error says what to do."""
    known = {
        name
        for name, each in vars(modeltrail.errors).items()
        if isinstance(each, type) and issubclass(each, ModeltrailError)
    }
    assert known <= in_code(page("reference/problems.md"))


def test_problems_are_documented() -> None:
    """Every kind of problem that the code counts is explained."""
    counted = {
        kind
        for path in (ROOT / "src").rglob("*.py")
        for kind in re.findall(r"(?:note|_note)\(\s*f?\"([a-z-]+)", path.read_text("utf-8"))
    }
    documented = in_code(page("reference/problems.md"))
    assert len(counted) > 8
    assert {kind for kind in counted if kind not in documented} == set()


def test_dimensions_are_documented() -> None:
    """The page on costs lists what calls can be grouped by, and nothing else."""
    rows = re.findall(r"^\| (`.+?) \|", page("howto/cost.md"), re.MULTILINE)
    assert in_code("\n".join(rows)) == {*DIMENSIONS, "tag.NAME"}


def test_command_line_is_documented_as_it_is(tmp_path: Path) -> None:
    """The reference of the commands is what the program makes of itself.

    Anew: python -m typer modeltrail.cli.app utils docs --name modeltrail --output FILE
    """
    made = tmp_path / "cli.md"
    words = ["modeltrail.cli.app", "utils", "docs", "--name", "modeltrail", "--output", str(made)]
    subprocess.run([sys.executable, "-m", "typer", *words], check=True, capture_output=True)
    assert page("reference/cli.md") == made.read_text("utf-8")


def test_causes_are_documented() -> None:
    """Every cause of a difference between the trail and a bill is explained."""
    documented = in_code(page("howto/reconcile.md"))
    assert {*(cause.name for cause in CAUSES), NOTHING_FOUND, *FORMATS} <= documented


def test_exit_codes_are_documented() -> None:
    """Every exit code of the program is explained."""
    text = page("reference/problems.md")
    codes = {value for name, value in vars(exits).items() if name.isupper() and type(value) is int}
    assert codes and all(f"| {code} |" in text for code in codes)


def test_amendable_columns_are_columns() -> None:
    """Only columns of the record can be amended."""
    assert set(AMENDABLE) <= set(CallRecord.__struct_fields__)


def test_quick_starts_are_short() -> None:
    """A quick start has at most ten lines."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 3
    assert all(len(block.splitlines()) <= 10 for block in blocks)
