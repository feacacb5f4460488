"""
What of a call's content is kept, and what is never kept.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, get_args

import msgspec

from modeltrail.errors import ConfigurationError
from modeltrail.record import CaptureMode

AVAILABLE: tuple[CaptureMode, ...] = ("metadata", "digest")

# Parameters of a request that shape its result and can hold no secret and no text.
PARAMETERS = frozenset(
    {
        "dimensions",
        "encoding_format",
        "frequency_penalty",
        "max_completion_tokens",
        "max_tokens",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "reasoning_effort",
        "seed",
        "service_tier",
        "temperature",
        "top_k",
        "top_p",
        "verbosity",
    }
)
SCALARS = (str, int, float)

_SECRET = re.compile(
    r"""(?x)
    \b sk-[A-Za-z0-9_-]{16,}                # OpenAI, Anthropic, LiteLLM
    | \b AIza[0-9A-Za-z_-]{30,}             # Google
    | \b AKIA[0-9A-Z]{16} \b                # AWS
    | \b gh[pousr]_[A-Za-z0-9]{30,}         # GitHub
    | \b xox[abprs]-[A-Za-z0-9-]{10,}       # Slack
    | \b eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+  # a JSON web token
    | (?i: \b bearer \s+ [\w.~+/-]{8,}=*)
    """
)
REDACTED = "[secret]"
REMEMBERED_CHARS = 1024
# What holds a credential says so by its name.
_SECRET_NAME = re.compile(
    r"(?i)api_?key|secret|passw(or)?d|credential|authorization|(access|auth|bearer|refresh)_?token"
)


class CapturePolicy(msgspec.Struct, frozen=True):
    """
    How much of a call's content is kept, by feature.

    Attributes:
        default: The mode of every feature that has none of its own.
        features: Feature -> mode.

    Raises:
        ConfigurationError: A mode is unknown or not available yet.
    """

    default: CaptureMode = "digest"
    features: Mapping[str, CaptureMode] = MappingProxyType({})

    def __post_init__(self) -> None:
        for mode in (self.default, *self.features.values()):
            if mode not in get_args(CaptureMode):
                known = ", ".join(AVAILABLE)
                raise ConfigurationError(f"unknown capture mode {mode!r}; choose one of {known}")
            if mode not in AVAILABLE:
                raise ConfigurationError(
                    f"capture mode {mode!r} is not available in this version; "
                    f"choose one of {', '.join(AVAILABLE)}"
                )

    def mode_for(self, feature: str | None) -> CaptureMode:
        """
        Return the mode for a call of a feature.
        """
        if feature is None:
            return self.default
        return self.features.get(feature, self.default)

    @property
    def digest(self) -> str:
        """
        Names this policy in the records made under it: 16 hexadecimal digits.
        """
        content = {"default": self.default, "features": dict(self.features)}
        return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:16]


def policy_from(capture: "CapturePolicy | CaptureMode") -> CapturePolicy:
    """
    Accept a policy or the name of a mode for all features.
    """
    return capture if isinstance(capture, CapturePolicy) else CapturePolicy(capture)


def allowed_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """
    Keep the parameters that are on the list, drop None.
    """
    if PARAMETERS.isdisjoint(parameters):
        return {}
    known = PARAMETERS & parameters.keys()
    return {name: parameters[name] for name in known if isinstance(parameters[name], SCALARS)}


def without_secrets(text: str) -> str:
    """
    Replace what looks like a credential.
    """
    return _remembered(text) if len(text) <= REMEMBERED_CHARS else _SECRET.sub(REDACTED, text)


@lru_cache(maxsize=256)  # parameters and tags of calls are mostly those of others before
def _remembered(text: str) -> str:
    return _SECRET.sub(REDACTED, text)


@lru_cache(maxsize=256)
def names_secret(name: str) -> bool:
    """
    Tell whether a name is that of a credential, such as `api_key`.
    """
    return _SECRET_NAME.search(name) is not None


def storable(text: str) -> str:
    """
    Replace what no database column takes: NUL and lone surrogates.
    """
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode() if _has_surrogates(text) else text


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
