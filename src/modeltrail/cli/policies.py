"""
A routing policy as it is told: by options or by a file.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from modeltrail.errors import ConfigurationError

if TYPE_CHECKING:
    from modeltrail.experiment.logged import Choices

_Told = Mapping[str, str | dict[str, float]]


def choices_from(all: str | None, pairs: Sequence[str], file: Path | None) -> "Choices":
    """
    Return the policy that was asked for.

    Raises:
        ConfigurationError: None was, or more than one, or it is none.
    """
    from modeltrail.experiment.logged import OTHERS

    if sum((all is not None, bool(pairs), file is not None)) != 1:
        raise ConfigurationError("name one policy: with --all, with --policy or with --policy-file")
    if file is not None:
        told = _read(file)
    else:
        told = {OTHERS: all} if all is not None else dict(_pair(each) for each in pairs)
    return {
        feature: {chosen: 1.0} if isinstance(chosen, str) else chosen
        for feature, chosen in told.items()
    }


def _pair(text: str) -> tuple[str, str]:
    feature, equals, variant = text.rpartition("=")
    if not (equals and variant):
        raise ConfigurationError(f"{text!r} is no FEATURE=VARIANT")
    return feature, variant


def _read(path: Path) -> _Told:
    try:
        content = path.read_bytes()
        found = (
            msgspec.json.decode(content)
            if path.suffix == ".json"
            else tomllib.loads(content.decode())
        )
        return msgspec.convert(found, dict[str, str | dict[str, float]])
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"{path} is no policy: {error}") from error
