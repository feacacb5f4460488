"""
The benchmarks run; what they find is for `make bench`, not for a test.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_benchmarks_give_a_verdict_on_each_gate() -> None:
    """The harness measures, judges by the gates and ends well whatever it found."""
    words = ["--quick", "--only", "invocation,digest", "--format", "json"]
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    rows = json.loads(ran.stdout)["rows"]
    assert [row["gate"] for row in rows] == [40, 15]
    assert all(row["verdict"] for row in rows)
