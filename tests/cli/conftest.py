"""
Trails to look at, and the program to look with.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from recording import request, response
from typer.testing import CliRunner, Result

import modeltrail
from modeltrail.__main__ import main
from modeltrail.cli.app import app
from modeltrail.integration import Response
from modeltrail.trail import Trail

# 2026-09-21 14:13:20 UTC.
START_US = 1_790_000_000_000_000
MINUTE_US = 60_000_000
HALF = 500_000


class RateLimitError(Exception):
    """What a provider's client raises."""


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every column of a table be shown, and no colour."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def cli(url: str) -> Callable[..., Result]:
    """Run a command on the trail, in this process."""

    def run(*words: str, db: str = url) -> Result:
        result = CliRunner().invoke(app, ["--db", db, *words], prog_name="modeltrail")
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def typed(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run what was typed, from the arguments to the exit code, in this process."""

    def run(*words: str, db: str = url) -> subprocess.CompletedProcess[str]:
        arguments = ["modeltrail", "--db", db, *words]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(arguments, ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def program(url: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real program on the trail, in a process of its own."""

    def run(*words: str, db: str = url) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "modeltrail", "--db", db, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=dict(os.environ),
        )

    return run


@pytest.fixture
def filled(url: str) -> str:
    """
    Make a trail of three calls: a priced one, an unpriced one, an error.

    gpt-4o-mini costs $0.15 and $0.60 per million tokens, in and out.
    """
    times = iter(START_US + n * MINUTE_US for n in range(3))
    with modeltrail.open(url) as trail:
        trail.recorder._clock_us = lambda: next(times)
        first = request("run-1", trace_id="t-1", tags={"feature": "support", "user": "u-1"})
        trail.recorder.start(first).stop(
            response(latency_us=310_000, time_to_first_chunk_us=50_000)
        )
        second = request("run-2", request_model="house-model", tags={"feature": "support"})
        trail.recorder.start(second).stop(
            Response(usage={"prompt_tokens": 5, "completion_tokens": 2}, latency_us=1_200_000)
        )
        third = request("run-3", tags={"feature": "extract", "experiment": "e", "variant": "B"})
        trail.recorder.start(third).fail(RateLimitError("slow down"), code="429")
    return url


@pytest.fixture
def arms(url: str) -> Iterator[Callable[..., None]]:
    """
    Add an arm of an experiment: one call per unit, its figures 1 and 3 times a base.
    """
    with modeltrail.open(url) as trail:

        def add(variant: str, units: int, *, base: int, errors: int = 0, **more: Any) -> None:
            for number in range(units):
                add_unit(trail, variant, number, base * (1, 3)[number % 2], number < errors, more)
            assert trail.flush(10)

        yield add


def add_unit(
    trail: Trail, variant: str, number: int, base: int, failed: bool, more: dict[str, Any]
) -> None:
    """Let one unit make a call of `base` input tokens, a tenth of it output, `base` ms."""
    unit = f"{variant}-{number}"
    tags = {"experiment": "exp", "variant": variant, "unit_type": "user", "unit": unit}
    tags |= {"propensity_ppm": HALF}
    call = trail.recorder.start(request(unit, tags={**tags, **more}))
    usage = {"prompt_tokens": base, "completion_tokens": base // 10}
    ended = response(usage=usage, latency_us=base * 1000)
    if failed:
        call.fail(RateLimitError(), ended, code="429")
    else:
        call.stop(ended)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[], set[str]]:
    """List what the trail's folder contains."""
    return lambda: {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
