"""
What is loaded, and which LiteLLM it goes with: items 1 and 2 of the checklist.
"""

import re
import subprocess
import sys
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
README = ROOT / "integrations" / "litellm" / "README.md"


def test_01_core_loads_no_litellm() -> None:
    """The core, all that it offers and an open trail need no LiteLLM."""
    code = (
        "import sys; sys.modules['litellm'] = None\n"  # whoever imports it fails
        "import modeltrail, modeltrail.integration, modeltrail.testing, modeltrail.trail\n"
        "assert [getattr(modeltrail, name) for name in modeltrail.__all__]\n"
        "with modeltrail.testing.capture_records() as trail:\n"
        "    trail.recorder.event('nothing', {})\n"
        "print([name for name in sys.modules if 'litellm' in name])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "['litellm']\n"


def declared() -> Requirement:
    """Return which versions of LiteLLM are allowed."""
    (found,) = (
        requirement
        for each in requires("modeltrail-litellm") or ()
        if (requirement := Requirement(each)).name == "litellm"
    )
    return found


def test_02_tested_versions_are_stated() -> None:
    """The README names the oldest version that is allowed, and the one of these tests."""
    (stated,) = re.findall(r"Tested with LiteLLM ([\d.]+\d) and ([\d.]+\d)", README.read_text())
    allowed = declared().specifier
    assert all(each in allowed for each in stated)
    (oldest,) = (each.version for each in allowed if each.operator == ">=")
    pinned = re.findall(r"^litellm==(.*)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert [oldest, *pinned] == list(stated)


def test_02_version_of_these_tests_is_allowed() -> None:
    """What is installed here is one of the versions that the package asks for."""
    allowed = declared().specifier
    assert version("litellm") in allowed
    assert "1.106.1" not in allowed
    assert "1.107.0" not in allowed
