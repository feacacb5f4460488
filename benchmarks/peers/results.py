"""
The file of results: a section for each kind of measurement, with all that it depends on.
"""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.peers.catalogue import COMMON, PEERS
from benchmarks.peers.environments import installed, versions
from benchmarks.peers.processes import HOME_ALONE


def about(names: Sequence[str]) -> dict[str, Any]:
    """
    Return what the figures of a section depend on.
    """
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}, {platform.system()}",
        "load": round(os.getloadavg()[0], 1),
        "home_alone": HOME_ALONE,
        "peers": {name: _about_peer(name) for name in names},
    }


def read(path: Path) -> dict[str, Any]:
    """
    Return all sections; none if there is no file yet.
    """
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def store(path: Path, section: str, found: dict[str, Any]) -> None:
    """
    Put a section in place of what it was.
    """
    sections = read(path) | {section: found}
    path.write_text(json.dumps(sections, separators=(",", ":")) + "\n", "utf-8")


def _about_peer(name: str) -> dict[str, Any]:
    peer = PEERS[name]
    outcome = installed(peer.environment)
    return {
        "title": peer.title,
        "versions": versions(peer.environment, peer.distributions),
        "frameworks": versions(peer.environment, COMMON),
        "pins": outcome.pins,
        "error": outcome.error,
        "settings": sorted(peer.settings),
        "raised": dict(peer.raised),
        "kept": "its own SQLite file" if peer.kept else "the sink",
    }
