"""
Where published prices come from: those that come with genai-prices, or newer ones of its makers.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.request import urlopen

from modeltrail.errors import ConfigurationError

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot

# What `genai_prices.UpdatePrices` reads.
URL = (
    "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main/prices/new_data/v2/"
    "data.json"
)
TIMEOUT_S = 30.0


class Published(NamedTuple):
    """
    Published prices.

    Attributes:
        name: What stands in the ids of these prices.
    """

    name: str
    snapshot: "DataSnapshot"


def path(environ: Mapping[str, str] = os.environ) -> Path:
    """
    Return the file of newer prices, which need not be there.
    """
    if given := environ.get("MODELTRAIL_PRICE_DATA"):
        return Path(given)
    home = Path(environ.get("HOME", "~")).expanduser()
    base = environ.get("XDG_DATA_HOME") or home / ".local" / "share"
    return Path(base) / "modeltrail" / "genai-prices.json"


_in_force: Published | None = None


def in_force() -> Published:
    """
    Return the prices that `use` has chosen, which it does now if it has not been called.

    Raises:
        ConfigurationError: The file of newer prices is damaged.
    """
    return _in_force or use()


def use(environ: Mapping[str, str] = os.environ) -> Published:
    """
    Choose the file's prices if there is one, else those of the package.

    Raises:
        ConfigurationError: The file is damaged.
    """
    global _in_force  # noqa: PLW0603 - of a process, like the file
    _in_force = _newer(file) if (file := path(environ)).exists() else _bundled()
    return _in_force


def fetch(url: str = URL) -> bytes:
    """
    Return prices as they are published now.

    Raises:
        ConfigurationError: They cannot be reached, or are no prices.
    """
    if not url.startswith(("https://", "http://")):
        raise ConfigurationError(f"{url} is no address of prices; give one of the web")
    try:
        with urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - of the web, see above
            raw: bytes = answer.read()
    except OSError as error:
        raise ConfigurationError(f"no prices can be had from {url}: {error}") from error
    _snapshot(raw, url)
    return raw


def keep(raw: bytes, file: Path) -> None:
    """
    Put newer prices in place, the whole file at once.

    Raises:
        OSError: It cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
        part.write(raw)
    Path(part.name).chmod(0o644)
    Path(part.name).replace(file)


@lru_cache(maxsize=1)
def _bundled() -> Published:
    from genai_prices import __version__
    from genai_prices.data_snapshot import get_snapshot

    return Published(__version__, get_snapshot())


def _newer(file: Path) -> Published:
    raw, changed = file.read_bytes(), file.stat().st_mtime
    day = datetime.fromtimestamp(changed, UTC).date()
    name = f"{day.isoformat()}.{hashlib.sha256(raw).hexdigest()[:8]}"
    return Published(name, _snapshot(raw, str(file)))


def _snapshot(raw: bytes, source: str) -> "DataSnapshot":
    from genai_prices.data_snapshot import DataSnapshot

    # As `genai_prices.UpdatePrices.fetch` reads them; there is no public way from a file.
    from genai_prices.types import _providers_from_raw

    try:
        providers = _providers_from_raw(json.loads(raw))
        if not providers:
            raise ValueError("there are none")
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(
            f"the prices in {source} cannot be read: {reason}; run `modeltrail prices refresh`, "
            "or remove the file to use the prices that came with the package"
        ) from error
    return DataSnapshot(providers, from_auto_update=True)
