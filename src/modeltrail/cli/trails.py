"""
The trail that a command works on: made or changed only where that is its purpose.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modeltrail.errors import ConfigurationError, KeyMismatchError
from modeltrail.keys import Keys, find_keys

if TYPE_CHECKING:
    from modeltrail.storage import Store


def url_of(given: str | None) -> str:
    """
    Return the URL of the trail that was asked for; a file's path will do.
    """
    from modeltrail.trail import DEFAULT_URL

    if given is None:
        return DEFAULT_URL
    is_file = "://" not in given and Path(given).is_file()
    return f"sqlite:///{Path(given).absolute()}" if is_file else given


def shown(url: str) -> str:
    """
    Return a URL as it may be shown: without a password, and without a driver.
    """
    from modeltrail.storage.engine import parse_url

    parsed = parse_url(url)
    plain = parsed.set(drivername=parsed.get_backend_name())
    return plain.render_as_string(hide_password=True)


@contextmanager
def reading(given: str | None) -> "Iterator[Store]":
    """
    Open a trail for reading, and close it.
    """
    from modeltrail.storage import Store

    store = Store.open(url_of(given), create=False)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def amending(given: str | None) -> "Iterator[Store]":
    """
    Open a trail that is there, for reading and appending, and close it.
    """
    from modeltrail.storage import Store

    with reading(given):
        pass  # or it would be made
    store = Store.open(url_of(given))
    try:
        yield store
    finally:
        store.close()


@contextmanager
def appending(given: str | None, keys: Keys) -> "Iterator[Store]":
    """
    Open a trail for appending as `modeltrail.open` does, made if it is not there, and close it.

    Raises:
        KeyMismatchError: The key is another trail's.
    """
    from modeltrail.storage import Store
    from modeltrail.trail import check_key

    store = Store.open(url_of(given))
    try:
        check_key(store, keys)
        yield store
    finally:
        store.close()


def key_id_of(store: "Store") -> str | None:
    """
    Return the id of the key that a trail was made with, None before its first use.
    """
    from modeltrail.storage.rows import CREATED_ID

    created = store.event_detail(CREATED_ID)
    return None if created is None else str(msgspec.json.decode(created)["key_id"])


def ref_of(store: "Store", person: str | None) -> str | None:
    """
    Return the reference under which a trail keeps a person.

    Raises:
        ConfigurationError: There is no key.
        KeyMismatchError: The key is another trail's; it would find nobody.
    """
    if person is None:
        return None
    remedy = "set MODELTRAIL_KEY or MODELTRAIL_KEY_FILE to the trail's own key"
    keys, known = find_keys(), key_id_of(store)
    if keys is None:
        raise ConfigurationError(f"to find a person takes the trail's key; {remedy}")
    if known not in {None, keys.key_id}:
        raise KeyMismatchError(
            f"this trail was made with key {known}, the key at hand is {keys.key_id}; {remedy}"
        )
    return keys.ref(person)
