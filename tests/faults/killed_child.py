"""
Make twenty calls through a framework's real client, tell of each return, then wait to be killed.

Run as: killed_child.py FRAMEWORK DATABASE_URL PROVIDER_URL MODE
"""

import importlib
import sys
import time
from types import SimpleNamespace

import modeltrail

CALLS = 20


def main(framework: str, url: str, base_url: str, mode: str) -> None:
    """
    Call without flush, close or sleep.
    """
    trail = modeltrail.open(url)
    if mode == "writer-stopped":
        trail._background.writer.stop(60)
    module = importlib.import_module(f"drivers.{framework}")
    with module.driver(trail, SimpleNamespace(base_url=base_url)) as driver:
        for number in range(1, CALLS + 1):
            driver.chat()
            print(number, flush=True)
        time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
