"""
modeltrail: the audit trail of every model call.

Open a trail, register its handler in LangChain, LlamaIndex or LiteLLM, and
each model call leaves one durable, priced, tagged record in SQL storage.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from structlog.typing import Processor, WrappedLogger

from modeltrail import errors
from modeltrail.capture import CapturePolicy
from modeltrail.context import tag
from modeltrail.errors import ModeltrailError
from modeltrail.record import CallRecord, CaptureMode, Durability

if TYPE_CHECKING:
    from modeltrail.trail import Trail

__version__ = "0.1.0"

__all__ = ["CallRecord", "CapturePolicy", "ModeltrailError", "__version__", "errors", "open", "tag"]


def open(
    url: str | None = None,
    *,
    capture: CapturePolicy | CaptureMode = "digest",
    tags: Mapping[str, Any] | None = None,
    processors: Iterable[Processor] = (),
    mirror: WrappedLogger | None = None,
    durability: Durability = "process",
    spool_limit_bytes: int | None = None,
    price_file: str | Path | None = None,
) -> "Trail":
    """
    Open a trail, making it at the first use.

    Example:
        trail = modeltrail.open("sqlite:///calls.db")

    Args:
        url: The database: `sqlite:///FILE` or `postgresql://...`. By default
            `MODELTRAIL_URL`, else `modeltrail.db` in the current folder.
        capture: What is kept of texts: `digest` (the default) keeps keyed
            digests, `metadata` not even those; a `CapturePolicy` decides by
            feature.
        tags: Tags for calls that have none of their own, such as
            `{"environment": "production"}`.
        processors: structlog processors that each record passes before it is
            stored; raise `structlog.DropEvent` to keep one out.
        mirror: A structlog logger that gets each record as a log line, too,
            and once a minute how the trail is doing.
        durability: What a call that has returned survives: `process` (the
            default) any end of the process, at no wait; `power` also a power
            failure, for which each call waits for the disk. On an event loop
            nothing waits: there `await trail.aflush()` gives that promise.
        spool_limit_bytes: How much of calls that are not in the database yet
            each process keeps on its disk, at least 4 MiB. By default
            `MODELTRAIL_SPOOL_LIMIT`, else 1 GiB. Beyond it texts are dropped,
            the oldest first, then calls; each drop is counted in the trail.
        price_file: Prices of your own, in TOML: negotiated rates, discounts,
            models that nobody lists. By default `MODELTRAIL_PRICES`, else the
            published prices alone.

    Raises:
        ConfigurationError: An argument, an environment variable or the key
            cannot be used.
        StoreUnavailableError: The database or the spool cannot be reached.
        SchemaError: The database's schema does not fit this version.
        KeyMismatchError: The trail was made with another key.
    """
    # The one late import: the SQL engine is loaded when a trail is opened.
    from modeltrail.trail import open_trail

    return open_trail(
        url,
        capture=capture,
        tags=tags,
        processors=processors,
        mirror=mirror,
        durability=durability,
        spool_limit_bytes=spool_limit_bytes,
        price_file=price_file,
    )
