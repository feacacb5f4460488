"""
Capture policies and what is never kept.
"""

import pytest

from modeltrail.capture import (
    CapturePolicy,
    allowed_parameters,
    policy_from,
    storable,
    without_secrets,
)
from modeltrail.errors import ConfigurationError


def test_mode_is_chosen_by_feature() -> None:
    """A feature's own mode wins over the default."""
    policy = CapturePolicy("digest", {"salary": "metadata"})
    assert policy.mode_for("salary") == "metadata"
    assert policy.mode_for("support") == "digest"
    assert policy.mode_for(None) == "digest"


def test_digest_names_the_policy() -> None:
    """Equal policies have equal digests, different ones do not."""
    assert policy_from("digest").digest == CapturePolicy().digest
    assert policy_from("digest").digest != policy_from("metadata").digest
    assert CapturePolicy("digest", {"a": "metadata"}).digest != CapturePolicy().digest


@pytest.mark.parametrize("mode", ["full", "masked", "encrypted", "everything"])
def test_modes_of_no_use_are_refused(mode: str) -> None:
    """A mode that is unknown or not available yet fails at once, with the choices."""
    with pytest.raises(ConfigurationError, match="metadata, digest"):
        policy_from(mode)  # type: ignore[arg-type]


def test_parameters_are_kept_by_a_list() -> None:
    """Only parameters that can hold neither secrets nor text are kept."""
    given = {
        "temperature": 0.5,
        "max_tokens": 10,
        "api_key": "sk-aaaaaaaaaaaaaaaaaaaa",
        "extra_headers": {"Authorization": "x"},
        "seed": None,
        "top_p": {"odd": 1},
    }
    assert allowed_parameters(given) == {"temperature": 0.5, "max_tokens": 10}


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghij0123456789",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "Bearer abc.def.ghi-jkl",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    ],
)
def test_credentials_are_replaced(secret: str) -> None:
    """What looks like a credential goes, the rest stays."""
    assert without_secrets(f"before {secret} after") == "before [secret] after"


def test_ordinary_text_is_left_alone() -> None:
    """Words that only resemble credentials stay."""
    text = "the task-force asked: sk-8? a bearer of news, AKIA"
    assert without_secrets(text) == text


def test_storable_text_fits_every_database() -> None:
    """NUL and lone surrogates are replaced, all else stays."""
    assert storable("a\0b\ud800c") == "a\ufffdb?c"
    assert storable("größe 🕷") == "größe 🕷"
