"""
The trail's key: where it lives, and what is derived from it.

One random key of 32 bytes per trail. Digests of texts, references to people
and the sealing of the spool each use a key of their own, derived from it, so
that none can be computed from another.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from modeltrail.errors import ConfigurationError

KEY_BYTES = 32
_BLOCK_BYTES = 64  # of SHA-256


class Keys:
    """
    The keys of one trail.

    Attributes:
        key_id: Names the key without giving it away; stored in the trail.
    """

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise ConfigurationError(
                f"the trail's key must have {KEY_BYTES} bytes, this one has {len(master)}"
            )
        self.key_id = _derive(master, "id").hex()[:16]
        self.spool_key = _derive(master, "spool")
        # HMAC with the key's two blocks hashed once (RFC 2104, section 4): half the
        # price of a digest of a short text.
        block = _derive(master, "digest").ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self._ref_key = _derive(master, "ref")
        # A service sees the same people again and again; the cache is bounded
        # and holds no more than the process already knows.
        self.ref = lru_cache(maxsize=4096)(self._ref)

    def digest(self, text: bytes) -> str:
        """
        Return the keyed digest of a text: HMAC-SHA-256, 64 hexadecimal digits.
        """
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.hexdigest()

    def _ref(self, value: str) -> str:
        """
        Return the reference under which a person, unit or session is stored.

        The same value gives the same reference in every column, so that a
        user who is also the unit of an experiment can be joined.
        """
        data = value.encode("utf-8", "surrogatepass")
        return hmac.digest(self._ref_key, data, "sha256").hex()[:32]


def load_keys(environ: Mapping[str, str] = os.environ) -> Keys:
    """
    Find the trail's key, making one at the first use.

    Raises:
        ConfigurationError: The key is malformed, missing or cannot be made.
    """
    if (found := find_keys(environ)) is not None:
        return found
    path = _default_path(environ)
    _make(path)
    return Keys(_read(path))


def find_keys(environ: Mapping[str, str] = os.environ) -> Keys | None:
    """
    Find the trail's key; None if there is none yet.

    Looks at `MODELTRAIL_KEY` (64 hexadecimal digits), then at the file named
    by `MODELTRAIL_KEY_FILE`, then at `modeltrail/trail.key` in the XDG
    configuration folder. Only the last may be missing: it is made by
    `load_keys`, with permissions 0600.

    Raises:
        ConfigurationError: The key is malformed, or a file that was named is
            missing.
    """
    if text := environ.get("MODELTRAIL_KEY"):
        return Keys(_parse(text, "MODELTRAIL_KEY"))
    if named := environ.get("MODELTRAIL_KEY_FILE"):
        return Keys(_read(Path(named)))
    path = _default_path(environ)
    return Keys(_read(path)) if path.exists() else None


def _default_path(environ: Mapping[str, str]) -> Path:
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "~")) / ".config")
    return Path(home).expanduser() / "modeltrail" / "trail.key"


def _derive(master: bytes, purpose: str) -> bytes:
    # One HMAC per purpose is HKDF-Expand (RFC 5869) with a single block.
    return hmac.digest(master, b"modeltrail:" + purpose.encode() + b"\x01", "sha256")


def _read(path: Path) -> bytes:
    try:
        return _parse(path.read_text("ascii"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the trail's key cannot be read from {path}: {error}; "
            "make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
        ) from error


def _make(path: Path) -> None:
    """
    Write a new key so that two processes starting at once end with the same.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike a rename, this never replaces a key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"the trail's key cannot be made at {path}: {error}; "
            "set MODELTRAIL_KEY or MODELTRAIL_KEY_FILE"
        ) from error


def _parse(text: str, source: str) -> bytes:
    try:
        return bytes.fromhex(text.strip())
    except ValueError as error:
        raise ConfigurationError(f"{source} must hold 64 hexadecimal digits") from error
