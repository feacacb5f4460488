"""
Run an example as a reader runs it.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_example(name: str, folder: Path) -> str:
    """
    Run an example in a folder of its own, which is its home, too, and return what it prints.
    """
    ran = subprocess.run(
        [sys.executable, "-m", f"examples.{name}"],
        cwd=folder,
        env={
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "PATH": "/usr/bin:/bin",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
