"""
What `modeltrail doctor` looks at. Nothing here makes or changes anything.
"""

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

from modeltrail.cli.trails import key_id_of, reading, shown
from modeltrail.errors import ModeltrailError
from modeltrail.keys import find_keys
from modeltrail.render.figures import count, moment

if TYPE_CHECKING:
    from modeltrail.storage import Store

# Fewer months of partitions than this are worth a word.
FEW_MONTHS = 3
# Our distribution -> the framework's.
INTEGRATIONS = {
    "modeltrail-langchain": "langchain-core",
    "modeltrail-llama-index": "llama-index-core",
    "modeltrail-litellm": "litellm",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What one check has found.

    Attributes:
        detail: What was seen.
        remedy: What to do, if anything.
    """

    check: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str | None = None


def examine(given: str | None) -> Iterator[Finding]:
    """
    Go through all checks of a trail and its surroundings.

    Args:
        given: The trail's URL, as it was given.
    """
    yield _versions()
    try:
        with reading(given) as store:
            found = (_examined(check, store) for check in STORE_CHECKS)
            yield from (finding for finding in found if finding is not None)
    except ModeltrailError as error:
        # Its message says what to do.
        yield Finding("database", "fail", str(error))
    yield from _integrations()


def _examined(check: "StoreCheck", store: "Store") -> Finding | None:
    try:
        return check(store)
    except ModeltrailError:
        raise
    except OSError as error:
        return Finding(check.__name__.strip("_"), "fail", str(error), "see to its permissions")


def _versions() -> Finding:
    return Finding(
        "versions", "ok", f"modeltrail {version('modeltrail')}, Python {platform.python_version()}"
    )


def _database(store: "Store") -> Finding:
    from modeltrail.storage.migrations import HEAD

    name = shown(store.url.render_as_string())
    return Finding("database", "ok", f"{name}, schema {HEAD}")


def _partitions(store: "Store") -> Finding | None:
    ahead = store.months_ahead()
    if ahead is None:
        return None
    detail = f"made for {ahead} months to come"
    if ahead >= FEW_MONTHS:
        return Finding("partitions", "ok", detail)
    remedy = "run: modeltrail --db URL migrate"
    return Finding("partitions", "warn", f"{detail}; later calls share one table", remedy)


def _key(store: "Store") -> Finding:
    remedy = "set MODELTRAIL_KEY or MODELTRAIL_KEY_FILE to the trail's own key"
    known = key_id_of(store)
    try:
        keys = find_keys()
    except ModeltrailError as error:
        return Finding("key", "fail", str(error), remedy)
    if known is None:
        return Finding("key", "ok", "the trail has not been used; its first use decides its key")
    if keys is None:
        return Finding("key", "fail", f"the trail's key {known} is not here", remedy)
    if keys.key_id != known:
        return Finding(
            "key", "fail", f"the trail's key is {known}, the one at hand {keys.key_id}", remedy
        )
    return Finding("key", "ok", f"{known}, the trail's own")


def _spool_folder(store: "Store") -> Finding:
    folder = store.spool_folder()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        remedy = "make it writable or point MODELTRAIL_SPOOL at another folder"
        return Finding("spool_folder", "fail", f"{there} cannot be written", remedy)
    later = "" if there == folder else ", made at the first use"
    return Finding("spool_folder", "ok", f"{folder}{later}")


def _orphaned_spools(store: "Store") -> Finding:
    from modeltrail.storage.spool import orphans

    waiting = 0
    for orphan in orphans(store.spool_folder()):
        orphan.release(remove=False)
        waiting += 1
    if not waiting:
        return Finding("orphaned_spools", "ok", "none")
    detail = f"calls of {count(waiting)} ended processes wait in the spool"
    remedy = "the next modeltrail.open of this trail on this host stores them"
    return Finding("orphaned_spools", "warn", detail, remedy)


def _foreign_spools(store: "Store") -> Finding:
    from modeltrail.storage.spool import foreign

    names = foreign(store.spool_folder())
    if not names:
        return Finding("foreign_spools", "ok", "none")
    remedy = "open the trail once with the version of modeltrail that wrote them"
    return Finding("foreign_spools", "warn", ", ".join(names), remedy)


def _replaced(store: "Store") -> Finding | None:
    names = [path.name for path in store.quarantined()]
    if not names:
        return None
    remedy = "look into it with sqlite3 FILE .recover, then take it away"
    return Finding("replaced", "warn", f"damaged and moved aside: {', '.join(names)}", remedy)


def _calls(store: "Store") -> Finding:
    latest = store.calls(limit=1)
    if not latest:
        remedy = "register a handler in the application; see the tutorial"
        return Finding("calls", "warn", "no call has been stored yet", remedy)
    (everything,) = store.sums([])
    at = moment(latest[0].record.started_at_us)
    return Finding("calls", "ok", f"{count(everything.calls)}, the last one began {at} UTC")


def _unpriced(store: "Store") -> Finding:
    ended_well = [group for group in store.sums(["status"]) if group.key == ("ok",)]
    calls = sum(group.calls for group in ended_well)
    unpriced = sum(group.unpriced for group in ended_well)
    detail = f"{count(unpriced)} of {count(calls)} calls that ended well have no known cost"
    if not unpriced:
        return Finding("unpriced", "ok", detail)
    remedy = "modeltrail cost --by provider,response_model shows which"
    return Finding("unpriced", "warn", f"{detail} ({unpriced / calls:.1%})", remedy)


StoreCheck = Callable[["Store"], Finding | None]
STORE_CHECKS: tuple[StoreCheck, ...] = (
    _database,
    _partitions,
    _replaced,
    _key,
    _spool_folder,
    _orphaned_spools,
    _foreign_spools,
    _calls,
    _unpriced,
)


def _integrations() -> Iterator[Finding]:
    for ours, framework in INTEGRATIONS.items():
        installed, theirs = _version(ours), _version(framework)
        detail = f"{ours} {installed or 'not installed'}, {framework} {theirs or 'not installed'}"
        if theirs and not installed:
            remedy = f"pip install {ours}"
            yield Finding(ours, "warn", f"{detail}: its calls are not recorded", remedy)
        else:
            yield Finding(ours, "ok", detail)


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
