"""
Celery without a server: tasks and results go by way of a folder.
"""

from pathlib import Path
from typing import Any


def settings(folder: str) -> dict[str, Any]:
    """
    Return the settings of an application that sends or does tasks.
    """
    paths = {name: Path(folder) / name for name in ("queue", "control", "results")}
    for path in paths.values():
        path.mkdir(exist_ok=True)
    queue = str(paths["queue"])
    return {
        "broker_url": "filesystem://",
        "broker_transport_options": {
            "data_folder_in": queue,
            "data_folder_out": queue,
            "control_folder": str(paths["control"]),
        },
        "result_backend": f"file://{paths['results']}",
        "worker_enable_remote_control": False,
    }
