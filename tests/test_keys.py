"""
The trail's key.
"""

import hashlib
import hmac
import stat
from pathlib import Path

import pytest

from modeltrail.errors import ConfigurationError
from modeltrail.keys import Keys, load_keys

MASTER = bytes(range(32))


def test_key_is_made_once_with_safe_permissions(tmp_path: Path) -> None:
    """The first use makes a key that only its owner can read; the second finds it."""
    environ = {"HOME": str(tmp_path)}
    first, second = load_keys(environ), load_keys(environ)
    path = tmp_path / ".config" / "modeltrail" / "trail.key"
    assert first.key_id == second.key_id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["trail.key"]


def test_environment_wins_over_files(tmp_path: Path) -> None:
    """MODELTRAIL_KEY is looked at before MODELTRAIL_KEY_FILE, both before the default."""
    file = tmp_path / "key"
    file.write_text(bytes(32).hex())
    by_file = load_keys({"MODELTRAIL_KEY_FILE": str(file), "HOME": str(tmp_path)})
    by_value = load_keys({"MODELTRAIL_KEY": MASTER.hex(), "MODELTRAIL_KEY_FILE": str(file)})
    assert by_file.key_id == Keys(bytes(32)).key_id
    assert by_value.key_id == Keys(MASTER).key_id
    assert not (tmp_path / ".config").exists()


@pytest.mark.parametrize("text", ["", "zz", "00", "00" * 31])
def test_malformed_key_file_is_refused(tmp_path: Path, text: str) -> None:
    """A key that is no key fails with a remedy."""
    file = tmp_path / "key"
    file.write_text(text)
    with pytest.raises(ConfigurationError):
        load_keys({"MODELTRAIL_KEY_FILE": str(file)})


def test_named_file_is_never_made(tmp_path: Path) -> None:
    """A file that was named and is missing is an error: a typo must not make a new key."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_keys({"MODELTRAIL_KEY_FILE": str(tmp_path / "missing")})


def test_digest_is_hmac_of_a_derived_key() -> None:
    """The digest can be computed anew with a standard library alone."""
    derived = hmac.new(MASTER, b"modeltrail:digest\x01", hashlib.sha256).digest()
    expected = hmac.new(derived, b"text", hashlib.sha256).hexdigest()
    assert Keys(MASTER).digest(b"text") == expected


def test_references_are_equal_for_equal_values_only() -> None:
    """One person has one reference, which depends on the key and not on a digest."""
    keys = Keys(MASTER)
    assert keys.ref("u-1") == keys.ref("u-1") != keys.ref("u-2")
    assert keys.ref("u-1") != Keys(bytes(32)).ref("u-1")
    assert not keys.digest(b"u-1").startswith(keys.ref("u-1"))
    assert len(keys.ref("\ud800")) == 32
