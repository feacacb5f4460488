"""
The processes in which peers run: their interpreter, their surroundings, and talking to them.
"""

import json
import os
import select
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from benchmarks.peers.catalogue import Peer
from benchmarks.peers.environments import ROOT, python_of, without_places

# Of the developer's own, nothing that could give a peer another address, key or setting.
FOREIGN = (
    "LANGFUSE_",
    "LANGSMITH_",
    "LANGCHAIN_",
    "LITELLM_",
    "MLFLOW_",
    "MODELTRAIL_",
    "OPENAI_",
    "OPIK_",
    "OTEL_",
    "PHOENIX_",
    "PYTHON",
    "TRACELOOP_",
    "VIRTUAL_ENV",
    "XDG_",
)
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
# Nobody reports home or downloads prices; that is all that differs from the defaults.
HOME_ALONE = {
    "ANONYMIZED_TELEMETRY": "false",
    "DO_NOT_TRACK": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "ERROR",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OPIK_ANALYTICS_ENABLED": "false",
    "OPIK_SENTRY_ENABLE": "false",
    "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    "PHOENIX_TELEMETRY_ENABLED": "false",
    "TRACELOOP_TELEMETRY": "false",
}
ANSWER_TIMEOUT_S = 180
END_TIMEOUT_S = 20


class PeerError(Exception):
    """
    A peer could not be run; the message tells what its process said last.
    """


def reason(error: Exception) -> str:
    """
    Return why something could not be measured, without the places of this machine.
    """
    return str(error) if isinstance(error, PeerError) else without_places(repr(error))


def surroundings(peer: Peer, *, sink: str, folder: Path, raised: bool) -> dict[str, str]:
    """
    Return the environment variables of a peer's process.

    Args:
        sink: Where it sends.
        folder: Where it stores, and its home.
        raised: Whether its queues are raised so that it drops nothing.
    """
    filled = {name: value.format(sink=sink, folder=folder) for name, value in peer.settings.items()}
    own = {"HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    kept = {name: value for name, value in os.environ.items() if not _is_foreign(name)}
    return kept | HOME_ALONE | own | filled | (dict(peer.raised) if raised else {})


def start(
    environment: str | None, *words: str, variables: Mapping[str, str], folder: Path, **streams: Any
) -> subprocess.Popen[str]:
    """
    Start a module of ours in an environment; what it complains of goes to a file of the folder.
    """
    with (folder / "complaints").open("a", encoding="utf-8") as complaints:
        return subprocess.Popen(
            [python_of(environment), "-m", *words],
            env=dict(variables),
            cwd=folder,
            stderr=complaints,
            text=True,
            start_new_session=True,
            **streams,
        )


def end(process: subprocess.Popen[str]) -> None:
    """
    Kill a process and what it has started.
    """
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def complaint(folder: Path) -> str:
    """
    Return what a process of this folder complained of last.
    """
    path = folder / "complaints"
    return without_places(path.read_text("utf-8", "replace")) if path.exists() else ""


class Worker:
    """
    A process that makes calls when it is told to, until it is let go.

    Raises:
        PeerError: It did not come up, or stopped answering.
    """

    def __init__(
        self,
        environment: str | None,
        peer: str,
        way: str,
        *,
        variables: Mapping[str, str],
        folder: Path,
    ) -> None:
        self._folder = folder
        self._process = start(
            environment,
            "benchmarks.peers.worker",
            peer,
            way,
            variables=variables,
            folder=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._read()

    def call(self, calls: int) -> float:
        """
        Let it make so many calls, and return the CPU seconds of the thread that made them.
        """
        return self._ask({"calls": calls})

    def finish(self) -> float:
        """
        Let it deliver what it has, and return its CPU seconds since the calls began.
        """
        return self._ask({"calls": 0})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end(self._process)

    def _ask(self, wish: dict[str, int]) -> float:
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(wish) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise PeerError(complaint(self._folder) or "the process has ended") from error
        return self._read()

    def _read(self) -> float:
        assert self._process.stdout
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_TIMEOUT_S)
        answer = self._process.stdout.readline() if ready else ""
        if not answer:
            raise PeerError(complaint(self._folder) or "the process does not answer")
        return float(answer)


def _is_foreign(name: str) -> bool:
    return name.startswith(FOREIGN) or name.lower() in PROXIES
